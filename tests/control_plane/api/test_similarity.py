"""/api/v1/models/similarity and combinations of models in /embedding."""

import numpy as np
import pytest

from tests.control_plane.fakes import DIMENSION, publish, vector_of
from tests.control_plane.problem_assertions import assert_problem

SIMILARITY = "/api/v1/models/similarity"
EMBEDDING = "/api/v1/models/embedding"
TOLERANCE = 1e-5


@pytest.fixture
def two_models(client, loaded, settings):
    """`tiny` and `other`, both loaded."""
    publish(settings.model_repository, "other")
    assert client.post("/api/v1/models/load", json={"model_type": "other"}).status_code == 200


def test_pairs(client, loaded):
    answer = client.post(SIMILARITY, json={"pairs": [["a", "a"], ["a", "b"]], "model_type": "tiny"})
    assert answer.status_code == 200
    assert answer.json["models"] == {"tiny": "1"}
    assert answer.json["similarities"] == pytest.approx([1, float(vector_of("a") @ vector_of("b"))], abs=TOLERANCE)


def test_matrix_of_rows_and_columns(client, loaded):
    answer = client.post(SIMILARITY, json={"rows": ["a"], "columns": ["b", "c"], "model_type": "tiny"})
    expected = [[float(vector_of("a") @ vector_of(column)) for column in "bc"]]
    assert np.array(answer.json["matrix"]) == pytest.approx(np.array(expected), abs=TOLERANCE)


def test_rows_alone_are_compared_with_each_other(client, loaded):
    matrix = np.array(client.post(SIMILARITY, json={"rows": ["a", "b"], "model_type": "tiny"}).json["matrix"])
    assert matrix.shape == (2, 2)
    assert matrix == pytest.approx(matrix.T, abs=TOLERANCE)


def test_a_combination_answers_with_the_version_of_each_model(client, two_models):
    answer = client.post(SIMILARITY, json={"pairs": [["a", "b"]], "models": {"tiny": 0.4, "other": 0.6}})
    assert answer.json["models"] == {"tiny": "1", "other": "1"}
    assert -1 <= answer.json["similarities"][0] <= 1


def test_an_embedding_of_a_combination_has_all_dimensions_and_length_one(client, two_models):
    answer = client.post(EMBEDDING, json={"text": "a", "models": {"tiny": 1, "other": 3}})
    assert answer.status_code == 200
    assert answer.json["dimension"] == 2 * DIMENSION
    assert np.linalg.norm(answer.json["embedding"]) == pytest.approx(1, abs=TOLERANCE)
    assert answer.json["models"] == {"tiny": "1", "other": "1"}


@pytest.mark.parametrize(("body", "field"), [
    ({}, "body"), ({"pairs": []}, "pairs"), ({"pairs": [["a"]]}, "pairs.0.1"),
    ({"pairs": [["a", "b"]], "rows": ["a"]}, "body"), ({"columns": ["a"]}, "body"), ({"rows": []}, "rows"),
    ({"pairs": [["a", "b"]], "models": {}}, "models"),
    ({"pairs": [["a", "b"]], "models": {"../x": 1}}, "models.../x.[key]"),
    ({"pairs": [["a", "b"]], "models": {"tiny": -1}}, "models.tiny"),
    ({"pairs": [["a", "b"]], "models": {"tiny": "much"}}, "models.tiny"),
    ({"pairs": [["a", "x" * 51]]}, "pairs.1"), ({"rows": list("abc"), "columns": list("de")}, "rows")])
def test_wrong_requests_are_refused(client, loaded, body, field):
    answer = client.post(SIMILARITY, json={"model_type": "tiny", **body})
    assert_problem(answer, 422, "invalid-request", field=field)


def test_an_unknown_model_of_a_combination_is_named(client, loaded):
    answer = client.post(SIMILARITY, json={"pairs": [["a", "b"]], "models": {"tiny": 1, "nope": 1}})
    assert_problem(answer, 404, "model-not-found")
    assert "'nope'" in answer.json["detail"]


def test_a_combination_cannot_be_without_normalisation(client, loaded):
    body = {"text": "a", "models": {"tiny": 1}, "normalize": False}
    assert_problem(client.post(EMBEDDING, json=body), 422, "invalid-request", field="body")
