"""What computes a version: machine code of ours where processor and graph allow, else ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from serving.generator.native.packing import read_weights
from serving.generator.session import open_graph


class Session(Protocol):
    """A decoder with the keys and values of its slots; for one thread."""

    slots: int
    is_exact: bool     # a token gives the same, to the bit, computed alone and in a chunk

    def prefill(self, slot: int, token_ids: Sequence[int], start: int) -> np.ndarray:
        """Compute tokens `start` and following of a prompt into a slot; returns the logits after the last, [vocab]."""

    def decode(self, token_ids: Sequence[int], lengths: Sequence[int]) -> np.ndarray:
        """Compute one token for each of the first slots; returns logits, float32 [rows, vocab].

        `lengths` says how many tokens each slot holds already. The result is overwritten by the next call.
        """

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a slot over those of another."""

    def exchange(self, one: int, other: int, tokens: int) -> None:
        """Exchange the first tokens of two slots."""

    def trim(self) -> None:
        """Give back the work memory of computations that are over; what the slots hold stays."""


class Decoder(Protocol):
    """An opened graph."""

    engine: str        # what computes it, for people

    @property
    def token_bytes(self) -> int:
        """Bytes that the keys and values of one token take."""

    @property
    def vocab_size(self) -> int:
        """How many logits there are."""

    def new_session(self, slots: int, context_tokens: int) -> Session:
        """Return empty slots; raises MemoryError."""


def open_decoder(model_file: Path, threads: int, spin_us: int, native: bool) -> Decoder:
    """Open a graph; raises VersionLoadError when it cannot be read or is no decoder with a cache.

    Its threads wait for each other awake for `spin_us` microseconds while a step is computed, and sleep between steps.
    Where `native` is False ONNX Runtime computes whatever it is.
    """
    weights = read_weights(model_file) if native else None
    if weights is None:
        return open_graph(model_file, threads, spin_us)
    from serving.generator.native.session import NativeDecoder
    return NativeDecoder(weights, threads, spin_us)
