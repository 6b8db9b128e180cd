"""manifest.json: what a version is, where it came from and how it was proven. Standard library only."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from export.contract import EMBEDDING, INTENT, MANIFEST_FILE, TEXT_GENERATION, ConchError

FORMAT = 1
_CHUNK_BYTES = 1 << 20


class ManifestError(ConchError):
    """A version directory has no readable manifest, or its files are not the ones that the manifest describes."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a version of any task states; written once, never changed."""

    model: str
    version: int
    task: str                      # one of export.contract.TASKS; says which of the classes below the manifest is
    source: str                    # e.g. "hub:sentence-transformers/all-MiniLM-L6-v2"
    revision: str | None           # the commit or digest actually resolved
    engine: str                    # e.g. "openvino" or "onnxruntime"
    precision: str                 # e.g. "fp32", "bf16" or "int8"
    max_tokens: int                # special tokens included
    parity: dict[str, float | int | str] = field(default_factory=dict)
    golden_text: str = ""          # what a loaded version is asked to prove itself; versions of old have none
    created_at: str = ""           # UTC, ISO 8601
    built_with: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # file name -> sha256

    def write(self, version_dir: Path) -> None:
        """Write the manifest into `version_dir`."""
        document = {"format": FORMAT, **asdict(self)}
        text = json.dumps(document, ensure_ascii=False, indent=2)
        (version_dir / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class EncoderManifest(Manifest):
    """What every model of the text_encoder backend states."""

    dimension: int                 # numbers in an embedding
    pad_token_id: int
    pooling: tuple[str, ...]       # pooling modes, concatenated in this order
    pools_prompt: bool             # false: the prompt's tokens are left out of the pooling
    normalized: bool               # whether embeddings have length 1 unless a request says otherwise
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    golden_embedding: tuple[float, ...] = ()  # the original's answer, [dimension]


@dataclass(frozen=True, kw_only=True)
class IntentManifest(EncoderManifest):
    """An encoder with a classification head: one calibrated score for each label, any number of which may hold."""

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]  # a label holds where its score reaches its threshold, [labels]
    temperature: float             # the logits are divided by it before the sigmoid; part of the graph
    golden_scores: tuple[float, ...] = ()     # the original's answer, [labels]
    dataset_sha256: str = ""       # of the snapshot that it was trained on
    metrics: dict[str, float] = field(default_factory=dict)  # on the frozen test set


@dataclass(frozen=True, kw_only=True)
class GeneratorManifest(Manifest):
    """A decoder; `max_tokens` is its context, prompt and answer together."""

    layers: int
    kv_heads: int
    head_dim: int
    vocab_size: int
    kv_type: str                   # element type of keys and values: "float32", "float16" or "bfloat16"
    stop_token_ids: tuple[int, ...]
    generation_defaults: dict[str, float | int | bool] = field(default_factory=dict)  # of the checkpoint
    special_tokens: dict[str, str | list[str]] = field(default_factory=dict)  # by name, for the chat template
    prompt_prefix: str = ""        # the special tokens that the tokenizer itself puts before a text
    # Against the float32 checkpoint; of vLLM, which computes with the checkpoint's own weights, what became of them.
    quality: dict[str, float | int | str] = field(default_factory=dict)
    golden_token_ids: tuple[int, ...] = ()    # the greedy continuation of the golden text


_CLASSES: dict[str, type[Manifest]] = {
    EMBEDDING: EncoderManifest,
    INTENT: IntentManifest,
    TEXT_GENERATION: GeneratorManifest,
}


def read_manifest(version_dir: Path) -> Manifest:
    """Read the manifest of `version_dir`; raises ManifestError naming the file and what is wrong with it."""
    path = version_dir / MANIFEST_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ManifestError(f"{path} is not a manifest of format {FORMAT}")
    task = document.get("task")
    if task not in _CLASSES:
        raise ManifestError(f"{path}: unknown task {task!r}; known: {', '.join(_CLASSES)}")
    try:
        return _build(_CLASSES[task], document)
    except TypeError as error:
        raise ManifestError(f"{path} lacks a field or has a wrong one: {error}") from error


def _build(manifest_class: type[Manifest], document: dict) -> Manifest:
    """Build a manifest of the fields that it knows; JSON has no tuples."""
    known = {item.name: document[item.name] for item in fields(manifest_class) if item.name in document}
    return manifest_class(**{item.name: tuple(known[item.name]) if "tuple" in str(item.type) else known[item.name]
                             for item in fields(manifest_class) if item.name in known})


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as lower-case hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def verify_files(version_dir: Path, manifest: Manifest) -> None:
    """Raise ManifestError unless every file that the manifest names is there with the sha256 it states."""
    for name, expected in manifest.files.items():
        path = version_dir / name
        if not path.is_file():
            raise ManifestError(f"{path} is missing")
        actual = sha256_of(path)
        if actual != expected:
            raise ManifestError(f"{path} has sha256 {actual[:12]}… but the manifest states {expected[:12]}…; "
                                "the file was changed or damaged, export the model again")
