"""/v1: OpenAI's API, by hand and through the official client unchanged."""

import base64

import numpy as np
import openai
import pytest

from control_plane.errors import InferenceTimeoutError, TritonUnavailableError
from control_plane.lifecycle.store import Change
from tests.control_plane.fakes import DIMENSION, publish, vector_of
from tests.control_plane.problem_assertions import assert_problem

UNIT_TOLERANCE = 1e-6


def _embed(client, **body):
    return client.post("/v1/embeddings", json={"model": "tiny", **body})


def test_one_text_or_several_give_openais_answer(client, loaded):
    assert _embed(client, input="a b").json == {
        "object": "list", "model": "tiny", "usage": {"prompt_tokens": 4, "total_tokens": 4},
        "data": [{"object": "embedding", "index": 0, "embedding": _floats(vector_of("a b"))}]}
    answer = _embed(client, input=["b", "a", "b"]).json
    assert [row["index"] for row in answer["data"]] == [0, 1, 2]
    assert [row["embedding"] for row in answer["data"]] == [_floats(vector_of(text)) for text in "bab"]
    assert answer["usage"] == {"prompt_tokens": 9, "total_tokens": 9}


def _floats(vector: np.ndarray) -> list[float]:
    """The numbers as JSON gives them back: the shortest decimals of each float32."""
    return [float(str(number)) for number in vector]


@pytest.mark.parametrize("dimensions", [None, 3])
def test_base64_equals_float(client, loaded, dimensions):
    options = {"input": ["a", "b"]} | ({"dimensions": dimensions} if dimensions else {})
    floats = _embed(client, **options).json["data"]
    coded = _embed(client, **options, encoding_format="base64").json["data"]
    for row, coded_row in zip(floats, coded, strict=True):
        decoded = np.frombuffer(base64.b64decode(coded_row["embedding"], validate=True), "<f4")
        assert np.array_equal(decoded, np.array(row["embedding"], np.float32))


@pytest.mark.parametrize("dimensions", [1, 3, DIMENSION])
def test_dimensions_keeps_the_first_numbers_at_length_1(client, loaded, dimensions):
    row = np.array(_embed(client, input="a", dimensions=dimensions).json["data"][0]["embedding"])
    head = vector_of("a")[:dimensions]
    assert np.allclose(row, head / np.linalg.norm(head), atol=UNIT_TOLERANCE)


