"""The decoder graph behind IO binding: reads and writes the keys and values of slots in place. Knows no requests.

The graph is what onnxruntime-genai's model builder writes: GroupQueryAttention takes the same buffer as past and as
present and finds each row's length in the attention mask. All slots lie in one buffer for each layer, so any run of
neighbouring slots is a batch, without a copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from export.contract import OUT_OF_MEMORY
from serving.errors import VersionLoadError
from serving.generator.memory import is_out_of_memory

INPUT_IDS, ATTENTION_MASK, POSITION_IDS, LOGITS = "input_ids", "attention_mask", "position_ids", "logits"
_PAST, _PRESENT = "past_key_values", "present"
_CACHE_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class DecoderGraph:
    """An opened graph and the shape of what it remembers of a token."""

    session: onnxruntime.InferenceSession
    cache_names: tuple[str, ...]     # past_key_values.N.key and .value
    kv_heads: int
    head_dim: int
    cache_type: type
    vocab_size: int
    takes_positions: bool
    engine = "ONNX Runtime"

    @property
    def token_bytes(self) -> int:
        """Bytes that the keys and values of one token take."""
        return len(self.cache_names) * self.kv_heads * self.head_dim * np.dtype(self.cache_type).itemsize

    def new_session(self, slots: int, context_tokens: int) -> "DecoderSession":
        """Return empty slots; raises MemoryError."""
        return DecoderSession(self, slots, context_tokens)


def open_graph(model_file: Path, threads: int, spin_us: int) -> DecoderGraph:
    """Open a graph; raises VersionLoadError when it cannot be read or is no decoder with a cache.

    Its threads wait for each other awake for `spin_us` microseconds, then asleep: a small model's step is a hundred
    operators that take about as long as it takes to wake a thread.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # It warns of inputs that have a default.
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin_us > 0)))
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(spin_us))
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        session = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base of their own.
        reason = f"{OUT_OF_MEMORY}; unload other models" if is_out_of_memory(error) else error
        raise VersionLoadError(f"{model_file} cannot be opened: {reason}") from error
    inputs = {item.name: item for item in session.get_inputs()}
    caches = tuple(name for name in inputs if name.startswith(_PAST))
    vocab_size = session.get_outputs()[0].shape[-1]
    missing = {INPUT_IDS, ATTENTION_MASK} - set(inputs)
    if missing or not caches or inputs[caches[0]].type not in _CACHE_TYPES or not isinstance(vocab_size, int):
        raise VersionLoadError(f"{model_file} is not a decoder with keys and values in float32 or float16; its inputs "
                               f"are {', '.join(list(inputs)[:4])}; export the model again")
    _, kv_heads, _, head_dim = inputs[caches[0]].shape
    return DecoderGraph(session, caches, kv_heads, head_dim, _CACHE_TYPES[inputs[caches[0]].type], vocab_size,
                        POSITION_IDS in inputs)


