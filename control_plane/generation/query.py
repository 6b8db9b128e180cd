"""Answers a query with a context, within the tokens that a model has room for. Knows no HTTP and no jobs."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from control_plane.generation.generation_service import GenerationService
from control_plane.generation.request import DROPPABLE, GenerationRequest
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


def answer_query(generation: GenerationService, asked: QueryArguments) -> dict:
    """Return result, usage and how many parts of the context were left out; raises what GenerationService.answer does.

    Servers elsewhere get the whole context: only they know their room.
    """
    context = [{"role": "system", "content": text, DROPPABLE: True} for text in asked.context]
    given = {"max_tokens": asked.max_length, "temperature": asked.temperature}
    answers = generation.answer(asked.model_id, GenerationRequest(
        messages=[*context, {"role": "user", "content": asked.query}],
        sampling={name: value for name, value in given.items() if value is not None}))
    answer = answers.by_index[0]
    return {"model_id": asked.model_id, "result": answer.text, "finish_reason": answer.finish_reason,
            "usage": answers.usage(), "dropped_context": answers.dropped_messages}
