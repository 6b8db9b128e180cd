"""Tables of the question log: the questions, what is counted of them by day, and what keeps both right."""

from datetime import date, datetime

from sqlalchemy import JSON, BigInteger, Boolean, Date, Double, Index, SmallInteger, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.schema import MYSQL_OPTIONS, Base, UtcDateTime

METHODS = LOCAL_MODEL, KEYWORD_FALLBACK, LLM_FALLBACK = ("local_model", "keyword_fallback", "llm_fallback")
TRAINING_STATES = PENDING, USED, SKIPPED = ("pending", "used", "skipped")
# The name under which questions that carry no intent are counted.
OUT_OF_SCOPE = "out_of_scope"
METHOD_MAX_CHARS = 32
MODEL_VERSION_MAX_CHARS = 64
INTENT_MAX_CHARS = 64
VARIANT_MAX_CHARS = 48

# MySQL's TEXT ends at 64 KiB, which a question of 100,000 characters exceeds.
_LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_OptionalJson = JSON(none_as_null=True)


class QuestionRow(Base):
    """One question of somebody who agreed to have it kept, without what tells of whom it is.

    An erased one keeps its row, blank, so that whatever refers to it still finds that it was erased.
    """

    __tablename__ = "intent_user_questions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)       # sorts by when it was asked
    question: Mapped[str] = mapped_column(_LongText)                    # masked
    intents: Mapped[list[str]] = mapped_column(JSON)                    # predicted; empty: out of scope
    confidence: Mapped[float] = mapped_column(Double)
    method: Mapped[str] = mapped_column(String(METHOD_MAX_CHARS))       # one of METHODS
    model_version: Mapped[str] = mapped_column(String(MODEL_VERSION_MAX_CHARS))  # empty: no model answered
    scores: Mapped[dict[str, float]] = mapped_column(JSON)              # of every label
    time_intent: Mapped[dict | None] = mapped_column(_OptionalJson)
    latency_ms: Mapped[float] = mapped_column(Double)
    has_consent: Mapped[bool] = mapped_column(Boolean)
    subject_digest: Mapped[str | None] = mapped_column(String(64))
    fingerprint: Mapped[str | None] = mapped_column(String(64))         # the same for duplicates
    uncertainty: Mapped[float] = mapped_column(Double)                  # distance of the closest score to its threshold
    random_key: Mapped[float] = mapped_column(Double)                   # uniform in [0, 1)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    variant: Mapped[str | None] = mapped_column(String(VARIANT_MAX_CHARS))  # experiment and arm, where it was in one
    is_labeled: Mapped[bool] = mapped_column(Boolean, default=False)
    correct_intent: Mapped[list[str] | None] = mapped_column(_OptionalJson)  # empty: out of scope
    correct_time_intent: Mapped[dict | None] = mapped_column(_OptionalJson)
    # Of a labelled one: how many intents prediction and label share, and how many are in either.
    shared_intents: Mapped[int | None] = mapped_column(SmallInteger)
    either_intents: Mapped[int | None] = mapped_column(SmallInteger)
    training_status: Mapped[str] = mapped_column(String(16), default=PENDING)  # one of TRAINING_STATES
    erased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    # What waits for a label is is_labeled = 0 and training_status = 'pending'; 'skipped' are erased questions, too, and
    # disputed ones until a review decides.
    # The first two indexes hold all that the labelling queue and the accuracy look at, since rows lie far apart on the
    # disk; they end with the id, which MySQL has in every index and SQLite has not.
    __table_args__ = (
        Index("ix_intent_user_questions_uncertain", "is_labeled", "training_status", "uncertainty", "fingerprint",
              "id"),
        Index("ix_intent_user_questions_random", "is_labeled", "training_status", "random_key", "fingerprint",
              "asked_at", "shared_intents", "either_intents", "id"),
        Index("ix_intent_user_questions_is_labeled_id", "is_labeled", "id"),
        Index("ix_intent_user_questions_subject_digest", "subject_digest"),
        Index("ix_intent_user_questions_fingerprint", "fingerprint"),
        Index("ix_intent_user_questions_variant", "variant", "is_labeled"), MYSQL_OPTIONS)


class QuestionDayRow(Base):
    """What was asked on one day of UTC. Says nothing of anybody; retention and erasure leave it as it is."""

    __tablename__ = "intent_question_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    method: Mapped[str] = mapped_column(String(METHOD_MAX_CHARS), primary_key=True)
    model_version: Mapped[str] = mapped_column(String(MODEL_VERSION_MAX_CHARS), primary_key=True)
    questions: Mapped[int] = mapped_column(BigInteger)    # all that were asked
    logged: Mapped[int] = mapped_column(BigInteger)       # of these, the ones with consent
    labeled: Mapped[int] = mapped_column(BigInteger)      # of these, the ones with a label
    llm_calls: Mapped[int] = mapped_column(BigInteger)    # questions that called an LLM
    latency_ms: Mapped[float] = mapped_column(Double)     # sum


class QuestionIntentDayRow(Base):
    """How many questions of one day carried an intent; a question with two counts for both."""

    __tablename__ = "intent_question_intent_days"

    # The key begins with what the statistics group by, so that a database reads the groups as they lie.
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    intent: Mapped[str] = mapped_column(String(INTENT_MAX_CHARS), primary_key=True)
    model_version: Mapped[str] = mapped_column(String(MODEL_VERSION_MAX_CHARS), primary_key=True)
    questions: Mapped[int] = mapped_column(BigInteger)


class QuestionLatencyDayRow(Base):
    """How many questions of one day took how long; the buckets are those of daily_figures.bucket_of."""

    __tablename__ = "intent_question_latency_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    model_version: Mapped[str] = mapped_column(String(MODEL_VERSION_MAX_CHARS), primary_key=True)
    questions: Mapped[int] = mapped_column(BigInteger)


class QuestionSegmentRow(Base):
    """A segment of the spool whose questions are in the database, while its file may still be there."""

    __tablename__ = "intent_question_segments"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    moved_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ErasureRow(Base):
    """A subject all of whose questions from before a moment are erased, also those that are still on their way."""

    __tablename__ = "intent_question_erasures"

    subject_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(UtcDateTime)
