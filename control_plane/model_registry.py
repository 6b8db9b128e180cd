"""Which models are known and which are exported: the catalog and the model repository together. Asks no Triton."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from control_plane.errors import (
    ModelLoadError,
    ModelNotExportedError,
    ModelNotFoundError,
    ModelNotServableError,
)
from export.catalog import Catalog, CatalogEntry
from export.contract import (
    CHAT_TEMPLATE_FILE,
    CONFIG_FILE,
    MANIFEST_FILE,
    MODEL_NAME_PATTERN,
    TEXT_GENERATION,
    VLLM_BACKEND,
    version_numbers,
)
from export.manifest import GeneratorManifest, Manifest, ManifestError, read_manifest, verify_files

# Two changes of a directory this close to each other may bear the same time.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class KnownModel:
    """A model by its name in the repository, where a model that is only recorded has lost its files."""

    name: str
    entry: CatalogEntry | None   # None for a model that the catalog does not list
    versions: list[int]          # exported version numbers, ascending


class ModelRegistry:
    """Answers from the disk, and reads again what has changed, so that a new export is seen without a restart.

    `is_recorded` says whether anything was ever decided of a model; such a one is known also without its files.
    """

    def __init__(self, catalog: Catalog, repository: Path,
                 is_recorded: Callable[[str], bool] = lambda name: False) -> None:
        self._catalog = catalog
        self._repository = repository
        self._is_recorded = is_recorded

    def all(self) -> list[KnownModel]:
        """Return the models that there are: those of the catalog in its order, the others of the repository by name."""
        names = [entry.alias for entry in self._catalog.entries]
        others = sorted(set(self._exported_names()) - set(names))
        return [self._known(name) for name in [*names, *others]]

    def find(self, name: str) -> KnownModel:
        """Return the model with this name, alias or hub id.

        Raises ModelNotFoundError listing the known ones. A name that could not be a model's is never made into a path.
        """
        if name in self._catalog:
            return self._known(self._catalog.find(name).alias)
        if MODEL_NAME_PATTERN.match(name) and (self._is_exported(name) or self._is_recorded(name)):
            return self._known(name)
        raise ModelNotFoundError(name, [model.name for model in self.all()])

    def servable(self, name: str, task: str | None = None) -> KnownModel:
        """Return the model if it has a version to load and does `task`, where one is asked for.

        Raises ModelNotServableError or ModelNotExportedError; the former first, as no export would help.
        """
        model = self.find(name)
        if model.entry and model.entry.unsupported:
            raise ModelNotServableError(model.name, model.entry.unsupported)
        known_task = self._task(model) if task else None
        if known_task not in (None, task):
            raise ModelNotServableError(model.name, f"its task is {known_task}, not {task}")
        if model.entry and model.entry.remote:
            raise ModelNotServableError(model.name, _elsewhere(model.entry))
        if not model.versions:
            raise ModelNotExportedError(model.name)
        return model

    def task(self, name: str) -> str | None:
        """Return what the model of that name in the repository does (export.contract.TASKS), None where nobody says."""
        return self._task(self._known(name))

    def generator(self, name: str) -> KnownModel:
        """Return a model that generates text, here or elsewhere; raises what `servable` does."""
        model = self.find(name)
        return model if model.entry and model.entry.remote else self.servable(name, TEXT_GENERATION)

    def check_exportable(self, name: str) -> None:
        """Raise ModelNotFoundError or ModelNotServableError for a model whose export cannot even begin.

        A hub id (org/name) that the catalog does not list is taken at its word.
        """
        if name in self._catalog:
            entry = self._catalog.find(name)
            if entry.unsupported or entry.remote:
                raise ModelNotServableError(entry.alias, entry.unsupported or _elsewhere(entry))
        elif "/" not in name:
            raise ModelNotFoundError(name, [entry.alias for entry in self._catalog.entries])

    def is_for_vllm(self, name: str) -> bool:
        """Return whether NVIDIA's vLLM backend serves a model, all of its versions alike (export.succession)."""
        versions = self._versions(name)
        kind = self._kind(name, versions[-1]) if versions else None
        return kind is not None and kind.engine == VLLM_BACKEND

    def vllm_manifest(self, name: str, version: int) -> GeneratorManifest | None:
        """Return the manifest of a version that NVIDIA's vLLM backend serves, None of any other."""
        kind = self._kind(name, version)
        if kind is None or kind.engine != VLLM_BACKEND:
            return None
        return read_manifest(self._repository / name / str(version))

    def chat_template(self, name: str, version: int) -> str | None:
        """Return the chat template of a version, None where it has none."""
        path = self._repository / name / str(version) / CHAT_TEMPLATE_FILE
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def manifest(self, model: KnownModel, version: int) -> Manifest:
        """Return the manifest of one version."""
        return read_manifest(self._repository / model.name / str(version))

    def newest_manifest(self, model: KnownModel) -> Manifest | None:
        """Return the manifest of the newest version, None where there is none or it cannot be read."""
        try:
            return self.manifest(model, model.versions[-1]) if model.versions else None
        except ManifestError:
            return None

    def verify(self, model: KnownModel, version: int) -> None:
        """Raise ModelLoadError unless the files of a version are those that its manifest states."""
        version_dir = self._repository / model.name / str(version)
        try:
            verify_files(version_dir, read_manifest(version_dir))
        except ManifestError as error:
            raise ModelLoadError(model.name, str(error)) from error

    def size_bytes(self, name: str, version: int) -> int:
        """Return the size of a version's files, 0 where there are none."""
        version_dir = self._repository / name / str(version)
        return sum(path.stat().st_size for path in version_dir.glob("*") if path.is_file())

    def triton_config(self, model: KnownModel) -> str:
        """Return the text of the model's config.pbtxt; raises ModelLoadError when there is none to read."""
        path = self._repository / model.name / CONFIG_FILE
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelLoadError(model.name, f"{path} cannot be read: {error}") from error

    def _task(self, model: KnownModel) -> str | None:
        if model.entry is not None:
            return model.entry.task
        if not model.versions:
            return None
        kind = self._kind(model.name, model.versions[-1])
        return kind and kind.task

    def _kind(self, name: str, version: int) -> "_Kind | None":
        version_dir = self._repository / name / str(version)
        try:
            return _read_kind(version_dir, (version_dir / MANIFEST_FILE).stat().st_mtime_ns)
        except (ManifestError, OSError):
            return None

    def _known(self, name: str) -> KnownModel:
        entry = self._catalog.find(name) if name in self._catalog else None
        return KnownModel(name, entry, self._versions(name))

    def _exported_names(self) -> list[str]:
        if not self._repository.is_dir():
            return []
        return [path.name for path in self._repository.iterdir()
                if MODEL_NAME_PATTERN.match(path.name) and self._is_exported(path.name)]

    def _is_exported(self, name: str) -> bool:
        return (self._repository / name / CONFIG_FILE).is_file() and bool(self._versions(name))

    def _versions(self, name: str) -> list[int]:
        """Return a model's version numbers, ascending; each request asks for them, so they are read once a change."""
        model_dir = self._repository / name
        try:
            changed_at_ns = model_dir.stat().st_mtime_ns
        except FileNotFoundError:
            return []
        if time.time_ns() - changed_at_ns < _SETTLED_NS:
            return version_numbers(model_dir)
        return list(_read_versions(model_dir, changed_at_ns))


@dataclass(frozen=True)
class _Kind:
    """What each request wants to know of a version."""

    task: str
    engine: str


@lru_cache(maxsize=256)
def _read_versions(model_dir: Path, changed_at_ns: int) -> tuple[int, ...]:
    return tuple(version_numbers(model_dir))


@lru_cache(maxsize=256)
def _read_kind(version_dir: Path, changed_at_ns: int) -> _Kind:
    """Each question to an intent model asks for it, and the manifest holds embeddings and checksums besides."""
    manifest = read_manifest(version_dir)
    return _Kind(manifest.task, manifest.engine)


def _elsewhere(entry: CatalogEntry) -> str:
    return f"{entry.remote.url} answers for it; there is nothing to export or to load"
