"""Stand-ins for what the control plane talks to, and the tiny model repositories that it reads."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from control_plane.errors import ModelLoadError, ModelNotLoadedError
from control_plane.triton_gateway import Embeddings
from export.contract import CONFIG_FILE, version_numbers
from export.manifest import Manifest

DIMENSION = 8
CONFIG = 'backend: "text_encoder"\ninstance_group [ { count: 2 kind: KIND_CPU } ]\n'


class FakeGateway:
    """A Triton that keeps the loaded models in a dict. `error`, when set, is what every call raises."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self.loaded: dict[str, list[int]] = {}
        self.configs: list[str] = []             # of each load call
        self.parameters: list[dict | None] = []  # of each embed call
        self.texts: list[list[str]] = []         # of each embed call
        self.error: Exception | None = None
        self.embed_errors: dict[str, Exception] = {}  # model -> what embedding with it raises

    def is_live(self) -> bool:
        return self.error is None

    def ready_versions(self) -> dict[str, list[int]]:
        self._fail()
        return {name: list(versions) for name, versions in self.loaded.items()}

    def load(self, name: str, config: str) -> None:
        self._fail()
        self.configs.append(config)
        versions = version_numbers(self._repository / name)
        if not versions:
            raise ModelLoadError(name, "failed to poll from model repository")
        self.loaded[name] = versions[-1:]

    def unload(self, name: str) -> None:
        self._fail()
        del self.loaded[name]

    def embed(self, name: str, texts: Sequence[str], parameters: dict | None = None) -> Embeddings:
        self._fail()
        if name not in self.loaded:
            raise ModelNotLoadedError(name)
        if name in self.embed_errors:
            raise self.embed_errors[name]
        self.texts.append(list(texts))
        self.parameters.append(parameters)
        token_counts = np.array([len(text.split()) + 2 for text in texts], dtype=np.int32)
        return Embeddings(np.stack([vector_of(text) for text in texts]), token_counts, str(self.loaded[name][-1]))

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def vector_of(text: str) -> np.ndarray:
    """Return the embedding that FakeGateway gives a text: float32 [DIMENSION], length 1."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


MANIFEST = Manifest(
    model="tiny", version=1, task="embedding", source="hub:org/tiny", revision="abc123", engine="onnxruntime",
    precision="fp32", dimension=DIMENSION, max_tokens=128, pad_token_id=0, pooling=("mean",), pools_prompt=True,
    normalized=True, prompts={"query": "query: "}, parity={"min_cosine": 0.999999}, created_at="2024-01-01T00:00:00Z")


def publish(repository: Path, name: str, version: int = 1) -> Path:
    """Write a version without weights, as `conch export` lays it out, and return its directory."""
    version_dir = repository / name / str(version)
    version_dir.mkdir(parents=True)
    (repository / name / CONFIG_FILE).write_text(CONFIG, encoding="utf-8")
    replace(MANIFEST, model=name, version=version).write(version_dir)
    return version_dir