@pytest.mark.parametrize(("body", "field"), [
    ({"model": "tiny"}, "input"),
    ({"input": "a"}, "model"),
    ({"model": "tiny", "input": None}, "input"),
    ({"model": "tiny", "input": []}, "input"),
    ({"model": "tiny", "input": 5}, "input"),
    ({"model": "tiny", "input": {"text": "a"}}, "input"),
    ({"model": "tiny", "input": ["a", 1]}, "input.1"),
    ({"model": "tiny", "input": [1.5]}, "input.0"),
    ({"model": "tiny", "input": [True]}, "input.0"),
    ({"model": "tiny", "input": ["a" * 51]}, "input"),
    ({"model": "tiny", "input": ["a", "b" * 51]}, "input.1"),
    ({"model": "tiny", "input": ["a"] * 5}, "input"),
    ({"model": "tiny", "input": "a", "encoding_format": "hex"}, "encoding_format"),
    ({"model": "tiny", "input": "a", "dimensions": 0}, "dimensions"),
    ({"model": "tiny", "input": "a", "dimensions": -1}, "dimensions"),
    ({"model": "tiny", "input": "a", "dimensions": 9}, "dimensions"),
    ({"model": "tiny", "input": "a", "dimensions": 2.5}, "dimensions"),
    ({"model": "tiny", "input": "a", "dimensions": True}, "dimensions"),
    ({"model": "tiny", "input": "a", "dimensions": "8"}, "dimensions"),
    ({"model": 1, "input": "a"}, "model"),
    ({"model": "../tiny", "input": "a"}, "model"),
    ({"model": "tiny\n", "input": "a"}, "model"),
    ({"model": "/etc", "input": "a"}, "model"),
    ({"model": "ti\x00ny", "input": "a"}, "model"),
])
def test_wrong_request_names_the_field(client, loaded, body, field):
    problem = assert_problem(client.post("/v1/embeddings", json=body), 422, "invalid-request", field=field)
    assert problem["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("token_ids", [[15339, 1917], [[15339, 1917], [3]], [1], [[]]])
def test_token_ids_are_refused_with_the_reason_and_the_way_out(client, loaded, token_ids):
    assert_problem(_embed(client, input=token_ids), 422, "invalid-request", "every model here has its own tokeniser",
                   "check_embedding_ctx_length=False", field="input")


@pytest.mark.parametrize("text", ["", "\x00", "你好，世界", "\U0001f41a"], ids=ascii)
def test_any_unicode_text_reaches_the_model_unchanged(client, gateway, loaded, text):
    assert _embed(client, input=text).status_code == 200
    assert gateway.texts[-1] == [text]


def test_fields_that_mean_nothing_here_are_ignored(client, loaded):
    assert _embed(client, input="a", user="someone").status_code == 200


@pytest.mark.parametrize(("model", "status", "name", "says"), [
    ("nope", 404, "model-not-found", "known models: fast"),
    ("unexported", 409, "model-not-exported", "conch export unexported"),
    ("tiny", 409, "model-not-loaded", "POST /api/v1/models/load"),
    ("foreign", 409, "model-not-servable", "it runs code from its repository"),
    ("writer", 409, "model-not-servable", "its task is text-generation, not embedding"),
])
def test_model_that_cannot_answer_says_why(client, model, status, name, says):
    assert_problem(_embed(client, model=model, input="a"), status, name, says)


@pytest.mark.parametrize(("error", "status", "name"), [
    (TritonUnavailableError("gone"), 503, "triton-unavailable"),
    (InferenceTimeoutError("slow"), 504, "inference-timeout"),
])
def test_trouble_with_triton_is_told_apart(client, gateway, loaded, error, status, name):
    gateway.error = error
    response = _embed(client, input="a")
    assert_problem(response, status, name, str(error))
    assert ("Retry-After" in response.headers) == (status == 503)


def test_models_lists_what_is_loaded(client, services, settings):
    assert client.get("/v1/models").json == {"object": "list", "data": []}
    publish(settings.model_repository, "mine")
    for name in ("mine", "tiny"):
        services.lifecycle.load(name, Change("test"))
    models = client.get("/v1/models").json["data"]
    assert [(model["id"], model["object"], model["owned_by"]) for model in models] == [
        ("tiny", "model", "org"), ("mine", "model", "local")]
    assert all(isinstance(model["created"], int) for model in models)


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}], ids=["default", "float"])
def test_official_client_reads_embeddings(official, loaded, options):
    answer = official.embeddings.create(model="tiny", input=["你好", "a b"], **options)
    assert np.array_equal(np.array([row.embedding for row in answer.data], np.float32),
                          [vector_of("你好"), vector_of("a b")])
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 7
    assert answer.model == "tiny"


def test_official_client_asks_for_base64_and_gets_it(official, loaded):
    coded = official.embeddings.create(model="tiny", input="a", encoding_format="base64").data[0].embedding
    assert np.array_equal(np.frombuffer(base64.b64decode(coded), "<f4"), vector_of("a"))


def test_official_client_shortens_embeddings(official, loaded):
    row = official.embeddings.create(model="tiny", input="a", dimensions=3).data[0].embedding
    assert len(row) == 3
    assert np.linalg.norm(row) == pytest.approx(1, abs=UNIT_TOLERANCE)


def test_official_client_lists_models(official, loaded):
    assert [model.id for model in official.models.list()] == ["tiny"]


def _create(client):
    return client.embeddings.create(model="tiny", input="a")


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda client: client.embeddings.create(model="nope", input="a"), openai.NotFoundError, "known models: fast"),
    (lambda client: _create(client.with_options(api_key="wrong")), openai.AuthenticationError, "send an API key"),
    (lambda client: client.embeddings.create(model="tiny", input=[1, 2]), openai.UnprocessableEntityError,
     "token ids are refused"),
    (_create, openai.ConflictError, "model 'tiny' is not loaded"),
], ids=["unknown", "key", "token ids", "not loaded"])
def test_official_client_raises_its_own_errors_with_our_message(official, call, error, message):
    with pytest.raises(error, match=message) as caught:
        call(official)
    assert message in caught.value.body["message"]
    assert caught.value.code == caught.value.body["code"]


def test_official_client_sees_a_missing_triton_as_an_internal_server_error(official, gateway, loaded):
    gateway.error = TritonUnavailableError("Triton is gone")
    with pytest.raises(openai.InternalServerError, match="Triton is gone") as caught:
        _create(official)
    assert caught.value.response.headers["Retry-After"] == "5"
