"""Whole numbers are JSON Schema's, and `only` says in a schema what a validator refuses."""

import jsonschema_rs
import pytest
from pydantic import BaseModel, ValidationError

from control_plane.api.jobs import EvaluateBody, ExportBody
from control_plane.api.models import EmbeddingBody
from control_plane.api.service import OptimizeBody
from control_plane.api.similarity import SimilarityBody
from control_plane.api.versions import ActivateBody
from control_plane.json_schema import only, whole_number


class Holder(BaseModel):
    """One number, which may be left out."""

    number: whole_number(1, 5) | None = None


@pytest.mark.parametrize("value", [1, 5, 3.0, None])
def test_whole_numbers_are_taken(value):
    assert Holder(number=value).number == value
    assert isinstance(Holder(number=value).number, int | None)


@pytest.mark.parametrize("value", [0, 6, 3.5, "3", True, float("inf"), 6.0])
def test_other_values_are_refused(value):
    with pytest.raises(ValidationError):
        Holder(number=value)


def test_the_schema_tells_the_bounds():
    assert Holder.model_json_schema()["properties"]["number"]["anyOf"][0] == {
        "type": "integer", "minimum": 1, "maximum": 5}


@pytest.mark.parametrize(("value", "fits"), [
    ({"a": 1}, True), ({"a": 1, "b": None}, True), ({"a": None}, False), ({}, False), ({"a": 1, "b": 2}, False)])
def test_only_asks_for_one_field_without_another(value, fits):
    assert jsonschema_rs.is_valid(only("a", "b"), value) is fits


@pytest.mark.parametrize(("body", "value", "fits"), [
    (EmbeddingBody, {"text": "a"}, True), (EmbeddingBody, {"text": "a", "texts": None}, True),
    (EmbeddingBody, {}, False), (EmbeddingBody, {"text": "a", "texts": ["b"]}, False),
    (EmbeddingBody, {"text": "a", "truncate": 0}, False), (EmbeddingBody, {"text": "a", "normalize": "yes"}, False),
    (EmbeddingBody, {"text": "a", "models": {"fast": 1}, "normalize": False}, False),
    (EmbeddingBody, {"text": "a", "models": {"fast": True}}, False),
    (EmbeddingBody, {"text": "a", "models": {"fast": -1}}, False),
    (EmbeddingBody, {"text": "a", "model_type": "../x"}, False),
    (EmbeddingBody, {"text": "a", "model_type": "x\n"}, False),
    (SimilarityBody, {"pairs": [["a", "b"]]}, True), (SimilarityBody, {"rows": ["a"], "columns": ["b"]}, True),
    (SimilarityBody, {"columns": ["b"]}, False), (SimilarityBody, {"pairs": [["a", "b"]], "columns": ["b"]}, False),
    (ExportBody, {"model": "fast", "precision": "int8", "min_cosine": 0.9}, True),
    (ExportBody, {"model": "fast", "precision": "int8"}, True), (ExportBody, {"model": "fast", "force": 1}, False),
    (ExportBody, {"model": "fast", "min_cosine": True}, False),
    (ExportBody, {"model": "fast", "name": "a..b"}, False), (ExportBody, {"model": "fast", "name": "a.b"}, True),
    (EvaluateBody, {"models": ["fast"]}, False), (OptimizeBody, {"idle_s": True}, False),
    (OptimizeBody, {"idle_s": 0}, True),
    (ActivateBody, {"keep_warm": 0}, False), (ActivateBody, {"force": "true"}, False),
    (ActivateBody, {"force": True}, True),
])
def test_the_schema_and_the_validation_of_a_request_agree(body, value, fits):
    assert jsonschema_rs.is_valid(body.model_json_schema(), value) is fits
    if fits:
        body.model_validate(value)
    else:
        with pytest.raises(ValidationError):
            body.model_validate(value)
