"""A sentence encoder that can be trained: loads a checkpoint without running code that came with it, embeds, saves.

Knows nothing of intents.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from training.errors import CheckpointError

_PACKAGE = "sentence_transformers."
_LENGTHS_CHUNK = 1024


class Encoder:
    """A sentence-transformers model with one prompt before every text; embeddings have length 1."""

    def __init__(self, path: Path, prompt_name: str | None, max_tokens: int | None, precision: str) -> None:
        """Load the checkpoint onto the GPU if there is one; raises CheckpointError.

        `max_tokens` cuts texts earlier than the checkpoint does; None leaves it at that.
        """
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = _load(path, self.device)
        if prompt_name is not None and prompt_name not in self.model.prompts:
            raise CheckpointError(f"{path} has no prompt {prompt_name!r}; it has {sorted(self.model.prompts)}")
        self._prompt = self.model.prompts[prompt_name] if prompt_name else None
        self._own_max_tokens = self.model.max_seq_length
        limits = [limit for limit in (max_tokens, self._own_max_tokens) if limit is not None]
        self.model.max_seq_length = min(limits, default=None)
        self.mixed = precision == "bf16" or (precision == "auto" and _has_bfloat16(self.device))

    @property
    def dimension(self) -> int:
        """Numbers in an embedding."""
        return self.model.get_embedding_dimension()

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return unit embeddings; float32 [texts, dimension], differentiable."""
        features = self.model.preprocess(list(texts), prompt=self._prompt)
        features = {name: value.to(self.device) if isinstance(value, torch.Tensor) else value
                    for name, value in features.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            embeddings = self.model(features)["sentence_embedding"]
        return torch.nn.functional.normalize(embeddings.float(), dim=1)

    def embed(self, texts: Sequence[str], batch_size: int = 128,
              on_batch: Callable[[float], None] = lambda fraction: None) -> torch.Tensor:
        """Return unit embeddings in evaluation mode, float32 [texts, dimension] on the CPU; tells the fraction done."""
        self.model.eval()
        embeddings = torch.zeros(len(texts), self.dimension)
        order = np.argsort(self.token_counts(texts), kind="stable")
        with torch.no_grad():
            for start in range(0, len(order), batch_size):
                rows = order[start:start + batch_size].tolist()
                embeddings[rows] = self.forward([texts[row] for row in rows]).cpu()
                on_batch(min(1.0, (start + batch_size) / len(order)))
        return embeddings

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Return how many tokens each text has after cutting; int64 [texts]."""
        counts = [features["attention_mask"].sum(dim=1) for features in self._tokenised(texts)]
        return torch.cat(counts).numpy() if counts else np.zeros(0, np.int64)

    def _tokenised(self, texts: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
        for start in range(0, len(texts), _LENGTHS_CHUNK):
            yield self.model.preprocess(list(texts[start:start + _LENGTHS_CHUNK]), prompt=self._prompt)

    def save(self, path: Path) -> None:
        """Write a directory that SentenceTransformer(path) loads, with the checkpoint's own limit of tokens."""
        training_limit = self.model.max_seq_length
        self.model.max_seq_length = self._own_max_tokens
        self.model.save(str(path), create_model_card=False, safe_serialization=True)
        self.model.max_seq_length = training_limit


def use_cores(cores: int | None) -> int:
    """Let torch use `cores`, or every core that this process may run on, and return their number."""
    number = cores or len(os.sched_getaffinity(0))
    torch.set_num_threads(number)
    return number


def _load(path: Path, device: torch.device) -> SentenceTransformer:
    _refuse_foreign_code(path)
    # weights_only is the default already, but sentence_bert_config.json could switch it off.
    model_kwargs = {"dtype": "float32", "weights_only": True}
    try:
        return SentenceTransformer(str(path), device=str(device), local_files_only=True, model_kwargs=model_kwargs)
    except Exception as error:  # transformers raises every built-in type for damaged checkpoints
        raise CheckpointError(f"{path} cannot be loaded by sentence-transformers: {error}") from error


def _refuse_foreign_code(path: Path) -> None:
    """Raise CheckpointError where the checkpoint names code that is not sentence-transformers' own."""
    try:
        modules = json.loads((path / "modules.json").read_text(encoding="utf-8"))
        kinds = [module["type"] for module in modules]
        config = json.loads((path / modules[0]["path"] / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CheckpointError(f"{path} is not a sentence-transformers checkpoint: {error!r}") from error
    foreign = [kind for kind in kinds if not str(kind).startswith(_PACKAGE)]
    if foreign or config.get("auto_map"):
        raise CheckpointError(f"{path} needs code of its own ({foreign[0] if foreign else 'auto_map'}), "
                              "which Conch never runs")


def _has_bfloat16(device: torch.device) -> bool:
    """Return whether the device computes in bfloat16 natively; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
