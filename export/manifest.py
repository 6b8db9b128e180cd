"""manifest.json: what a version is, where it came from and how it was proven. Standard library only."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from export.contract import MANIFEST_FILE, ConchError

FORMAT = 1
_CHUNK_BYTES = 1 << 20


class ManifestError(ConchError):
    """A version directory has no readable manifest, or its files are not the ones that the manifest describes."""


@dataclass(frozen=True)
class Manifest:
    """Everything that a version's readers need to know; written once, never changed."""

    model: str
    version: int
    task: str                      # "embedding"
    source: str                    # e.g. "hub:sentence-transformers/all-MiniLM-L6-v2"
    revision: str | None           # the commit or digest actually resolved
    engine: str                    # "openvino" or "onnxruntime"
    precision: str                 # "fp32", "bf16" or "int8"
    dimension: int
    max_tokens: int                # special tokens included
    pad_token_id: int
    pooling: tuple[str, ...]       # pooling modes, concatenated in this order
    pools_prompt: bool             # false: the prompt's tokens are left out of the pooling
    normalized: bool               # whether embeddings have length 1 unless a request says otherwise
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    parity: dict[str, float | int | str] = field(default_factory=dict)
    golden_text: str = ""          # what a loaded version is asked to prove itself; versions of old have none
    golden_embedding: tuple[float, ...] = ()  # the original's answer, [dimension]
    created_at: str = ""           # UTC, ISO 8601
    built_with: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)  # file name -> sha256

    def write(self, version_dir: Path) -> None:
        """Write the manifest into `version_dir`."""
        document = {"format": FORMAT, **asdict(self)}
        text = json.dumps(document, ensure_ascii=False, indent=2)
        (version_dir / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def read_manifest(version_dir: Path) -> Manifest:
    """Read the manifest of `version_dir`; raises ManifestError naming the file and what is wrong with it."""
    path = version_dir / MANIFEST_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ManifestError(f"{path} is not a manifest of format {FORMAT}")
    known = {item.name for item in fields(Manifest)}
    try:
        manifest = Manifest(**{key: value for key, value in document.items() if key in known})
        # JSON has no tuples.
        return replace(manifest, pooling=tuple(manifest.pooling), golden_embedding=tuple(manifest.golden_embedding))
    except TypeError as error:
        raise ManifestError(f"{path} lacks a field or has a wrong one: {error}") from error


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
