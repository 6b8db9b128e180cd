"""Tables of the experiments, and of what was counted of their arms by hour."""

from datetime import datetime

from sqlalchemy import BigInteger, Double, Integer, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from control_plane.database.schema import Base, UtcDateTime
from export.contract import MODEL_NAME_MAX_CHARS

KINDS = AB, SHADOW = ("ab", "shadow")
STATES = RUNNING, FINISHED, ABORTED = ("running", "finished", "aborted")
ARMS = CONTROL, TREATMENT = ("control", "treatment")
NAME_MAX_CHARS = 100


class ExperimentRow(Base):
    """One experiment: which versions, for whom, and what ends it."""

    __tablename__ = "intent_experiments"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)         # sorts by creation
    name: Mapped[str] = mapped_column(String(NAME_MAX_CHARS))
    model: Mapped[str] = mapped_column(String(MODEL_NAME_MAX_CHARS))
    # The model while it runs and None afterwards: being unique, it lets one run at a time.
    running_model: Mapped[str | None] = mapped_column(String(MODEL_NAME_MAX_CHARS), unique=True)
    kind: Mapped[str] = mapped_column(String(8))                          # one of KINDS
    control_version: Mapped[int] = mapped_column(Integer)                 # versions as Triton numbers them
    treatment_version: Mapped[int] = mapped_column(Integer)
    share: Mapped[float] = mapped_column(Double)                          # of subjects that the treatment gets or sees
    state: Mapped[str] = mapped_column(String(16), default=RUNNING)       # one of STATES
    max_error_share: Mapped[float] = mapped_column(Double)                # budgets of the treatment
    max_p95_ms: Mapped[float | None] = mapped_column(Double)
    min_samples: Mapped[int] = mapped_column(Integer)                     # requests before a budget may end it
    min_difference: Mapped[float] = mapped_column(Double)                 # of agreement that should be found
    created_by: Mapped[str] = mapped_column(String(191))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_by: Mapped[str | None] = mapped_column(String(191))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str | None] = mapped_column(Text)                      # why it ended

    @property
    def versions(self) -> dict[str, int]:
        """The version of each arm."""
        return {CONTROL: self.control_version, TREATMENT: self.treatment_version}

    def variant(self, arm: str) -> str:
        """Return what questions of an arm are logged with."""
        return f"{self.id}:{arm}"


class ExperimentHourRow(Base):
    """What one arm did in one hour of UTC; names nobody."""

    __tablename__ = "intent_experiment_hours"

    experiment_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    arm: Mapped[str] = mapped_column(String(16), primary_key=True)        # one of ARMS
    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger)     # questions that its version was asked
    errors: Mapped[int] = mapped_column(BigInteger)       # of these, the ones that it did not answer
    fallbacks: Mapped[int] = mapped_column(BigInteger)    # the ones left to rules and LLM; shadow: that would be
    llm_calls: Mapped[int] = mapped_column(BigInteger)    # the ones that called an LLM
    agreements: Mapped[int] = mapped_column(BigInteger)   # shadow: the ones in which it saw what the control saw
    dropped: Mapped[int] = mapped_column(BigInteger)      # shadow: questions that it was not asked, being behind


class ExperimentLatencyRow(Base):
    """How many questions of an arm took how long in one hour; buckets are those of questions.daily_figures."""

    __tablename__ = "intent_experiment_latencies"

    experiment_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    arm: Mapped[str] = mapped_column(String(16), primary_key=True)
    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    bucket: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    requests: Mapped[int] = mapped_column(BigInteger)
