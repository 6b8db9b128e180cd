"""One line of the spool: what is counted of a question and, with consent, the masked question itself."""

from datetime import date, datetime, timezone
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat

from control_plane.questions.tables import INTENT_MAX_CHARS, METHODS, MODEL_VERSION_MAX_CHARS, VARIANT_MAX_CHARS

# As many characters as a request's text may have by default; what is longer is cut.
QUESTION_MAX_CHARS = 100_000
_Intent = Annotated[str, Field(min_length=1, max_length=INTENT_MAX_CHARS)]
_Digest = Annotated[str, Field(min_length=1, max_length=64)]


class KeptQuestion(BaseModel):
    """What is kept of a question whose asker agreed; everything personal in it is masked already."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=32)]
    question: Annotated[str, Field(max_length=QUESTION_MAX_CHARS)]
    confidence: FiniteFloat
    scores: dict[str, FiniteFloat]
    time_intent: dict | None
    subject_digest: _Digest | None
    fingerprint: _Digest
    uncertainty: FiniteFloat
    random_key: FiniteFloat
    asked_at: AwareDatetime
    variant: Annotated[str, Field(max_length=VARIANT_MAX_CHARS)] | None = None


class SpoolEntry(BaseModel):
    """One question. Both sides check it with this class, so that no line can be written that is refused later on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date                  # of UTC
    method: Literal[METHODS]
    model_version: Annotated[str, Field(max_length=MODEL_VERSION_MAX_CHARS)]
    intents: tuple[_Intent, ...]
    latency_ms: Annotated[FiniteFloat, Field(ge=0)]
    called_llm: bool
    kept: KeptQuestion | None  # None without consent

    def to_line(self) -> bytes:
        """Return the entry as one line of JSON, its end included."""
        return self.model_dump_json().encode() + b"\n"

    def to_row(self) -> dict | None:
        """Return the columns of its QuestionRow, None for a question that is only counted."""
        if self.kept is None:
            return None
        return {**dict(self.kept), "intents": list(self.intents), "method": self.method,
                "model_version": self.model_version, "latency_ms": self.latency_ms, "has_consent": True}


def day_of(moment: datetime) -> date:
    """Return the day of UTC that `moment` lies in."""
    return moment.astimezone(timezone.utc).date()


def read_line(line: bytes) -> SpoolEntry:
    """Return the entry of one line; raises ValueError for one that is damaged or not whole."""
    return SpoolEntry.model_validate_json(line)
