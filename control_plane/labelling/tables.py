"""Tables of labelling: the taxonomy and its history, annotations, what they come to, leases, out-of-fold scores.

The questions themselves are in control_plane.questions.tables. Rows here refer to them by id without a foreign key,
because retention takes questions away and leaves annotations.
"""

from datetime import datetime

from sqlalchemy import JSON, Boolean, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.schema import MYSQL_OPTIONS, Base, UtcDateTime, utc_now

INTENT_NAME_MAX_CHARS = 64
DISPLAY_NAME_MAX_CHARS = 128
LABELER_MAX_CHARS = 191
QUESTION_ID_MAX_CHARS = 32
MODEL_VERSION_MAX_CHARS = 64
FINGERPRINT_MAX_CHARS = 64

ACTIVE, RETIRED, MERGED = "active", "retired", "merged"  # states of an intent

# Where an annotation comes from.
QUEUE, BLIND, REVIEW, IMPORT, SEED = "queue", "blind", "review", "import", "seed"
ORIGINS = (QUEUE, BLIND, REVIEW, IMPORT, SEED)

# Why the queue gave a question.
UNCERTAIN, DIVERSE, RANDOM = "uncertain", "diverse", "random"
SLICES = (UNCERTAIN, DIVERSE, RANDOM)

# What the annotations of a question come to.
LABELLED, DISPUTED, SKIPPED = "labelled", "disputed", "skipped"


class IntentRow(Base):
    """One intent of the taxonomy. A merged one stays, so that past labels lead to what it became."""

    __tablename__ = "intent_labels"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(INTENT_NAME_MAX_CHARS), unique=True)
    display_name: Mapped[str] = mapped_column(String(DISPLAY_NAME_MAX_CHARS))
    description: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), default=ACTIVE)
    merged_into: Mapped[int | None] = mapped_column(Integer)   # the intent whose past labels these are now
    position: Mapped[int] = mapped_column(Integer)             # order of the active ones; a snapshot keeps it
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class TaxonomyChangeRow(Base):
    """One change of the taxonomy; its number is the revision that it made. Rows are only ever added."""

    __tablename__ = "intent_taxonomy_changes"

    revision: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    actor: Mapped[str] = mapped_column(String(191))
    action: Mapped[str] = mapped_column(String(16))  # add, change, merge, retire
    intent: Mapped[str] = mapped_column(String(INTENT_NAME_MAX_CHARS))  # its name before the change
    detail: Mapped[dict] = mapped_column(JSON)
    reason: Mapped[str] = mapped_column(Text, default="")


class AnnotationRow(Base):
    """What one person said of one question. Never changed but to be marked as undone."""

    __tablename__ = "intent_annotations"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    question_id: Mapped[str] = mapped_column(String(QUESTION_ID_MAX_CHARS))
    labeler: Mapped[str] = mapped_column(String(LABELER_MAX_CHARS))
    intents: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))  # ids; empty: out of scope; None: a skip
    time_intent: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))
    origin: Mapped[str] = mapped_column(String(16))
    slice: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_intent_annotations_question_id", "question_id", "id"),
                      Index("ix_intent_annotations_origin", "origin", "id"), MYSQL_OPTIONS)


class ResolutionRow(Base):
    """What the annotations of a question come to; there as long as it has one that is not undone."""

    __tablename__ = "intent_resolutions"

    question_id: Mapped[str] = mapped_column(String(QUESTION_ID_MAX_CHARS), primary_key=True)
    fingerprint: Mapped[str | None] = mapped_column(String(FINGERPRINT_MAX_CHARS))  # exact duplicates share it
    state: Mapped[str] = mapped_column(String(16))
    intents: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))  # where labelled
    time_intent: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))
    origin: Mapped[str] = mapped_column(String(16))
    slice: Mapped[str | None] = mapped_column(String(16))
    first_labeler: Mapped[str] = mapped_column(String(LABELER_MAX_CHARS))
    wants_second: Mapped[bool] = mapped_column(Boolean, default=False)  # is to be given to another person, blind
    resolved_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    __table_args__ = (Index("ix_intent_resolutions_fingerprint", "fingerprint"),
                      Index("ix_intent_resolutions_wants_second", "wants_second", "resolved_at"),
                      Index("ix_intent_resolutions_state", "state", "question_id"), MYSQL_OPTIONS)


class PropagationRow(Base):
    """Words of which something was decided that has not reached every duplicate; gone as soon as it has."""

    __tablename__ = "intent_label_propagations"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    fingerprint: Mapped[str] = mapped_column(String(FINGERPRINT_MAX_CHARS))
    after_id: Mapped[str] = mapped_column(String(QUESTION_ID_MAX_CHARS), default="")  # up to here they are marked

    __table_args__ = (Index("ix_intent_label_propagations_fingerprint", "fingerprint"), MYSQL_OPTIONS)


class SplitRow(Base):
    """Whether an example is for testing or training, for good; stays when its label is undone or changed."""

    __tablename__ = "intent_example_splits"

    question_id: Mapped[str] = mapped_column(String(QUESTION_ID_MAX_CHARS), primary_key=True)
    split: Mapped[str] = mapped_column(String(8))
    assigned_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class LabelLeaseRow(Base):
    """A question that the queue gave to somebody, until when. Ids grow, and page through what one person has."""

    __tablename__ = "intent_label_leases"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    question_id: Mapped[str] = mapped_column(String(QUESTION_ID_MAX_CHARS), unique=True)
    fingerprint: Mapped[str | None] = mapped_column(String(FINGERPRINT_MAX_CHARS), unique=True)
    labeler: Mapped[str] = mapped_column(String(LABELER_MAX_CHARS))
    slice: Mapped[str | None] = mapped_column(String(16))
    is_blind: Mapped[bool] = mapped_column(Boolean, default=False)  # for a second opinion
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("ix_intent_label_leases_labeler", "labeler", "id"),
                      Index("ix_intent_label_leases_expires_at", "expires_at"), MYSQL_OPTIONS)


class OutOfFoldScoreRow(Base):
    """Scores of a labelled question by a model that was not trained on it; those of the newest training are kept."""

    __tablename__ = "intent_out_of_fold_scores"

    question_id: Mapped[str] = mapped_column(String(QUESTION_ID_MAX_CHARS), primary_key=True)
    model_version: Mapped[str] = mapped_column(String(MODEL_VERSION_MAX_CHARS))
    scores: Mapped[dict[str, float]] = mapped_column(JSON)      # intent name -> score
