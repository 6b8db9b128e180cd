"""/api/v1/models: what administrators and applications may ask, and how wrong requests are refused."""

import numpy as np
import pytest

from control_plane.errors import InferenceRejectedError, InferenceTimeoutError, ModelLoadError, TritonUnavailableError
from tests.control_plane.fakes import DIMENSION, publish, vector_of
from tests.control_plane.problem_assertions import assert_problem

EMBEDDING = "/api/v1/models/embedding"
LOAD = "/api/v1/models/load"
UNLOAD = "/api/v1/models/unload"

# No model can be called so: dots that lead upwards, slashes, control characters, nothing, too much.
BAD_NAMES = ["..", "../tiny", "tiny/..", "a..b", "/", "/etc/passwd", "org/tiny/1", "org//tiny", "tiny/", "tiny\n",
             "ti\x00ny", "\x1b[2J", "", " ", "tiny ", "-tiny", "tïny", "tiny;ls", "a" * 201]


def _post_with_model(client, path, name):
    return client.post(path, json={"model_type": name, **({"text": "a"} if path == EMBEDDING else {})})


def test_list_has_every_model_with_its_state(client, loaded):
    models = {model["name"]: model for model in client.get("/api/v1/models/list").json["models"]}
    assert models["tiny"]["state"] == "loaded"
    assert models["tiny"]["loaded_versions"] == [1]
    assert models["unexported"]["state"] == "not_exported"
    assert models["foreign"]["state"] == "unsupported"
    assert models["foreign"]["unsupported"] == "it runs code from its repository"
    assert "fast" in models


def test_list_asks_nothing_of_triton(client, gateway, loaded):
    gateway.error = AssertionError("Triton was asked")
    assert client.get("/api/v1/models/list").status_code == 200


def test_list_says_what_is_wanted_and_what_was_seen_where(client, gateway, loaded):
    models = {model["name"]: model for model in client.get("/api/v1/models/list").json["models"]}
    tiny, unexported = models["tiny"], models["unexported"]
    assert (tiny["wanted"], tiny["policy"], tiny["active_version"], tiny["revision"]) == (True, "preload", 1, 1)
    assert tiny["targets"][gateway.address]["versions"] == [1]
    assert tiny["targets"][gateway.address]["error"] is None
    assert (unexported["wanted"], unexported["active_version"], unexported["revision"]) == (False, None, 0)
    assert unexported["targets"] == {}


@pytest.mark.parametrize("name", ["tiny", "org/tiny"])
def test_info_has_the_manifest_of_the_newest_version(client, settings, name):
    publish(settings.model_repository, "tiny", version=2)
    response = client.get("/api/v1/models/info", query_string={"type": name})
    assert response.status_code == 200
    assert response.json["name"] == "tiny"
    assert response.json["newest_version"]["version"] == 2
    assert response.json["newest_version"]["source"] == "hub:org/tiny"


def test_info_of_a_damaged_version_names_the_file(client, settings):
    (settings.model_repository / "tiny" / "1" / "manifest.json").unlink()
    newest = client.get("/api/v1/models/info?type=tiny").json["newest_version"]
    assert set(newest) == {"version", "error"}
    assert "tiny/1/manifest.json" in newest["error"]


@pytest.mark.parametrize(("query", "field"), [("", "type"), ("?type=", "type"), ("?type=tiny&colour=red", "colour")])
def test_info_names_the_field_that_is_wrong(client, query, field):
    assert_problem(client.get(f"/api/v1/models/info{query}"), 422, "invalid-request", field=field)


def test_load_then_embed_then_unload(client):
    loaded = client.post(LOAD, json={"model_type": "tiny"})
    assert (loaded.status_code, loaded.json["state"]) == (200, "loaded")
    assert client.post(EMBEDDING, json={"text": "a", "model_type": "tiny"}).status_code == 200
    unloaded = client.post(UNLOAD, json={"model_type": "tiny"})
    assert (unloaded.status_code, unloaded.json["state"]) == (200, "exported")
    assert_problem(client.post(EMBEDDING, json={"text": "a", "model_type": "tiny"}), 409, "model-not-loaded")


def test_a_load_right_after_a_refusal_is_known_at_once(client):
    body = {"text": "a", "model_type": "tiny"}
    assert client.post(EMBEDDING, json=body).status_code == 409
    assert client.post(LOAD, json={"model_type": "tiny"}).status_code == 200
    assert client.post(EMBEDDING, json=body).status_code == 200


