"""Tables of access: keys (without their secrets) and the audit log."""

from datetime import datetime

from sqlalchemy import JSON, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.access.key_format import KEY_ID_CHARS
from control_plane.database.schema import MYSQL_OPTIONS, Base, UtcDateTime, utc_now

KEY_NAME_MAX_CHARS = 64
ACTION_MAX_CHARS = 64
SUBJECT_MAX_CHARS = 255
_Actor = String(191)


class ApiKeyRow(Base):
    """One key. A key that was revoked or has expired keeps its row, so that the audit log can be read."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(KEY_ID_CHARS), primary_key=True)
    name: Mapped[str] = mapped_column(String(KEY_NAME_MAX_CHARS))
    sha256: Mapped[str] = mapped_column(String(64))  # hexadecimal, of the whole key
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    created_by: Mapped[str] = mapped_column(_Actor)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_by: Mapped[str | None] = mapped_column(_Actor)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # to within control_plane.access.keys.USE_STEP_S


class AuditRow(Base):
    """One change, or one refusal. Rows are only ever added."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    actor: Mapped[str] = mapped_column(_Actor)                      # name of the key, "" where nobody is known
    key_id: Mapped[str | None] = mapped_column(String(KEY_ID_CHARS))  # None: the key in admin.key, or none at all
    action: Mapped[str] = mapped_column(String(ACTION_MAX_CHARS))   # the route, `conch …`, or "denied"
    subject: Mapped[str] = mapped_column(String(SUBJECT_MAX_CHARS))  # method and path, or the key's id
    status: Mapped[int | None] = mapped_column(Integer)             # of the HTTP answer; None: the command line
    detail: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))
    remote_address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(128))

    __table_args__ = (Index("ix_audit_log_actor_id", "actor", "id"), MYSQL_OPTIONS)
