"""REST for administrators and applications: /api/v1/models."""

from typing import Literal

import numpy as np
from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, model_validator

from control_plane.access.scopes import ADMIN, INFER, needs_scope
from control_plane.api.changes import change
from control_plane.api.fields import ModelName, ModelWeights, Reason
from control_plane.api.text_limits import check_texts
from control_plane.combination import Combination
from control_plane.json_schema import only
from control_plane.problems import INFERENCE_STATUSES, problem_responses
from control_plane.services import services
from export.contract import NORMALIZE_PARAMETER, PROMPT_NAME_PARAMETER, TRUNCATE_PARAMETER

blueprint = APIBlueprint("models", __name__, url_prefix="/api/v1/models", abp_tags=[Tag(name="models")],
                         abp_security=[{"bearer": []}])


# What a change of a model may answer.
CHANGE_STATUSES = (400, 401, 404, 409, 412, 413, 415, 422, 502, 503, 504, 507)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ModelQuery(_Strict):
    """Which model."""

    type: ModelName


class UnloadBody(_Strict):
    """Which model, and why."""

    model_type: ModelName
    reason: Reason = ""


class LoadBody(UnloadBody):
    """Which model, why, and whether it stays."""

    policy: Literal["preload", "on_demand"] | None = Field(None, description=(
        "preload: loaded whenever the platform runs. on_demand: loaded by the first request, unloaded when idle. "
        "Default: what it was, preload at first."))


class EmbeddingBody(_Strict):
    """One text or several, and how to embed them."""

    model_config = ConfigDict(json_schema_extra={
        "oneOf": [only("text", "texts"), only("texts", "text")],
        "not": {"required": ["models", "normalize"],
                "properties": {"models": {"type": "object"}, "normalize": {"const": False}}}})

    text: str | None = Field(None, description="One text; the answer then has `embedding`.")
    texts: list[str] | None = Field(None, min_length=1, description="Several; the answer then has `embeddings`.")
    model_type: ModelName = "fast"
    models: ModelWeights | None = Field(None, description="Several models in place of `model_type`.")
    prompt_name: str | None = Field(None, description="A prompt of the model, put before every text.")
    truncate: bool = Field(True, strict=True, description="Cut texts that are too long; false makes them an error.")
    normalize: bool | None = Field(None, strict=True, description="Scale to length 1; default what the model does.")

    @model_validator(mode="after")
    def _one_of_text_and_texts(self) -> "EmbeddingBody":
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        if self.models is not None and self.normalize is False:
            raise ValueError("a combination of models always has length 1, so normalize cannot be false")
        return self

    def parameters(self) -> dict[str, str | bool]:
        """Return the request parameters for the text_encoder backend, those at their default left out."""
        given = {PROMPT_NAME_PARAMETER: self.prompt_name, NORMALIZE_PARAMETER: self.normalize}
        parameters = {name: value for name, value in given.items() if value is not None}
        return parameters if self.truncate else {**parameters, TRUNCATE_PARAMETER: False}


class ModelDescription(BaseModel):
    """What is known of a model."""

    name: str
    hub_id: str | None
    task: str | None
    family: str | None
    dimension: int | None
    size_mb: int | None
    max_tokens: int | None
    languages: list[str] | None
    use_case: str | None
    licence: str | None
    unsupported: str | None = Field(description="Why it cannot be served.")
    state: str = Field(description="loaded, exported, not_exported, remote (another server answers) or unsupported.")
    versions: list[int]
    loaded_versions: list[int]
    wanted: bool = Field(description="Whether requests should be answered.")
    policy: str = Field(description="preload or on_demand.")
    active_version: int | None = Field(description="What requests without a version get.")
    previous_version: int | None = Field(description="Where a rollback goes.")
    configuration: dict[str, int] = Field(description="What was set at run time, over config.pbtxt.")
    revision: int = Field(description="Grows with every change; the ETag of /versions.")
    targets: dict[str, dict] = Field(description="What was last seen on each Triton: ready versions, or the error.")
    newest_version: dict | None = Field(None, description="From the manifest of the newest exported version.")


class ModelList(BaseModel):
    """Every known model."""

    models: list[ModelDescription]


class EmbeddingAnswer(BaseModel):
    """The embeddings, in the order of the texts."""

    model: str | None = None
    model_version: str | None = None
    models: dict[str, str] | None = Field(None, description="Of a combination: each model with its version.")
    dimension: int
    embedding: list[float] | None = None
    embeddings: list[list[float]] | None = None
    token_counts: list[int] | None = None


@blueprint.get("/list", responses={"200": ModelList, **problem_responses(401)}, summary="List the known models")
@needs_scope(INFER)
def list_models():
    """List every known model with its state."""
    return {"models": services(current_app).models.describe_all()}


@blueprint.get("/info", responses={"200": ModelDescription, **problem_responses(401, 404, 422, 503)},
               summary="Describe one model")
@needs_scope(INFER)
def describe_model(query: ModelQuery):
    """Describe one model, with the manifest of its newest version."""
    return services(current_app).models.describe(query.type)


@blueprint.post("/load", responses={"200": ModelDescription, **problem_responses(*CHANGE_STATUSES)},
                summary="Load a model")
@needs_scope(ADMIN)
def load_model(body: LoadBody):
    """Load the active version (the newest where none was ever active); answers when it is ready and proven."""
    services(current_app).lifecycle.load(body.model_type, change(body.reason), body.policy)
    return services(current_app).models.describe(body.model_type)


@blueprint.post("/unload",
                responses={"200": ModelDescription, **problem_responses(*CHANGE_STATUSES)},
                summary="Unload a model")
@needs_scope(ADMIN)
def unload_model(body: UnloadBody):
    """Unload a model and give its memory back."""
    services(current_app).lifecycle.unload(body.model_type, change(body.reason))
    return services(current_app).models.describe(body.model_type)


@blueprint.post("/embedding", responses={"200": EmbeddingAnswer, **problem_responses(*INFERENCE_STATUSES)},
                summary="Embed texts")
@needs_scope(INFER)
def embed(body: EmbeddingBody):
    """Embed one text or several."""
    field = "text" if body.texts is None else "texts"
    texts = [body.text] if body.texts is None else body.texts
    check_texts(field, texts, services(current_app).settings)
    if body.models is not None:
        return _embed_combined(body, texts)
    name, answer = services(current_app).models.embed(body.model_type, texts, body.parameters())
    vectors = np.ascontiguousarray(answer.vectors)
    shaped = {"embedding": vectors[0]} if body.texts is None else {"embeddings": vectors}
    return {"model": name, "model_version": answer.model_version, "dimension": vectors.shape[1], **shaped,
            "token_counts": answer.token_counts}


def _embed_combined(body: EmbeddingBody, texts: list[str]) -> dict:
    answer = Combination(services(current_app).models, body.models).embed(texts, body.parameters())
    vectors = np.ascontiguousarray(answer.vectors)
    shaped = {"embedding": vectors[0]} if body.texts is None else {"embeddings": vectors}
    return {"models": answer.versions, "dimension": vectors.shape[1], **shaped}
