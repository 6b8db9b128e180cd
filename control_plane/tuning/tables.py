"""Tables of the training batches and of the intent model's versions."""

from datetime import datetime

from sqlalchemy import JSON, Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.schema import MYSQL_OPTIONS, Base, UtcDateTime

BATCH_STATES = CREATED, RUNNING, SUCCEEDED, FAILED = ("created", "running", "succeeded", "failed")
VERDICTS = PASS, FAIL, INCONCLUSIVE = ("pass", "fail", "inconclusive")  # as training.gate names them
ID_MAX_CHARS = 32
DESCRIPTION_MAX_CHARS = 1000
_OptionalJson = JSON(none_as_null=True)


class TrainingBatchRow(Base):
    """One training, from the labels to a judged version."""

    __tablename__ = "intent_model_training_batches"

    batch_id: Mapped[str] = mapped_column(String(ID_MAX_CHARS), primary_key=True)  # sorts by creation
    description: Mapped[str] = mapped_column(String(DESCRIPTION_MAX_CHARS))
    recipe: Mapped[str] = mapped_column(String(16))
    training_status: Mapped[str] = mapped_column(String(16), default=CREATED)  # one of BATCH_STATES
    job_id: Mapped[str | None] = mapped_column(String(32))                # of the job that runs it
    auto_extract_keywords: Mapped[bool] = mapped_column(Boolean, default=False)
    taxonomy_revision: Mapped[int | None] = mapped_column(Integer)        # what follows is None before it ran so far
    question_count: Mapped[int | None] = mapped_column(Integer)
    data_hash: Mapped[str | None] = mapped_column(String(64))             # sha256 of the snapshot's examples
    model_path: Mapped[str | None] = mapped_column(String(500))           # of the trained checkpoint
    model_version: Mapped[str | None] = mapped_column(String(80))
    metrics: Mapped[dict | None] = mapped_column(_OptionalJson)           # on the frozen test set
    error: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_intent_model_training_batches_training_status", "training_status"), MYSQL_OPTIONS)


class ModelVersionRow(Base):
    """A version of the intent model that a batch brought forth, and what the gate found."""

    __tablename__ = "intent_model_versions"

    version: Mapped[str] = mapped_column(String(80), primary_key=True)    # <model>-<Triton version>
    triton_version: Mapped[int] = mapped_column(Integer)
    model_path: Mapped[str] = mapped_column(String(500))
    training_batch_id: Mapped[str] = mapped_column(
        String(ID_MAX_CHARS), ForeignKey(TrainingBatchRow.batch_id), unique=True)
    is_active: Mapped[bool] = mapped_column(Boolean, default=False)       # kept by control_plane.tuning.deployment
    metrics: Mapped[dict] = mapped_column(JSON)
    verdict: Mapped[str] = mapped_column(String(16))                      # one of VERDICTS
    gate: Mapped[dict] = mapped_column(JSON)                              # every check, as training.gate gives it
    champion_version: Mapped[str | None] = mapped_column(String(80))      # that it was judged against
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    activated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_intent_model_versions_triton_version", "triton_version"), MYSQL_OPTIONS)
