"""Stand-ins for what the control plane talks to, and the tiny model repositories that it reads."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from control_plane.errors import BrokenModelError, ModelLoadError, ModelNotLoadedError
from control_plane.triton_config import PLACEMENT_PARAMETER
from control_plane.triton_gateway import Embeddings
from export.contract import CONFIG_FILE, MAX_BATCH_SIZE, version_numbers
from export.manifest import EncoderManifest, ManifestError, read_manifest

DIMENSION = 8
CONFIG = 'backend: "text_encoder"\ninstance_group [ { count: 2 kind: KIND_CPU } ]\n'
ADDRESS = "127.0.0.1:8001"
GOLDEN_TEXT = "golden"


@dataclass(frozen=True)
class Loaded:
    """A model in a fake Triton."""

    dimensions: dict[int, int]  # version -> numbers in its embeddings
    config: dict                # of the load request

    @property
    def digest(self) -> str | None:
        """Which placement it is."""
        return self.config.get("parameters", {}).get(PLACEMENT_PARAMETER, {}).get("string_value")


class FakeGateway:
    """A Triton that keeps models in memory and loads what a load request says, out of a real repository.

    It fails as it is told to: `error` is what every call raises, `failures` what a call of that name raises, `on_call`
    runs before every call.
    """

    def __init__(self, repository: Path, address: str = ADDRESS) -> None:
        self.address = address
        self._repository = repository
        self.models: dict[str, Loaded] = {}
        self.calls: list[tuple[str, str]] = []       # call, model; of what changes something
        self.parameters: list[dict | None] = []      # of each embed call but the golden ones
        self.texts: list[list[str]] = []             # of each embed call but the golden ones
        self.request_sizes: list[int] = []           # the max_batch_size of each embed call
        self.error: Exception | None = None
        self.failures: dict[str, Exception] = {}     # call -> what it raises
        self.embed_errors: dict[str, Exception] = {}  # model -> what embedding with it raises
        self.refused: dict[tuple[str, int], str] = {}  # model and version -> why Triton does not load it
        self.wrong: set[tuple[str, int]] = set()     # models and versions that answer with other vectors
        self.broken: set[str] = set()                # models whose process has died
        self.unload_takes = 0                        # looks at the index until an unload is over
        self.on_call: Callable[[str], None] = lambda call: None
        self._unloading: dict[str, int] = {}

    @property
    def loaded(self) -> dict[str, list[int]]:
        """What it holds, whatever it answers: model -> versions, ascending."""
        return {name: sorted(model.dimensions) for name, model in self.models.items()}

    def is_live(self) -> bool:
        return self.error is None

    def ready_versions(self) -> dict[str, list[int]]:
        self._begin("ready_versions")
        return self.loaded

    def holds(self, name: str) -> bool:
        self._begin("holds")
        self._unloading[name] = self._unloading.get(name, 0) - 1
        return name in self.models or self._unloading[name] >= 0

    def placement_digest(self, name: str) -> str | None:
        self._begin("placement_digest")
        return self.models[name].digest if name in self.models else None

    def load(self, name: str, config: str) -> None:
        self._begin("load")
        self.calls.append(("load", name))
        config = json.loads(config)
        versions = [int(version) for version in config["version_policy"]["specific"]["versions"]]
        loaded = Loaded({version: self._dimension(name, version) for version in versions}, config)
        if name in self.broken and name in self.models and loaded.config == self.models[name].config:
            return  # Triton believes that it is loaded already.
        self.broken.discard(name)
        self.models[name] = loaded

    def unload(self, name: str) -> None:
        self._begin("unload")
        self.calls.append(("unload", name))
        self.models.pop(name, None)
        self.broken.discard(name)
        self._unloading[name] = self.unload_takes

    def embed(self, name: str, texts: Sequence[str], parameters: dict | None = None, version: int | None = None,
              max_batch_size: int = MAX_BATCH_SIZE, **_: object) -> Embeddings:
        self._begin("embed")
        version = version or max(self.loaded.get(name, [0]))
        if version not in self.loaded.get(name, []):
            raise ModelNotLoadedError(name)
        if name in self.broken:
            raise BrokenModelError(f"model {name!r} has broken down: Stub process 'x' is not healthy")
        if name in self.embed_errors:
            raise self.embed_errors[name]
        if list(texts) != [GOLDEN_TEXT]:
            self.texts.append(list(texts))
            self.parameters.append(parameters)
            self.request_sizes.append(max_batch_size)
        sign = -1 if (name, version) in self.wrong else 1
        token_counts = np.array([len(text.split()) + 2 for text in texts], dtype=np.int32)
        dimension = self.models[name].dimensions[version]
        return Embeddings(np.stack([sign * vector_of(text, dimension) for text in texts]), token_counts, str(version))

    def _begin(self, call: str) -> None:
        self.on_call(call)
        for error in (self.error, self.failures.get(call)):
            if error is not None:
                raise error

    def _dimension(self, name: str, version: int) -> int:
        if (name, version) in self.refused:
            raise ModelLoadError(name, self.refused[name, version])
        if version not in version_numbers(self._repository / name):
            raise ModelLoadError(name, "failed to poll from model repository")
        try:
            return read_manifest(self._repository / name / str(version)).dimension
        except ManifestError as error:
            raise ModelLoadError(name, str(error)) from error


def vector_of(text: str, dimension: int = DIMENSION) -> np.ndarray:
    """Return the embedding that FakeGateway gives a text: float32 [dimension], length 1."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


MANIFEST = EncoderManifest(
    model="tiny", version=1, task="embedding", source="hub:org/tiny", revision="abc123", engine="onnxruntime",
    precision="fp32", dimension=DIMENSION, max_tokens=128, pad_token_id=0, pooling=("mean",), pools_prompt=True,
    normalized=True, prompts={"query": "query: "}, parity={"min_cosine": 0.999999, "required_cosine": 0.9999},
    golden_text=GOLDEN_TEXT, created_at="2024-01-01T00:00:00Z")


def publish(repository: Path, name: str, version: int = 1, dimension: int = DIMENSION) -> Path:
    """Write a version without weights, as `conch export` lays it out, and return its directory."""
    version_dir = repository / name / str(version)
    version_dir.mkdir(parents=True)
    (repository / name / CONFIG_FILE).write_text(CONFIG, encoding="utf-8")
    golden = tuple(round(float(number), 6) for number in vector_of(GOLDEN_TEXT, dimension))
    replace(MANIFEST, model=name, version=version, dimension=dimension, golden_embedding=golden).write(version_dir)
    return version_dir
