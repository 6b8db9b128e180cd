"""The audit log: who changed what, and who was refused. Lines are added and read, never changed; holds no secret."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from control_plane.access.key_format import hide_keys
from control_plane.access.tables import ACTION_MAX_CHARS, SUBJECT_MAX_CHARS, AuditRow
from control_plane.database.database import Database
from control_plane.database.schema import utc_now

DENIED = "denied"


@dataclass(frozen=True)
class AuditEntry:
    """What happened, from where."""

    actor: str
    action: str
    subject: str
    key_id: str | None = None
    status: int | None = None
    detail: dict | None = None
    remote_address: str | None = None
    request_id: str | None = None


class AuditLog:
    """The audit log in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entry: AuditEntry, at: datetime | None = None) -> None:
        """Add a line. What a caller wrote is cut to its column, and keys that they wrote are made unreadable."""
        row = AuditRow(
            at=at or utc_now(), actor=entry.actor, key_id=entry.key_id, action=entry.action[:ACTION_MAX_CHARS],
            subject=hide_keys(_printable(entry.subject))[:SUBJECT_MAX_CHARS], status=entry.status, detail=entry.detail,
            remote_address=entry.remote_address,
            request_id=entry.request_id and hide_keys(entry.request_id))
        with self._database.write() as session:
            session.add(row)

    def page(self, limit: int, before: int | None = None, actor: str | None = None) -> list[AuditRow]:
        """Return up to `limit` lines, newest first: those below the id `before`, and of one actor if one is given."""
        query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(AuditRow.id < before)
        if actor is not None:
            query = query.where(AuditRow.actor == actor)
        with self._database.read() as session:
            return list(session.scalars(query))


def _printable(text: str) -> str:
    """Databases refuse lone surrogates, which a path may hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
