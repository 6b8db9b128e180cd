"""A query with a context, as it is asked for over REST or as a job. Knows nothing of how it is answered.

Processes of jobs read this, and should start without what an answer needs.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from control_plane.json_schema import whole_number

_MOST_TOKENS = 2048
_MOST_CONTEXT = 500


class QueryArguments(BaseModel):
    """A query, and what the model should know when it answers."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    query: str = Field(min_length=1)
    context: list[str] = Field([], max_length=_MOST_CONTEXT, description=(
        "What was said before, or what the answer should draw on, the oldest first. What has no room is left out, the "
        "oldest first, and the answer says how much."))
    max_length: whole_number(1, _MOST_TOKENS) | None = Field(None, description=(
        f"Tokens of the answer, at most {_MOST_TOKENS}. Default: MAX_NEW_TOKENS."))
    temperature: Annotated[float, Field(strict=True, ge=0, le=2, allow_inf_nan=False)] | None = Field(
        None, description="0 takes the likeliest token. Default: GENERATION_TEMPERATURE.")
    model_id: str = Field(max_length=200)
