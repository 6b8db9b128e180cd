"""REST for one query with its context, answered at once or by a job."""

from flask import current_app, g
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import INFER, needs_scope
from control_plane.api.changes import answer_with_job
from control_plane.api.fields import GeneratorName
from control_plane.api.jobs import JobDescription
from control_plane.api.text_limits import check_texts
from control_plane.generation.query import answer_query
from control_plane.generation.query_arguments import QueryArguments
from control_plane.jobs.kinds import GENERATE
from control_plane.problems import INFERENCE_STATUSES, problem_responses
from control_plane.services import services

blueprint = APIBlueprint("generate", __name__, abp_tags=[Tag(name="generation")], abp_security=[{"bearer": []}])


class GenerateBody(QueryArguments):
    """A query, its context, and whether to wait for the answer."""

    model_id: GeneratorName | None = Field(None, description="Default: CONCH_GENERATION_MODEL.")
    use_async: bool = Field(False, strict=True, description="Answer with a job (202) whose result the answer will be.")


class GenerateUsage(BaseModel):
    """Tokens of prompt and answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class GenerateAnswer(BaseModel):
    """The answer to a query."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    result: str
    finish_reason: str | None = Field(description="stop, or length where it reached max_length or the time limit.")
    usage: GenerateUsage
    dropped_context: int = Field(description="Parts of the context, the oldest, that had no room.")


@blueprint.post("/generate", responses={"200": GenerateAnswer, "202": JobDescription,
                                        **problem_responses(*INFERENCE_STATUSES)}, summary="Answer a query")
@needs_scope(INFER)
def generate(body: GenerateBody):
    """Answer a query with its context."""
    found = services(current_app)
    check_texts("query", [body.query], found.settings)
    check_texts("context", body.context, found.settings)
    asked = QueryArguments(**body.model_dump(exclude={"use_async", "model_id"}),
                           model_id=body.model_id or found.settings.generation_model)
    if body.use_async:
        found.generation.check(asked.model_id)
        return answer_with_job(found.jobs.submit(GENERATE, asked, g.actor))
    return answer_query(found.generation, asked)