def test_a_reason_and_a_policy_are_kept(client, services):
    client.post(LOAD, json={"model_type": "tiny", "reason": "因为", "policy": "on_demand"})
    client.post(UNLOAD, json={"model_type": "tiny", "reason": "enough"})
    lines = services.store.history("tiny", 10)
    assert [(line.action, line.reason, line.actor) for line in lines] == [
        ("unload", "enough", "admin"), ("load", "因为", "admin")]
    assert services.store.find("tiny").policy == "on_demand"


@pytest.mark.parametrize(("body", "field"), [
    ({"policy": "sometimes"}, "policy"), ({"policy": 1}, "policy"), ({"reason": 1}, "reason"),
    ({"reason": None}, "reason"), ({"reason": "a" * 1001}, "reason"), ({"colour": "red"}, "colour")])
def test_wrong_load_names_the_field_and_changes_nothing(client, services, body, field):
    response = client.post(LOAD, json={"model_type": "tiny", **body})
    assert_problem(response, 422, "invalid-request", field=field)
    assert services.store.all() == {}


def test_load_that_triton_refuses_gives_its_reason(client, gateway):
    gateway.failures["load"] = ModelLoadError("tiny", "unexpected 'max_batch_size'")
    assert_problem(client.post(LOAD, json={"model_type": "tiny"}), 409, "model-load", "unexpected 'max_batch_size'")


def test_one_text_gives_one_embedding(client, loaded):
    answer = client.post(EMBEDDING, json={"text": "你好，世界", "model_type": "tiny"}).json
    assert set(answer) == {"model", "model_version", "dimension", "embedding", "token_counts"}
    assert (answer["model"], answer["model_version"], answer["dimension"]) == ("tiny", "1", DIMENSION)
    assert np.array_equal(np.array(answer["embedding"], np.float32), vector_of("你好，世界"))


def test_several_texts_give_embeddings_in_their_order(client, loaded):
    answer = client.post(EMBEDDING, json={"texts": ["b", "a", "b"], "model_type": "org/tiny"}).json
    assert "embedding" not in answer
    assert np.array_equal(np.array(answer["embeddings"], np.float32), [vector_of(text) for text in "bab"])
    assert answer["token_counts"] == [3, 3, 3]


@pytest.mark.parametrize("text", [
    "", "\x00", "a\x00b", " \n\t", "\U0001f41a", "\ufeff", "\u202eabc", "e\u0301", "a" * 50], ids=ascii)
def test_any_unicode_text_reaches_the_model_unchanged(client, gateway, loaded, text):
    assert client.post(EMBEDDING, json={"text": text, "model_type": "tiny"}).status_code == 200
    assert gateway.texts[-1] == [text]


@pytest.mark.parametrize(("options", "parameters"), [
    ({}, {}),
    ({"truncate": True}, {}),
    ({"truncate": False}, {"truncate": False}),
    ({"prompt_name": "query", "normalize": False}, {"prompt_name": "query", "normalize": False}),
])
def test_options_reach_the_model_and_defaults_are_left_to_it(client, gateway, loaded, options, parameters):
    client.post(EMBEDDING, json={"text": "a", "model_type": "tiny", **options})
    assert gateway.parameters == [parameters]


@pytest.mark.parametrize(("body", "field"), [
    ({}, "body"),
    ({"text": "a", "texts": ["a"]}, "body"),
    ({"text": None}, "body"),
    ({"text": 1}, "text"),
    ({"text": ["a"]}, "text"),
    ({"text": {"a": 1}}, "text"),
    ({"texts": "a"}, "texts"),
    ({"texts": []}, "texts"),
    ({"texts": {}}, "texts"),
    ({"texts": ["a", 1]}, "texts.1"),
    ({"texts": ["a", None]}, "texts.1"),
    ({"texts": [["a"]]}, "texts.0"),
    ({"text": "a", "model_type": 1}, "model_type"),
    ({"text": "a", "model_type": None}, "model_type"),
    ({"text": "a", "truncate": "perhaps"}, "truncate"),
    ({"text": "a", "normalize": 2}, "normalize"),
    ({"text": "a", "prompt_name": 1}, "prompt_name"),
    ({"text": "a", "model": "tiny"}, "model"),
])
def test_wrong_request_names_the_field(client, loaded, body, field):
    assert_problem(client.post(EMBEDDING, json={"model_type": "tiny", **body}), 422, "invalid-request", field=field)


def test_both_text_and_texts_says_to_give_one(client, loaded):
    response = client.post(EMBEDDING, json={"text": "a", "texts": ["a"]})
    assert_problem(response, 422, "invalid-request", "give either text or texts", field="body")