class DecoderSession:
    """A graph with the keys and values of its slots; for one thread."""

    is_exact = False   # A single token runs through other kernels.

    def __init__(self, graph: DecoderGraph, slots: int, context_tokens: int) -> None:
        self.graph = graph
        self.slots = slots
        shape = (slots, graph.kv_heads, context_tokens, graph.head_dim)
        # Written to at once, so that a model that was loaded has all the memory that it will ever need for them.
        self._caches = {name: np.full(shape, 0, graph.cache_type) for name in graph.cache_names}
        # What a step reads and writes, so that little is left to do between two of them.
        self._tokens, self._positions = (np.zeros((slots, 1), np.int64) for _ in range(2))
        self._logits = np.empty((slots, 1, graph.vocab_size), self._logits_type())
        self._prefills: dict[int, onnxruntime.IOBinding] = {}   # by slot
        self._steps: dict[int, onnxruntime.IOBinding] = {}      # by rows

    def prefill(self, slot: int, token_ids: Sequence[int], start: int) -> np.ndarray:
        """Compute tokens `start` and following of a prompt into a slot; returns the logits after the last, [vocab]."""
        if slot not in self._prefills:
            self._prefills[slot] = self._bind_caches(slot, slot + 1)
        binding = self._prefills[slot]
        binding.bind_output(LOGITS, "cpu")
        tokens = np.array([token_ids], dtype=np.int64)
        positions = np.arange(start, start + len(token_ids))[None]
        mask = np.ones((1, start + len(token_ids)), np.int64)
        self._bind_inputs(binding, tokens, positions)
        _bind(binding.bind_input, ATTENTION_MASK, mask)
        self.graph.session.run_with_iobinding(binding)
        # A graph may give the logits of every token or of the last only.
        return binding.get_outputs()[-1].numpy()[0, -1].astype(np.float32)

    def decode(self, token_ids: Sequence[int], lengths: Sequence[int]) -> np.ndarray:
        """Compute one token for each of the first slots; returns logits, float32 [rows, vocab].

        `lengths` says how many tokens each slot holds already. The result is overwritten by the next call.
        """
        rows = len(token_ids)
        if rows not in self._steps:
            self._steps[rows] = self._bind_step(rows)
        self._tokens[:rows, 0], self._positions[:rows, 0] = token_ids, lengths
        mask = _masks(lengths)
        _bind(self._steps[rows].bind_input, ATTENTION_MASK, mask)
        self.graph.session.run_with_iobinding(self._steps[rows])
        return self._logits[:rows, 0].astype(np.float32, copy=False)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the first tokens of a slot over those of another."""
        for cache in self._caches.values():
            cache[target, :, :tokens] = cache[source, :, :tokens]

    def exchange(self, one: int, other: int, tokens: int) -> None:
        """Exchange the first tokens of two slots."""
        for cache in self._caches.values():
            kept = cache[one, :, :tokens].copy()
            cache[one, :, :tokens] = cache[other, :, :tokens]
            cache[other, :, :tokens] = kept

    def trim(self) -> None:
        """Give back the work memory of computations that are over; what the slots hold stays."""
        self._prefills.clear()
        self._steps.clear()
        graph = self.graph
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        # The runtime's arena shrinks at the end of a run only, so this is the smallest one: a token outside the slots.
        feeds = {name: np.zeros((1, graph.kv_heads, 0, graph.head_dim), graph.cache_type) for name in self._caches}
        feeds |= {INPUT_IDS: np.zeros((1, 1), np.int64), ATTENTION_MASK: np.ones((1, 1), np.int64)}
        if graph.takes_positions:
            feeds[POSITION_IDS] = np.zeros((1, 1), np.int64)
        graph.session.run([LOGITS], feeds, options)

    def _bind_step(self, rows: int):
        """Return the binding of a step of the first slots; its masks are yet to be bound."""
        binding = self._bind_caches(0, rows)
        self._bind_inputs(binding, self._tokens[:rows], self._positions[:rows])
        _bind(binding.bind_output, LOGITS, self._logits[:rows])
        return binding

    def _bind_caches(self, start: int, stop: int):
        """Return a binding of a run of slots, with their keys and values bound as past and as present."""
        binding = self.graph.session.io_binding()
        for name, cache in self._caches.items():
            _bind(binding.bind_input, name, cache[start:stop])
            _bind(binding.bind_output, name.replace(_PAST, _PRESENT), cache[start:stop])
        return binding

    def _bind_inputs(self, binding, tokens: np.ndarray, positions: np.ndarray) -> None:
        _bind(binding.bind_input, INPUT_IDS, tokens)
        if self.graph.takes_positions:
            _bind(binding.bind_input, POSITION_IDS, positions)

    def _logits_type(self) -> type:
        return _CACHE_TYPES[self.graph.session.get_outputs()[0].type]


def _masks(lengths: Sequence[int]) -> np.ndarray:
    """Return the attention masks of a step, int64 [rows, tokens]: 1 for what a row holds and for its new token.

    By `repeat`, which keeps Python's lock: a comparison of so many numbers gives it up, and who takes it holds up the
    step.
    """
    width = max(lengths) + 1
    counts = [count for length in lengths for count in (length + 1, width - length - 1)]
    return np.repeat(np.array([1, 0] * len(lengths)), counts).reshape(len(lengths), width)


def _bind(bind, name: str, array: np.ndarray) -> None:
    """Bind the memory of a contiguous array, which the caller keeps alive until the run is over."""
    bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
