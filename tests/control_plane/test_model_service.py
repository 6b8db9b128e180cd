"""The use cases that change nothing, over a fake Triton: descriptions, readiness by real inferences, dimensions."""

import shutil
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import (
    InferenceError,
    InvalidRequestError,
    ModelNotFoundError,
    ModelNotLoadedError,
    ModelNotServableError,
    TritonUnavailableError,
)
from control_plane.lifecycle.store import Change
from control_plane.model_service import ModelService
from control_plane.observability.inference_observer import Observation
from control_plane.triton_gateway import Embeddings
from tests.control_plane.fakes import DIMENSION, publish, publish_intent, vector_of

UNIT_TOLERANCE = 1e-6
TEST = Change("test")


@pytest.fixture
def service(services):
    return services.models


def _states(service) -> dict[str, str]:
    return {model["name"]: model["state"] for model in service.describe_all()}


def test_every_model_has_a_state(service, services):
    states = _states(service)
    assert {name: states[name] for name in ("tiny", "unexported", "foreign")} == {
        "tiny": "exported", "unexported": "not_exported", "foreign": "unsupported"}
    services.lifecycle.load("tiny", TEST)
    assert _states(service)["tiny"] == "loaded"
    services.lifecycle.unload("tiny", TEST)
    assert _states(service)["tiny"] == "exported"


def test_a_model_whose_files_are_gone_is_listed_until_nobody_wants_it(service, services, settings):
    publish(settings.model_repository, "lost")
    services.lifecycle.load("lost", TEST)
    shutil.rmtree(settings.model_repository / "lost")
    assert _states(service)["lost"] == "loaded"
    services.lifecycle.unload("lost", TEST)
    assert "lost" not in _states(service)
    assert service.describe("lost")["state"] == "not_exported"
    assert [line["action"] for line in service.history("lost", 10)] == ["unload", "load"]


def test_a_model_that_went_away_with_its_triton_counts_as_exported(service, services, gateway, loaded):
    services.store.observe("tiny", gateway.address, (), "the target cannot be reached")
    assert _states(service)["tiny"] == "exported"
    assert service.describe("tiny")["targets"][gateway.address]["error"] == "the target cannot be reached"
    assert service.loaded_count() == 0


def test_description_puts_catalog_manifest_and_what_was_seen_together(service, services, settings):
    publish(settings.model_repository, "tiny", version=2)
    services.lifecycle.load("org/tiny", TEST)
    description = service.describe("org/tiny")
    assert description["name"] == "tiny"
    assert description["hub_id"] == "org/tiny"
    assert description["versions"] == [1, 2]
    assert description["loaded_versions"] == [2]
    assert description["active_version"] == 2
    assert description["newest_version"]["version"] == 2
    assert description["newest_version"]["prompts"] == {"query": "query: "}
    assert description["newest_version"]["parity"] == {"min_cosine": 0.999999, "required_cosine": 0.9999}


def test_versions_that_are_ready_on_several_tritons_are_named_once(service, services):
    services.store.observe("tiny", "one:1", (1, 2))
    services.store.observe("tiny", "two:1", (2, 3))
    assert service.describe("tiny")["loaded_versions"] == [1, 2, 3]


def test_model_without_versions_is_described_without_a_manifest(service):
    assert "newest_version" not in service.describe("unexported")


def test_every_version_is_listed_and_a_damaged_one_says_why(service, services, settings, loaded):
    publish(settings.model_repository, "tiny", version=12)
    (publish(settings.model_repository, "tiny", version=3) / "manifest.json").write_text("{", encoding="utf-8")
    listed = service.versions("org/tiny")
    assert (listed["name"], listed["active_version"], listed["previous_version"], listed["revision"]) == (
        "tiny", 1, None, 1)
    assert [item["version"] for item in listed["versions"]] == [1, 3, 12]
    assert "tiny/3/manifest.json" in listed["versions"][1]["error"]
    assert listed["versions"][2]["source"] == "hub:org/tiny"


def test_history_tells_who_when_why_and_from_where_to_where(service, services, settings, loaded):
    publish(settings.model_repository, "tiny", version=2)
    services.lifecycle.activate("tiny", 2, Change("somebody", "it is better"))
    newest, oldest = service.history("org/tiny", 10)
    assert (newest["action"], newest["actor"], newest["reason"], newest["from_version"], newest["to_version"]) == (
        "activate", "somebody", "it is better", 1, 2)
    assert (oldest["action"], oldest["from_version"], oldest["to_version"]) == ("load", None, 1)
    assert newest["at"] >= oldest["at"]
    assert newest["at"].endswith("+00:00")
    assert service.history("tiny", 1) == [newest]
    with pytest.raises(ModelNotFoundError):
        service.history("nope", 1)


def test_embed_gives_the_models_name_and_rows_in_the_order_of_the_texts(service, loaded):
    name, answer = service.embed("org/tiny", ["a", "b c"])
    assert name == "tiny"
    assert np.array_equal(answer.vectors, [vector_of("a"), vector_of("b c")])
    assert answer.token_counts.tolist() == [3, 4]
    assert answer.model_version == "1"


