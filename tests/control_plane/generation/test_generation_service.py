"""Which Triton a generation goes to when one fails: before its first piece another is asked, afterwards nobody."""

from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest

from control_plane.errors import BrokenModelError, InferenceRejectedError, ModelNotLoadedError, TritonUnavailableError
from control_plane.generation.conversations import conversation_key, rank_targets
from control_plane.generation.generation_service import GenerationLimits, GenerationService
from control_plane.generation.request import GenerationRequest
from control_plane.generation.slot_balancer import SlotBalancer
from control_plane.model_registry import ModelRegistry
from control_plane.observability.inference_observer import InferenceObserver
from control_plane.observability.metrics import Metrics
from control_plane.observability.usage import UsageRecorder
from control_plane.observability.usage_store import UsageStore
from control_plane.triton_metrics import GeneratorLoad
from export.catalog import load_catalog
from tests.control_plane.fakes import publish_generator
from tests.control_plane.lifecycle.world import TARGETS, World

REQUEST = GenerationRequest(messages=[{"role": "user", "content": "从前有座山"}])
HOME, NEXT, LAST = rank_targets(conversation_key("tiny", REQUEST), TARGETS)


@pytest.fixture
def world(sqlite_database, tmp_path):
    """Three targets with the generator `tiny` live."""
    publish_generator(tmp_path / "repository", "tiny")
    world = World(sqlite_database, tmp_path / "repository")
    world.activate(1)
    return world


@pytest.fixture
def service(world, tmp_path):
    """Two slots on each target."""
    registry = ModelRegistry(load_catalog(tmp_path / "no-catalog.toml"), world.repository)
    usage = UsageRecorder(UsageStore(world.database))
    balancer = SlotBalancer(lambda target: {("tiny", 1): GeneratorLoad(0, 0, slots=2)})
    yield GenerationService(registry, world.inference(), InferenceObserver(Metrics(), usage), balancer, connect=None,
                            limits=GenerationLimits(100, 60, 16, None))
    usage.close()


def gateway(world, target):
    return world.fleet.gateway(target)


def answered(world) -> dict[str, int]:
    counts = Counter({gateway.address: len(gateway.texts) for gateway in world.gateways})
    return {target: count for target, count in counts.items() if count}


def test_a_conversation_is_answered_by_its_target(world, service):
    for turns in range(3):
        messages = [*REQUEST.messages, *({"role": "user", "content": "再来"} for _ in range(turns))]
        service.answer("tiny", replace(REQUEST, messages=messages))
    assert answered(world) == {HOME: 3}


def test_streams_that_are_open_hold_their_slots_and_give_them_back(world, service):
    streams = [service.generate("tiny", REQUEST) for _ in range(3)]
    assert answered(world) == {HOME: 2, NEXT: 1}
    for stream in streams:
        assert "".join(event.text for event in stream) == "从前有座山"
    service.answer("tiny", REQUEST)
    assert answered(world) == {HOME: 3, NEXT: 1}


def test_a_stream_whose_reader_leaves_gives_its_slot_back(world, service):
    for _ in range(5):
        with closing(service.generate("tiny", REQUEST)) as stream:
            next(stream)
    assert answered(world) == {HOME: 5}


@pytest.mark.parametrize("error", [
    TritonUnavailableError("gone"), BrokenModelError("dead"), ModelNotLoadedError("tiny")])
def test_a_target_that_fails_before_it_answers_costs_nothing(world, service, error):
    gateway(world, HOME).failures["generate"] = error
    assert service.answer("tiny", REQUEST)
    assert answered(world) == {NEXT: 1}
    del gateway(world, HOME).failures["generate"]
    assert service.answer("tiny", REQUEST)
    assert answered(world) == {HOME: 1, NEXT: 1}


def test_two_targets_are_asked_and_no_more(world, service):
    for target in (HOME, NEXT):
        gateway(world, target).failures["generate"] = TritonUnavailableError("gone")
    with pytest.raises(TritonUnavailableError):
        service.answer("tiny", REQUEST)
    assert answered(world) == {}


@pytest.mark.parametrize("request_", [REQUEST, GenerationRequest(prompt="x", echo=True)], ids=["chat", "echo"])
def test_what_the_request_does_wrong_is_told_before_anything_is_answered(world, service, request_):
    for target in TARGETS:
        gateway(world, target).failures["generate"] = InferenceRejectedError("temperature is -1")
    with pytest.raises(InferenceRejectedError):
        service.generate("tiny", request_)


def test_a_stream_that_has_begun_is_not_begun_again(world, service, monkeypatch):
    whole = gateway(world, HOME).generate

    def break_off(*arguments):
        yield next(whole(*arguments))
        raise TritonUnavailableError("Triton was killed")

    monkeypatch.setattr(gateway(world, HOME), "generate", break_off)
    stream = service.generate("tiny", REQUEST)
    assert next(stream).text == "从"
    with pytest.raises(TritonUnavailableError, match="was killed"):
        next(stream)
    assert answered(world) == {HOME: 1}
    # What broke off holds no slot either.
    assert [next(service.generate("tiny", REQUEST)).text for _ in range(3)] == ["从"] * 3
    assert answered(world) == {HOME: 4}