def test_as_many_texts_as_the_limit_are_embedded(client, loaded):
    assert len(client.post(EMBEDDING, json={"texts": ["a"] * 4, "model_type": "tiny"}).json["embeddings"]) == 4


def test_too_many_texts_names_the_limit(client, gateway, loaded):
    response = client.post(EMBEDDING, json={"texts": ["a"] * 5, "model_type": "tiny"})
    assert_problem(response, 422, "invalid-request", "5 texts are more than the 4", field="texts")
    assert gateway.texts == []


@pytest.mark.parametrize(("body", "field"), [
    ({"text": "a" * 51}, "text"), ({"texts": ["a", "b" * 51]}, "texts.1"), ({"texts": ["a" * 51]}, "texts")])
def test_too_long_text_names_its_row_and_the_limit(client, gateway, loaded, body, field):
    response = client.post(EMBEDDING, json={"model_type": "tiny", **body})
    assert_problem(response, 422, "invalid-request", "51 characters are more than 50", field=field)
    assert gateway.texts == []


@pytest.mark.parametrize("path", [EMBEDDING, LOAD, UNLOAD])
@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_name_that_no_model_can_have_is_422(client, path, name):
    assert_problem(_post_with_model(client, path, name), 422, "invalid-request", field="model_type")


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_name_that_no_model_can_have_is_422_in_a_query_too(client, name):
    response = client.get("/api/v1/models/info", query_string={"type": name})
    assert_problem(response, 422, "invalid-request", field="type")


@pytest.mark.parametrize("path", [EMBEDDING, LOAD, UNLOAD])
def test_unknown_model_is_404_and_lists_the_known_ones(client, path):
    problem = assert_problem(_post_with_model(client, path, "nope"), 404, "model-not-found", "'nope'")
    for name in ("tiny", "unexported", "foreign", "fast"):
        assert f" {name}" in problem["detail"]


def test_unknown_model_is_404_in_info(client):
    assert_problem(client.get("/api/v1/models/info?type=org/nope"), 404, "model-not-found", "'org/nope'", "tiny")


@pytest.mark.parametrize("path", [EMBEDDING, LOAD])
def test_model_that_is_not_exported_is_409_and_says_what_to_run(client, path):
    response = _post_with_model(client, path, "unexported")
    assert_problem(response, 409, "model-not-exported", "run `conch export unexported`")


def test_unload_of_what_is_not_loaded_is_no_error(client):
    response = _post_with_model(client, UNLOAD, "tiny")
    assert (response.status_code, response.json["state"], response.json["wanted"]) == (200, "exported", False)


def test_model_that_is_not_loaded_is_409_and_says_how_to_load_it(client):
    response = _post_with_model(client, EMBEDDING, "tiny")
    assert_problem(response, 409, "model-not-loaded", 'POST /api/v1/models/load {"model_type": "tiny"}')


@pytest.mark.parametrize("path", [EMBEDDING, LOAD])
def test_refused_model_is_409_with_the_reason(client, path):
    assert_problem(_post_with_model(client, path, "foreign"), 409, "model-not-servable",
                   "it runs code from its repository")


def test_text_generation_model_is_409_for_embeddings(client):
    assert_problem(_post_with_model(client, EMBEDDING, "writer"), 409, "model-not-servable",
                   "its task is text-generation, not embedding")


@pytest.mark.parametrize("path", [EMBEDDING, LOAD, UNLOAD])
def test_without_triton_is_503_and_says_when_to_retry(client, services, gateway, loaded, path):
    gateway.error = TritonUnavailableError("Triton at 127.0.0.1:8001 is not available: refused")
    response = _post_with_model(client, path, "tiny")
    assert_problem(response, 503, "triton-unavailable", "127.0.0.1:8001")
    assert services.store.find("tiny").active_version == 1
    assert response.headers["Retry-After"] == "5"


def test_timeout_is_504(client, gateway, loaded):
    gateway.embed_errors["tiny"] = InferenceTimeoutError("model 'tiny' did not answer within 30 s")
    assert_problem(_post_with_model(client, EMBEDDING, "tiny"), 504, "inference-timeout", "within 30 s")


def test_text_that_the_model_refuses_is_422(client, gateway, loaded):
    gateway.embed_errors["tiny"] = InferenceRejectedError("text 0: unknown prompt 'x'; this model has: query")
    assert_problem(_post_with_model(client, EMBEDDING, "tiny"), 422, "inference-rejected", "unknown prompt 'x'")