@given(st.integers(1, DIMENSION), st.lists(st.text(max_size=5), min_size=1, max_size=3))
def test_shortened_embeddings_keep_their_direction_and_have_length_1(dimensions, texts):
    service = _over(_Loaded())
    short = service.embed("tiny", texts, dimensions=dimensions)[1].vectors
    assert short.shape == (len(texts), dimensions)
    assert short.dtype == np.float32
    for row, text in zip(short, texts, strict=True):
        head = vector_of(text)[:dimensions]
        assert np.linalg.norm(row) == pytest.approx(1, abs=UNIT_TOLERANCE)
        assert np.allclose(row * np.linalg.norm(head), head, atol=UNIT_TOLERANCE)


def test_more_dimensions_than_the_model_has_are_refused(service, loaded):
    with pytest.raises(InvalidRequestError, match=f"^dimensions: 9 is more than the model's {DIMENSION}$") as caught:
        service.embed("tiny", ["a"], dimensions=DIMENSION + 1)
    assert caught.value.field == "dimensions"


def test_a_vector_of_zeros_stays_zero():
    service = _over(_Zeros())
    assert service.embed("tiny", ["a"], dimensions=2)[1].vectors.tolist() == [[0.0, 0.0]]


def test_readiness_asks_every_model_that_should_be_loaded(service, services, gateway, settings):
    publish(settings.model_repository, "broken")
    for name in ("tiny", "broken"):
        services.lifecycle.load(name, TEST)
    gateway.embed_errors["broken"] = InferenceError("model 'broken': no")
    assert service.readiness() == {"broken": "model 'broken': no", "tiny": "ready"}


def test_readiness_without_triton_says_so_of_every_model(service, gateway, loaded):
    gateway.error = TritonUnavailableError("gone")
    assert service.readiness() == {"tiny": "gone"}


@pytest.fixture
def intent(services, settings):
    """Have version 1 of an intent model loaded, and a second one with a label more beside it."""
    publish_intent(settings.model_repository, "intent")
    services.lifecycle.load("intent", TEST)
    publish_intent(settings.model_repository, "intent", 2, ("wealth", "爱情", "health"), dimension=16)


def test_an_intent_model_is_described_with_its_task_labels_and_thresholds(service, intent):
    described = service.describe("intent")
    assert (described["task"], described["max_tokens"], described["state"]) == ("intent", 128, "loaded")
    newest = described["newest_version"]
    assert (newest["labels"], newest["thresholds"]) == (("wealth", "爱情", "health"), (0.5, 0.5, 0.5))
    assert newest["metrics"] == {"macro_f1": 0.9}
    assert not {"golden_scores", "files"} & set(newest)
    assert [version["labels"] for version in service.versions("intent")["versions"]] == [
        ("wealth", "爱情"), ("wealth", "爱情", "health")]
    assert {model["name"]: model["task"] for model in service.describe_all()}["intent"] == "intent"


def test_an_intent_model_is_asked_for_scores_to_be_ready_and_does_not_embed(service, gateway, intent):
    assert service.readiness() == {"intent": "ready"}
    gateway.failures["classify"] = InferenceError("model 'intent': no")
    assert service.readiness() == {"intent": "model 'intent': no"}
    with pytest.raises(ModelNotServableError, match="its task is intent, not embedding"):
        service.embed("intent", ["a"])


def test_another_number_of_labels_and_another_dimension_are_no_obstacle_to_an_intent_model(service, services, intent):
    services.lifecycle.activate("intent", 2, TEST)
    assert service.describe("intent")["active_version"] == 2


def test_an_intent_model_whose_newest_version_is_damaged_is_still_listed(service, settings):
    (publish_intent(settings.model_repository, "intent") / "manifest.json").write_text("{", encoding="utf-8")
    assert {model["name"]: model["task"] for model in service.describe_all()}["intent"] is None


def test_loaded_models_are_counted(service, loaded):
    assert service.loaded_count() == 1


def test_embedding_with_a_model_that_nobody_loaded_says_so(service):
    with pytest.raises(ModelNotLoadedError):
        service.embed("tiny", ["a"])


def _over(inference) -> ModelService:
    """The use cases over one inference, with nothing else behind them."""
    return ModelService(_Known(), None, None, inference, _Unobserved())


class _Unobserved:
    """An observer that keeps nothing."""

    def observe(self, *_):
        return nullcontext(Observation())


class _Known:
    """A registry for which every model is known."""

    def servable(self, name, task):
        return type("Model", (), {"name": name})


class _Loaded:
    """A Triton in which every model is loaded."""

    def embed(self, name, texts, parameters):
        return Embeddings(np.stack([vector_of(text) for text in texts]), np.ones(len(texts), np.int32), "1")


class _Zeros:
    """A Triton whose models know nothing."""

    def embed(self, name, texts, parameters):
        return Embeddings(np.zeros((len(texts), DIMENSION), np.float32), np.ones(len(texts), np.int32), "1")
