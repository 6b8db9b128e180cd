"""REST for applications: how alike texts are, by one model or a weighted combination."""

import numpy as np
from flask import current_app
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, model_validator

from control_plane.access.scopes import INFER, needs_scope
from control_plane.api.fields import ModelName, ModelWeights
from control_plane.api.text_limits import check_texts
from control_plane.combination import Combination
from control_plane.json_schema import only
from control_plane.problems import INFERENCE_STATUSES, problem_responses
from control_plane.services import services

blueprint = APIBlueprint("similarity", __name__, url_prefix="/api/v1/models", abp_tags=[Tag(name="models")],
                         abp_security=[{"bearer": []}])


class SimilarityBody(BaseModel):
    """Pairs of texts, or two lists for every combination of a row and a column."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), json_schema_extra={
        "oneOf": [only("pairs", "rows", "columns"), only("rows", "pairs")]})

    pairs: list[tuple[str, str]] | None = Field(None, min_length=1, description="The answer then has `similarities`.")
    rows: list[str] | None = Field(None, min_length=1, description="With `columns`; the answer then has `matrix`.")
    columns: list[str] | None = Field(None, min_length=1, description="Default: `rows` again.")
    model_type: ModelName = "fast"
    models: ModelWeights | None = None

    @model_validator(mode="after")
    def _pairs_or_rows(self) -> "SimilarityBody":
        if (self.pairs is None) == (self.rows is None) or (self.columns is not None and self.rows is None):
            raise ValueError("give either pairs, or rows and perhaps columns")
        return self


class SimilarityAnswer(BaseModel):
    """Cosines, -1 to 1."""

    models: dict[str, str] = Field(description="Each model with the version that answered.")
    similarities: list[float] | None = None
    matrix: list[list[float]] | None = None


@blueprint.post("/similarity", responses={"200": SimilarityAnswer, **problem_responses(*INFERENCE_STATUSES)},
                summary="Compare texts")
@needs_scope(INFER)
def compare(body: SimilarityBody):
    """Compare texts by the cosine of their embeddings; of several models, by the weighted mean of their cosines."""
    found = services(current_app)
    combination = Combination(found.models, body.models or {body.model_type: 1.0})
    if body.pairs is not None:
        check_texts("pairs", [text for pair in body.pairs for text in pair], found.settings)
        similarities, versions = combination.pair_similarities(body.pairs)
        return {"models": versions, "similarities": similarities}
    columns = body.columns or body.rows
    check_texts("rows", [*body.rows, *columns], found.settings)
    matrix, versions = combination.similarity_matrix(body.rows, columns)
    return {"models": versions, "matrix": np.ascontiguousarray(matrix)}
