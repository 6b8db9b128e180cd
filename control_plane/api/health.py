"""/health (is this process alive) and /ready (would a request be answered), for load balancers; no key needed."""

import orjson
from flask import Response, current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from control_plane.memory.budget import read_machine_memory
from control_plane.problems import RETRY_AFTER_S, problem_responses
from control_plane.services import services

blueprint = APIBlueprint("health", __name__, abp_tags=[Tag(name="health")])
_PROBLEMS = problem_responses(503)
# A 503 is a problem when Triton cannot be asked, and else the same answer as 200.
_READY_RESPONSES = {**_PROBLEMS, "503": {**_PROBLEMS["503"], "content": {
    "application/json": {"schema": {"$ref": "#/components/schemas/Readiness"}}, **_PROBLEMS["503"]["content"]}}}


class Health(BaseModel):
    """The process answers."""

    status: str
    service: str
    loaded_models_count: int | None
    memory_usage: float = Field(description="Percent of the machine's memory that is in use.")


class Readiness(BaseModel):
    """For every model that is or should be loaded: `ready`, or why not."""

    ready: bool
    models: dict[str, str]


@blueprint.get("/health", responses={"200": Health, **problem_responses()}, summary="Liveness")
def health():
    """Answer whenever the process is alive, also without Triton."""
    return {"status": "healthy", "service": "conch", "loaded_models_count": services(current_app).models.loaded_count(),
            "memory_usage": read_machine_memory().used_percent}


@blueprint.get("/ready", responses={"200": Readiness, **_READY_RESPONSES}, summary="Readiness")
def ready():
    """Answer 200 when every model that should be loaded has just answered an inference, else 503."""
    models = services(current_app).models.readiness()
    is_ready = all(state == "ready" for state in models.values())
    response = Response(orjson.dumps({"ready": is_ready, "models": models}), 200 if is_ready else 503,
                        content_type="application/json")
    if not is_ready:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
