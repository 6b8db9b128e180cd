"""Tables of the lifecycle: what should be live (models), what happened (model_events), what is (model_targets)."""

from datetime import datetime

from sqlalchemy import JSON, Boolean, Double, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.schema import MYSQL_OPTIONS, Base, UtcDateTime, utc_now
from export.contract import MODEL_NAME_MAX_CHARS

_Name = String(MODEL_NAME_MAX_CHARS)
_TargetName = String(191)

PRELOAD = "preload"      # loaded when the platform starts, never unloaded for want of requests
ON_DEMAND = "on_demand"  # loaded by the first request, unloaded when idle or when its memory is needed
POLICIES = (PRELOAD, ON_DEMAND)


class ModelRow(Base):
    """The desired state of one model. A model that nobody ever loaded has no row."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(_Name, primary_key=True)
    is_wanted: Mapped[bool] = mapped_column(Boolean, default=False)  # an administrator wants requests answered
    policy: Mapped[str] = mapped_column(String(16), default=PRELOAD)
    is_resident: Mapped[bool] = mapped_column(Boolean, default=False)  # holds memory now; on-demand models come and go
    active_version: Mapped[int | None] = mapped_column(Integer)      # what requests without a version get
    previous_version: Mapped[int | None] = mapped_column(Integer)    # where a rollback goes
    keeps_previous_warm: Mapped[bool] = mapped_column(Boolean, default=False)
    extra_versions: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))  # kept loaded beside the active
    targets: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # None: all of them
    configuration: Mapped[dict] = mapped_column(JSON, default=dict)
    revision: Mapped[int] = mapped_column(Integer, default=1)        # grows with every change; the ETag
    activated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ModelEventRow(Base):
    """One change of a model's desired state: who, when, why, from, to. Rows are only ever added."""

    __tablename__ = "model_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    model: Mapped[str] = mapped_column(_Name)
    action: Mapped[str] = mapped_column(String(16))  # load, unload, activate, rollback, configure, keep, let_go
    actor: Mapped[str] = mapped_column(String(191))
    reason: Mapped[str] = mapped_column(Text, default="")
    from_version: Mapped[int | None] = mapped_column(Integer)
    to_version: Mapped[int | None] = mapped_column(Integer)
    detail: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))

    __table_args__ = (Index("ix_model_events_model_id", "model", "id"), MYSQL_OPTIONS)


class ModelTargetRow(Base):
    """What was last seen of one model on one target."""

    __tablename__ = "model_targets"

    model: Mapped[str] = mapped_column(_Name, primary_key=True)
    target: Mapped[str] = mapped_column(_TargetName, primary_key=True)
    versions: Mapped[list[int]] = mapped_column(JSON, default=list)  # ready and proven
    error: Mapped[str | None] = mapped_column(Text)                  # why it is not what it should be
    load_s: Mapped[float | None] = mapped_column(Double)             # how long the last load took
    checked_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
