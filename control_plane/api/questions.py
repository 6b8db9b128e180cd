"""REST for administrators: erasing what somebody asked."""

from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.guard import add_audit_detail, hides_body
from control_plane.access.scopes import ADMIN, needs_scope
from control_plane.api.fields import Subject
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("questions", __name__, url_prefix="/api/v1/model-tuning/questions",
                         abp_tags=[Tag(name="privacy")], abp_security=[{"bearer": []}])


class EraseBody(BaseModel):
    """Whose questions. In the body and not in the path, which logs would keep."""

    model_config = ConfigDict(extra="forbid")

    subject: Subject = Field(description="Who asked, as `subject` of the predictions named them.")


class Erased(BaseModel):
    """What was erased."""

    erased: int = Field(description="Questions in the database; those on their way there are erased when they arrive.")


@blueprint.post("/erase", responses={"200": Erased, **problem_responses(400, 401, 413, 415, 422, 503)},
                summary="Erase what somebody asked")
@hides_body
@needs_scope(ADMIN)
def erase_questions(body: EraseBody):
    """Blank all questions of a subject and their labels, for good; no later training has them."""
    erased = services(current_app).tuning.erase_subject(body.subject)
    add_audit_detail(erased=str(erased))
    return {"erased": erased}
