"""REST for administrators and applications: /api/v1/models."""

import numpy as np
from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, model_validator

from control_plane.api.fields import ModelName
from control_plane.api.text_limits import check_texts
from control_plane.problems import INFERENCE_STATUSES, problem_responses
from control_plane.services import services
from export.contract import NORMALIZE_PARAMETER, PROMPT_NAME_PARAMETER, TRUNCATE_PARAMETER

blueprint = APIBlueprint("models", __name__, url_prefix="/api/v1/models", abp_tags=[Tag(name="models")],
                         abp_security=[{"bearer": []}])


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ModelQuery(_Strict):
    """Which model."""

    type: ModelName


class ModelBody(_Strict):
    """Which model."""

    model_type: ModelName


class EmbeddingBody(_Strict):
    """One text or several, and how to embed them."""

    text: str | None = Field(None, description="One text; the answer then has `embedding`.")
    texts: list[str] | None = Field(None, min_length=1, description="Several; the answer then has `embeddings`.")
    model_type: ModelName = "fast"
    prompt_name: str | None = Field(None, description="A prompt of the model, put before every text.")
    truncate: bool = Field(True, description="Cut texts that are too long; false makes them an error.")
    normalize: bool | None = Field(None, description="Scale to length 1; default what the model does.")

    @model_validator(mode="after")
    def _one_of_text_and_texts(self) -> "EmbeddingBody":
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
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
    state: str = Field(description="loaded, exported, not_exported or unsupported.")
    versions: list[int]
    loaded_versions: list[int]
    newest_version: dict | None = Field(None, description="From the manifest of the newest exported version.")


class ModelList(BaseModel):
    """Every known model."""

    models: list[ModelDescription]


class EmbeddingAnswer(BaseModel):
    """The embeddings, in the order of the texts."""

    model: str
    model_version: str
    dimension: int
    embedding: list[float] | None = None
    embeddings: list[list[float]] | None = None
    token_counts: list[int]


@blueprint.get("/list", responses={"200": ModelList, **problem_responses(401)}, summary="List the known models")
def list_models():
    """List every known model with its state."""
    return {"models": services(current_app).models.describe_all()}


@blueprint.get("/info", responses={"200": ModelDescription, **problem_responses(401, 404, 422, 503)},
               summary="Describe one model")
def describe_model(query: ModelQuery):
    """Describe one model, with the manifest of its newest version."""
    return services(current_app).models.describe(query.type)


@blueprint.post("/load", responses={"200": ModelDescription, **problem_responses(*INFERENCE_STATUSES)},
                summary="Load a model")
def load_model(body: ModelBody):
    """Load the newest version; answers when it is ready and has answered an inference."""
    return services(current_app).models.load(body.model_type)


@blueprint.post("/unload",
                responses={"200": ModelDescription, **problem_responses(400, 401, 404, 409, 413, 415, 422, 503)},
                summary="Unload a model")
def unload_model(body: ModelBody):
    """Unload a model and give its memory back."""
    return services(current_app).models.unload(body.model_type)


@blueprint.post("/embedding", responses={"200": EmbeddingAnswer, **problem_responses(*INFERENCE_STATUSES)},
                summary="Embed texts")
def embed(body: EmbeddingBody):
    """Embed one text or several."""
    field = "text" if body.texts is None else "texts"
    texts = [body.text] if body.texts is None else body.texts
    check_texts(field, texts, services(current_app).settings)
    name, answer = services(current_app).models.embed(body.model_type, texts, body.parameters())
    vectors = np.ascontiguousarray(answer.vectors)
    shaped = {"embedding": vectors[0]} if body.texts is None else {"embeddings": vectors}
    return {"model": name, "model_version": answer.model_version, "dimension": vectors.shape[1], **shaped,
            "token_counts": answer.token_counts}
