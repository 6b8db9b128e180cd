"""The use cases, over a fake Triton: states, loads that are proven, readiness that asks for real inferences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import (
    InferenceError,
    InvalidRequestError,
    ModelNotExportedError,
    ModelNotFoundError,
    ModelNotLoadedError,
    ModelNotServableError,
    TritonUnavailableError,
)
from control_plane.model_registry import ModelRegistry
from control_plane.model_service import ModelService
from control_plane.triton_gateway import Embeddings
from export.catalog import load_catalog
from tests.control_plane.fakes import CONFIG, DIMENSION, publish, vector_of

UNIT_TOLERANCE = 1e-6


@pytest.fixture
def service(settings, gateway):
    registry = ModelRegistry(load_catalog(settings.catalog_path), settings.model_repository)
    return ModelService(registry, gateway, settings.preload_models)


def _states(service) -> dict[str, str]:
    return {model["name"]: model["state"] for model in service.describe_all()}


def test_every_model_has_a_state(service):
    states = _states(service)
    assert {name: states[name] for name in ("tiny", "unexported", "foreign")} == {
        "tiny": "exported", "unexported": "not_exported", "foreign": "unsupported"}
    service.load("tiny")
    assert _states(service)["tiny"] == "loaded"
    service.unload("tiny")
    assert _states(service)["tiny"] == "exported"


def test_without_triton_models_are_still_listed_and_none_counts_as_loaded(service, gateway, loaded):
    gateway.error = TritonUnavailableError("gone")
    assert _states(service)["tiny"] == "exported"
    assert service.loaded_count() is None


def test_description_puts_catalog_manifest_and_triton_together(service, settings):
    publish(settings.model_repository, "tiny", version=2)
    description = service.load("org/tiny")
    assert description == service.describe("tiny")
    assert description["name"] == "tiny"
    assert description["hub_id"] == "org/tiny"
    assert description["versions"] == [1, 2]
    assert description["loaded_versions"] == [2]
    assert description["newest_version"]["version"] == 2
    assert description["newest_version"]["prompts"] == {"query": "query: "}
    assert description["newest_version"]["parity"] == {"min_cosine": 0.999999}


def test_model_without_versions_is_described_without_a_manifest(service):
    assert "newest_version" not in service.describe("unexported")


def test_load_hands_triton_the_models_configuration(service, gateway):
    service.load("org/tiny")
    assert gateway.configs == [CONFIG]


def test_load_proves_the_model_with_an_inference(service, gateway):
    service.load("tiny")
    assert len(gateway.texts) == 1
    gateway.embed_errors["tiny"] = InferenceError("model 'tiny': the graph is broken")
    with pytest.raises(InferenceError, match="the graph is broken"):
        service.load("tiny")


@pytest.mark.parametrize(("name", "error"), [
    ("nope", ModelNotFoundError), ("unexported", ModelNotExportedError), ("foreign", ModelNotServableError)])
def test_load_asks_nothing_of_triton_for_a_model_that_cannot_be_served(service, gateway, name, error):
    gateway.error = AssertionError("Triton was asked")
    with pytest.raises(error):
        service.load(name)


def test_unload_of_what_is_not_loaded_says_so(service):
    with pytest.raises(ModelNotLoadedError):
        service.unload("tiny")
    with pytest.raises(ModelNotFoundError):
        service.unload("nope")


def test_embed_gives_the_models_name_and_rows_in_the_order_of_the_texts(service, loaded):
    name, answer = service.embed("org/tiny", ["a", "b c"])
    assert name == "tiny"
    assert np.array_equal(answer.vectors, [vector_of("a"), vector_of("b c")])
    assert answer.token_counts.tolist() == [3, 4]
    assert answer.model_version == "1"


@given(st.integers(1, DIMENSION), st.lists(st.text(max_size=5), min_size=1, max_size=3))
def test_shortened_embeddings_keep_their_direction_and_have_length_1(dimensions, texts):
    service = ModelService(_Known(), _Loaded(), ())
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
    service = ModelService(_Known(), _Zeros(), ())
    assert service.embed("tiny", ["a"], dimensions=2)[1].vectors.tolist() == [[0.0, 0.0]]


def test_readiness_asks_every_loaded_model_and_every_one_that_should_be(service, gateway, settings):
    assert service.readiness() == {"tiny": "not loaded"}
    publish(settings.model_repository, "broken")
    gateway.load("broken", CONFIG)
    gateway.load("tiny", CONFIG)
    gateway.embed_errors["broken"] = InferenceError("model 'broken': no")
    assert service.readiness() == {"broken": "model 'broken': no", "tiny": "ready"}


def test_readiness_without_triton_raises(service, gateway):
    gateway.error = TritonUnavailableError("gone")
    with pytest.raises(TritonUnavailableError):
        service.readiness()


def test_loaded_models_are_counted(service, loaded):
    assert service.loaded_count() == 1


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
