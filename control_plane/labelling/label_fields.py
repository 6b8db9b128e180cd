"""Field types of labels, for requests and for rows of an import. Knows neither of them."""

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from control_plane.labelling.tables import INTENT_NAME_MAX_CHARS, LABELER_MAX_CHARS, QUESTION_ID_MAX_CHARS

MAX_INTENTS = 32
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"

IntentNames = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=INTENT_NAME_MAX_CHARS)]],
    Field(max_length=MAX_INTENTS, description="Names of intents; an empty list is out of scope.",
          json_schema_extra={"example": ["wealth"]})]
LabelerId = Annotated[str, StringConstraints(min_length=1, max_length=LABELER_MAX_CHARS, pattern=_PRINTABLE), Field(
    description="Who labels; default the name of the key.")]
QuestionId = Annotated[str, StringConstraints(min_length=1, max_length=QUESTION_ID_MAX_CHARS, pattern="^[0-9a-z-]+$"),
                       Field(json_schema_extra={"example": "0193d1c8f0d77c0fb1c3e9a4d2b86f10"})]


def _check_day(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(f"{text!r} is no day like 2026-02-17")
    return date.fromisoformat(text).isoformat()


_Day = Annotated[str, AfterValidator(_check_day), WithJsonSchema({"type": "string", "format": "date"})]
_Year = Annotated[int, Field(ge=1, le=9999, strict=True)]
_Month = Annotated[int, Field(ge=1, le=12, strict=True)]


class TimeIntentFields(BaseModel):
    """The time that a question is about, as control_plane.intents.time_intent writes it."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(max_length=64, pattern="^[a-z][a-z0-9_]*$", description="For example this_year.")
    target_years: list[_Year] = Field([], max_length=200)
    target_months: list[_Month] | None = Field(None, max_length=12)
    start: _Day | None = Field(None, description="First day.")
    end: _Day | None = Field(None, description="Last day.")

    def to_json(self) -> dict:
        """Return it as it is kept, without what was not given."""
        return self.model_dump(exclude_none=True)
