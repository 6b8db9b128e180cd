"""The OpenAI-compatible API: /v1/models and /v1/embeddings (source: OpenAI's API reference)."""

import base64
import time
from typing import Literal

import numpy as np
from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field

from control_plane.access.scopes import INFER, needs_scope
from control_plane.api.fields import ModelName, Texts
from control_plane.api.text_limits import check_texts
from control_plane.json_schema import whole_number
from control_plane.problems import INFERENCE_STATUSES, problem_responses
from control_plane.services import services

blueprint = APIBlueprint("openai", __name__, url_prefix="/v1", abp_tags=[Tag(name="openai")],
                         abp_security=[{"bearer": []}])
_STARTED = int(time.time())


class EmbeddingsBody(BaseModel):
    """OpenAI's request; fields that mean nothing here (`user`) are accepted and ignored."""

    input: Texts = Field(description="One text or several. Token ids are refused: every model here has its own "
                                     "tokeniser, so ids of another one would mean other words.")
    model: ModelName
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: whole_number(1) | None = Field(None, description="Keep the first so many numbers, scaled to length 1.")


class EmbeddingRow(BaseModel):
    """The embedding of one text; base64 holds little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """Tokens of the texts, special tokens and prompts included."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """OpenAI's answer."""

    object: Literal["list"]
    data: list[EmbeddingRow]
    model: str
    usage: Usage


class OpenAIModel(BaseModel):
    """One loaded model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class OpenAIModelList(BaseModel):
    """The loaded models."""

    object: Literal["list"]
    data: list[OpenAIModel]


@blueprint.get("/models", responses={"200": OpenAIModelList, **problem_responses(401)},
               summary="List the loaded models")
@needs_scope(INFER)
def list_models():
    """List the models that answer now."""
    loaded = [model for model in services(current_app).models.describe_all() if model["state"] == "loaded"]
    return {"object": "list", "data": [
        {"id": model["name"], "object": "model", "created": _STARTED,
         "owned_by": (model["hub_id"] or "local").split("/")[0]} for model in loaded]}


@blueprint.post("/embeddings", responses={"200": EmbeddingsAnswer, **problem_responses(*INFERENCE_STATUSES)},
                summary="Embed texts")
@needs_scope(INFER)
def create_embeddings(body: EmbeddingsBody):
    """Embed texts as OpenAI's API does."""
    texts = body.input
    check_texts("input", texts, services(current_app).settings)
    _, answer = services(current_app).models.embed(body.model, texts, dimensions=body.dimensions)
    tokens = int(answer.token_counts.sum())
    data = [{"object": "embedding", "index": index, "embedding": row}
            for index, row in enumerate(_encode(answer.vectors, body.encoding_format))]
    return {"object": "list", "data": data, "model": body.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def _encode(vectors: np.ndarray, encoding_format: str) -> list:
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    if encoding_format == "float":
        return list(rows)
    return [base64.b64encode(row.tobytes()).decode() for row in rows]
