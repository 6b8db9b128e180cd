"""Stand-ins for what the control plane talks to, and the tiny model repositories that it reads."""

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from control_plane.errors import BrokenModelError, ModelLoadError, ModelNotLoadedError
from control_plane.generation.request import GenerationEvent, GenerationRequest
from control_plane.triton_config import PLACEMENT_PARAMETER
from control_plane.triton_gateway import Classification, Embeddings
from export.contract import CONFIG_FILE, MAX_BATCH_SIZE, version_numbers
from export.manifest import EncoderManifest, GeneratorManifest, IntentManifest, ManifestError, read_manifest

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
        self.parameters: list[dict | None] = []      # of each inference but the golden ones
        self.texts: list[list[str]] = []             # of each inference but the golden ones
        self.request_sizes: list[int] = []           # the max_batch_size of each inference
        self.error: Exception | None = None
        self.failures: dict[str, Exception] = {}     # call -> what it raises
        self.embed_errors: dict[str, Exception] = {}  # model -> what an inference with it raises
        self.refused: dict[tuple[str, int], str] = {}  # model and version -> why Triton does not load it
        self.wrong: set[tuple[str, int]] = set()     # models and versions that give other answers
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
        version = self._receive("embed", name, texts, parameters, version, max_batch_size)
        sign = -1 if (name, version) in self.wrong else 1
        dimension = self.models[name].dimensions[version]
        return Embeddings(np.stack([sign * vector_of(text, dimension) for text in texts]), _token_counts(texts),
                          str(version))

    def classify(self, name: str, texts: Sequence[str], parameters: dict | None = None, version: int | None = None,
                 max_batch_size: int = MAX_BATCH_SIZE, **_: object) -> Classification:
        version = self._receive("classify", name, texts, parameters, version, max_batch_size)
        labels = read_manifest(self._repository / name / str(version)).labels
        scores = np.stack([scores_of(text, len(labels)) for text in texts])
        return Classification(1 - scores if (name, version) in self.wrong else scores, labels, _token_counts(texts),
                              str(version))

    def generate(self, name: str, request: GenerationRequest, version: int, request_id: str,
                 timeout_s: float) -> Generator[GenerationEvent, None, None]:
        """Say back the last message or the prompt, one character a token."""
        said = request.prompt if request.messages is None else request.messages[-1]["content"]
        self._receive("generate", name, [said], None, version, 1)
        wrong = (name, version) in self.wrong
        for place, character in enumerate(said[:request.sampling.get("max_tokens", 16)]):
            yield GenerationEvent(0, character, None, len(said), place + 1, token_ids=(ord(character) + wrong,))
        yield GenerationEvent(0, "", "stop", len(said), len(said))

    def _receive(self, call: str, name: str, texts: Sequence[str], parameters: dict | None, version: int | None,
                 max_batch_size: int) -> int:
        """Note an inference and return the version that answers it."""
        self._begin(call)
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
        return version

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
            return getattr(read_manifest(self._repository / name / str(version)), "dimension", 0)
        except ManifestError as error:
            raise ModelLoadError(name, str(error)) from error


def _token_counts(texts: Sequence[str]) -> np.ndarray:
    return np.array([len(text.split()) + 2 for text in texts], dtype=np.int32)


def scores_of(text: str, labels: int) -> np.ndarray:
    """Return the scores that FakeGateway gives a text: float32 [labels], each from 0 to 1."""
    return (vector_of(text, labels) + 1) / 2


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


def publish_intent(repository: Path, name: str, version: int = 1, labels: Sequence[str] = ("wealth", "爱情"),
                   dimension: int = DIMENSION) -> Path:
    """Write a version of an intent model without weights and return its directory."""
    version_dir = repository / name / str(version)
    version_dir.mkdir(parents=True)
    (repository / name / CONFIG_FILE).write_text(CONFIG, encoding="utf-8")
    golden = tuple(round(float(number), 6) for number in scores_of(GOLDEN_TEXT, len(labels)))
    facts = {**vars(MANIFEST), "model": name, "version": version, "task": "intent", "dimension": dimension,
             "parity": {"max_score_difference": 0.001, "allowed_score_difference": 0.03}}
    IntentManifest(**facts, labels=tuple(labels), thresholds=(0.5,) * len(labels), temperature=1.5,
                   golden_scores=golden, dataset_sha256="ab" * 32, metrics={"macro_f1": 0.9}).write(version_dir)
    return version_dir


def publish_generator(repository: Path, name: str, version: int = 1, **facts: object) -> Path:
    """Write a version of a text generator without weights and return its directory; `facts` go into its manifest."""
    version_dir = repository / name / str(version)
    version_dir.mkdir(parents=True)
    (repository / name / CONFIG_FILE).write_text(CONFIG, encoding="utf-8")
    GeneratorManifest(**{
        "model": name, "version": version, "task": "text-generation", "source": "hub:org/writer", "revision": None,
        "engine": "onnxruntime", "precision": "int8", "max_tokens": 128, "golden_text": GOLDEN_TEXT, "layers": 2,
        "kv_heads": 1, "head_dim": 4, "vocab_size": 256, "kv_type": "float32", "stop_token_ids": (0,),
        "golden_token_ids": tuple(map(ord, GOLDEN_TEXT)), **facts}).write(version_dir)
    return version_dir
