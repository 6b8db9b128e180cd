"""Answers a query with a context, within the tokens that a model has room for. Knows no HTTP and no jobs."""

from control_plane.generation.generation_service import GenerationService
from control_plane.generation.query_arguments import QueryArguments
from control_plane.generation.request import DROPPABLE, GenerationRequest


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
