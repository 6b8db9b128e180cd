"""Makes, lists and revokes API keys. A key's secret is returned once and never kept; knows nothing of requests."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update

from control_plane.access.key_format import digest_key, hide_keys, make_key
from control_plane.access.tables import KEY_NAME_MAX_CHARS, ApiKeyRow
from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.errors import KeyNotFoundError

# Whether a key is still in use is a question of days; a write for every request would be one for nothing.
USE_STEP_S = 600
# Of names that check_key_name takes, for JSON schemas.
NAME_PATTERN = rf"^(?!admin$|conch)[A-Za-z0-9][A-Za-z0-9 ._@-]{{0,{KEY_NAME_MAX_CHARS - 1}}}$"
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9 ._@-]{{0,{KEY_NAME_MAX_CHARS - 1}}}")


@dataclass(frozen=True)
class ApiKey:
    """What is kept of one key, detached from the database."""

    id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None

    def is_expired(self, now: datetime) -> bool:
        """Return whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at

    def state(self, now: datetime) -> str:
        """Return active, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.is_expired(now) else "active"


def check_key_name(name: str) -> str:
    """Return `name` if a key may have it; raises ValueError. Nobody may appear in the audit log as what we are."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name for a key: letters, digits, spaces and . _ @ -, beginning with a "
                         f"letter or digit, at most {KEY_NAME_MAX_CHARS}")
    if name == "admin" or name.startswith("conch"):
        raise ValueError(f"{name!r} is what the platform itself goes by in the audit log; take another name")
    return name


class KeyStore:
    """The keys in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, scopes: tuple[str, ...], lifetime: timedelta | None,
               created_by: str) -> tuple[str, ApiKey]:
        """Make a key and return it with what is kept of it; `lifetime` None is for ever."""
        key, key_id = make_key()
        now = utc_now()
        row = ApiKeyRow(id=key_id, name=name, sha256=digest_key(key).hex(), scopes=sorted(set(scopes)), created_at=now,
                        created_by=created_by, expires_at=None if lifetime is None else now + lifetime)
        with self._database.write() as session:
            session.add(row)
        return key, _api_key(row)

    def find(self, key_id: str) -> ApiKey | None:
        """Return a key by its id."""
        with self._database.read() as session:
            row = session.get(ApiKeyRow, key_id)
            return _api_key(row) if row else None

    def all(self) -> list[ApiKey]:
        """Return every key that was ever made, oldest first."""
        with self._database.read() as session:
            return [_api_key(row) for row in session.scalars(
                select(ApiKeyRow).order_by(ApiKeyRow.created_at, ApiKeyRow.id))]

    def revoke(self, key_id: str, revoked_by: str) -> ApiKey:
        """Revoke a key for good; one that is revoked already stays as it is. Raises KeyNotFoundError."""
        with self._database.write() as session:
            row = session.get(ApiKeyRow, key_id, with_for_update=True)
            if row is None:
                raise KeyNotFoundError(hide_keys(key_id))
            if row.revoked_at is None:
                row.revoked_at, row.revoked_by = utc_now(), revoked_by
            return _api_key(row)

    def note_use(self, key_id: str) -> None:
        """Keep that a key is in use, unless that was kept within the last USE_STEP_S."""
        now = utc_now()
        with self._database.write() as session:
            session.execute(update(ApiKeyRow).where(
                ApiKeyRow.id == key_id,
                or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at < now - timedelta(seconds=USE_STEP_S)),
            ).values(last_used_at=now))


_FIELDS = ("id", "name", "sha256", "created_at", "created_by", "expires_at", "revoked_at", "revoked_by", "last_used_at")


def _api_key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(scopes=tuple(row.scopes), **{field: getattr(row, field) for field in _FIELDS})
