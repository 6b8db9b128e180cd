"""All targets or none: whichever step fails on whichever target, every one of them is as it was before."""

import itertools
from dataclasses import replace

import pytest

from control_plane.errors import (
    BrokenModelError,
    InferenceTimeoutError,
    ModelLoadError,
    TritonUnavailableError,
    WrongAnswerError,
)
from control_plane.lifecycle.placement import Placement
from export.manifest import ManifestError, read_manifest
from tests.control_plane.fakes import CONFIG
from tests.control_plane.lifecycle.world import TARGETS, World

ONE, BOTH, TWO = Placement("tiny", (1,)), Placement("tiny", (1, 2)), Placement("tiny", (2,))
NOTHING = Placement("tiny")


@pytest.fixture
def serving(world):
    """Every target holds version 1."""
    world.rollout.apply(ONE, TARGETS, NOTHING)
    return world


def _fail_once(gateway, call: str, error: Exception) -> None:
    """Have the next call of that name fail, and no further one."""
    def on_call(name: str) -> None:
        if name == call and not done:
            done.append(name)
            raise error

    done: list[str] = []
    gateway.on_call = on_call


def _digests(world) -> list[str | None]:
    return [gateway.models["tiny"].digest if "tiny" in gateway.models else None for gateway in world.gateways]


def test_every_target_gets_the_placement_and_it_is_written_down(world):
    world.rollout.apply(BOTH, TARGETS, NOTHING)
    assert world.held() == [[1, 2]] * 3
    assert world.seen() == dict.fromkeys(TARGETS, (1, 2))
    assert all(row.load_s is not None for row in world.store.observations().values())


def test_targets_that_are_not_named_are_left_alone(world):
    world.rollout.apply(ONE, TARGETS[:1], NOTHING)
    assert world.held() == [[1], [], []]


def test_what_is_there_already_is_proven_and_not_loaded_again(serving):
    for gateway in serving.gateways:
        gateway.calls.clear()
    serving.rollout.apply(ONE, TARGETS, NOTHING)
    assert [gateway.calls for gateway in serving.gateways] == [[]] * 3
    serving.gateways[0].wrong.add(("tiny", 1))
    with pytest.raises(ModelLoadError):
        serving.rollout.apply(ONE, TARGETS, ONE)


def test_another_configuration_is_loaded_though_the_versions_are_the_same(serving):
    before = _digests(serving)
    serving.rollout.apply(Placement("tiny", (1,), {"instances": 4}), TARGETS, ONE)
    assert serving.gateways[0].models["tiny"].config["instance_group"][0]["count"] == 4
    assert not set(before) & set(_digests(serving))


def test_parameters_for_all_models_are_loaded_unless_the_file_states_its_own_and_a_new_value_is_a_reload(
        database, repository):
    config = repository / "other" / "config.pbtxt"
    config.write_text(config.read_text() + 'parameters { key: "cpu_threads" value { string_value: "1" } }')
    first = World(database, repository, parameters={"cpu_threads": "2"})
    for model in ("tiny", "other"):
        first.rollout.apply(Placement(model, (1,)), TARGETS[:1], Placement(model))
    loaded = {name: model.config["parameters"]["cpu_threads"]["string_value"]
              for name, model in first.gateways[0].models.items()}
    assert loaded == {"tiny": "2", "other": "1"}
    second = World(database, repository, first.gateways, parameters={"cpu_threads": "3"})
    assert first.rollout.is_placed(first.gateways[0], ONE, [1])
    assert not second.rollout.is_placed(first.gateways[0], ONE, [1])


def test_a_version_whose_files_are_not_those_of_its_manifest_never_reaches_a_triton(serving, repository):
    damaged = repository / "tiny" / "2"
    (damaged / "model.onnx").write_bytes(b"weights")
    replace(read_manifest(damaged), files={"model.onnx": "0" * 64}).write(damaged)
    for gateway in serving.gateways:
        gateway.calls.clear()
    with pytest.raises(ModelLoadError, match=r"model\.onnx"):
        serving.rollout.apply(BOTH, TARGETS, ONE)
    assert [gateway.calls for gateway in serving.gateways] == [[]] * 3


@pytest.mark.parametrize("placement", [BOTH, TWO, Placement("tiny", (1,), {"instances": 4})], ids=str)
def test_whichever_step_fails_on_whichever_target_all_are_as_they_were(serving, placement):
    before = _digests(serving)
    # The digest is asked for only where the versions are the right ones.
    calls = ["ready_versions", "load", "embed", *(["placement_digest"] if placement.versions == (1,) else [])]
    for target, call in itertools.product(range(3), calls):
        _fail_once(serving.gateways[target], call, ModelLoadError("tiny", "no room"))
        with pytest.raises(ModelLoadError, match=f"on {TARGETS[target]}: .*no room; all 3 targets are as they were"):
            serving.rollout.apply(placement, TARGETS, ONE)
        assert serving.held() == [[1]] * 3
        assert _digests(serving) == before
        assert serving.seen() == dict.fromkeys(TARGETS, (1,))


def test_a_first_load_that_fails_somewhere_leaves_nothing_anywhere(world):
    for target, call in itertools.product(range(3), ["ready_versions", "load", "embed"]):
        _fail_once(world.gateways[target], call, ModelLoadError("tiny", "no room"))
        with pytest.raises(ModelLoadError, match="no room"):
            world.rollout.apply(ONE, TARGETS, NOTHING)
        assert world.held() == [[]] * 3


def test_a_version_with_a_wrong_golden_answer_on_one_target_is_refused_everywhere(serving):
    for target in range(3):
        serving.gateways[target].wrong = {("tiny", 2)}
        with pytest.raises(ModelLoadError, match=f"on {TARGETS[target]}: .*does not answer its golden text as"):
            serving.rollout.apply(BOTH, TARGETS, ONE)
        serving.gateways[target].wrong = set()
        assert serving.held() == [[1]] * 3


def test_while_a_change_fails_no_target_is_ever_written_down_as_without_the_version_that_serves(serving):
    """A worker that read its routes in between would have nowhere to send requests to."""
    seen = []
    for gateway in serving.gateways:
        gateway.on_call = lambda call: seen.append(serving.seen())
    serving.gateways[1].refused["tiny", 2] = "sha256 differs"
    with pytest.raises(ModelLoadError, match="sha256 differs"):
        serving.rollout.apply(BOTH, TARGETS, ONE)
    assert len(seen) > 10
    assert all(1 in versions for moment in seen for versions in moment.values())


def test_the_only_target_gives_its_own_error(world):
    world.gateways[0].failures["embed"] = InferenceTimeoutError("slow")
    with pytest.raises(InferenceTimeoutError, match=r"^slow$"):
        world.rollout.apply(ONE, TARGETS[:1], NOTHING)


def test_what_is_ready_goes_on_serving_though_its_files_are_damaged_or_its_configuration_is(serving, repository):
    """An administrator who mistypes config.pbtxt must not take a model down that answers well."""
    (repository / "tiny" / "config.pbtxt").write_text("backend: ", encoding="utf-8")
    with pytest.raises(ModelLoadError, match=r"config\.pbtxt cannot be read"):
        serving.rollout.place(serving.gateways[0], ONE)
    (repository / "tiny" / "1" / "manifest.json").write_text("{", encoding="utf-8")
    (repository / "tiny" / "config.pbtxt").write_text(CONFIG, encoding="utf-8")
    with pytest.raises(ManifestError):
        serving.rollout.place(serving.gateways[1], ONE)
    for target, says in zip(TARGETS[:2], ("config.pbtxt", "manifest.json"), strict=True):
        row = serving.store.observations()["tiny", target]
        assert (row.versions, says in row.error) == ([1], True)


@pytest.mark.parametrize(("call", "error"), [
    ("embed", BrokenModelError("dead")), ("ready_versions", TritonUnavailableError("gone"))])
def test_what_cannot_answer_is_written_down_as_not_ready(serving, call, error):
    gateway = serving.gateways[0]
    gateway.failures[call] = error
    with pytest.raises(type(error)):
        serving.rollout.place(gateway, ONE)
    assert serving.seen()[gateway.address] == ()


def test_a_triton_whose_queue_is_full_goes_on_serving(serving):
    gateway = serving.gateways[0]
    gateway.failures["embed"] = TritonUnavailableError("Exceeds maximum queue size")
    with pytest.raises(TritonUnavailableError):
        serving.rollout.place(gateway, ONE)
    assert serving.seen()[gateway.address] == (1,)


def test_a_request_that_triton_refuses_while_it_swaps_a_model_is_asked_again(serving):
    _fail_once(serving.gateways[0], "embed", TritonUnavailableError("has stopped accepting new inference requests"))
    serving.rollout.place(serving.gateways[0], ONE)
    assert serving.seen()[serving.gateways[0].address] == (1,)


def test_a_version_that_answers_wrong_is_written_down_as_not_ready(serving):
    gateway = serving.gateways[0]
    gateway.wrong.add(("tiny", 1))
    with pytest.raises(WrongAnswerError):
        serving.rollout.place(gateway, ONE)
    assert serving.seen()[gateway.address] == ()


def test_a_bug_is_no_refusal_and_comes_out_as_it_is(serving):
    _fail_once(serving.gateways[1], "load", ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        serving.rollout.apply(BOTH, TARGETS, ONE)
    assert serving.held() == [[1]] * 3


def test_a_broken_model_is_unloaded_and_loaded(serving):
    gateway = serving.gateways[0]
    gateway.broken.add("tiny")
    gateway.calls.clear()
    serving.rollout.place(gateway, ONE)
    assert gateway.calls == [("unload", "tiny"), ("load", "tiny")]
    assert gateway.broken == set()
    assert serving.seen()[gateway.address] == (1,)


def test_a_model_that_breaks_again_at_once_is_written_down_as_not_ready(serving):
    gateway = serving.gateways[0]
    gateway.failures["embed"] = BrokenModelError("it has broken down")
    with pytest.raises(BrokenModelError):
        serving.rollout.place(gateway, ONE)
    assert serving.store.observations()["tiny", gateway.address].error == "it has broken down"
    assert serving.seen()[gateway.address] == ()


def test_an_unload_is_over_when_the_index_says_so(serving):
    gateway = serving.gateways[0]
    gateway.unload_takes = 2
    looks = []
    gateway.on_call = lambda call: looks.append((call, serving.seen()[gateway.address]))
    serving.rollout.place(gateway, NOTHING)
    assert looks == [("holds", (1,)), ("unload", (1,)), *[("holds", (1,))] * 3]
    assert serving.seen()[gateway.address] == ()


def test_an_unload_that_does_not_end_says_so(serving):
    gateway = serving.gateways[0]
    gateway.unload_takes = 10**6
    with pytest.raises(ModelLoadError, match=rf"Triton at {gateway.address} did not finish unloading within 0\.2 s"):
        serving.rollout.place(gateway, NOTHING)


def test_what_is_not_loaded_needs_no_unload(world):
    world.rollout.apply(NOTHING, TARGETS, NOTHING)
    assert [gateway.calls for gateway in world.gateways] == [[]] * 3
    assert world.seen() == dict.fromkeys(TARGETS, ())


def test_only_targets_that_answer_are_reachable(world):
    world.gateways[1].error = TritonUnavailableError("gone")
    assert world.rollout.reachable(TARGETS) == [TARGETS[0], TARGETS[2]]
    assert world.rollout.reachable(TARGETS[2:]) == [TARGETS[2]]


@pytest.mark.parametrize("targets", [TARGETS, TARGETS[:1], ()])
def test_nobody_reachable_is_unavailable(world, targets):
    for gateway in world.gateways:
        gateway.error = TritonUnavailableError("gone")
    with pytest.raises(TritonUnavailableError, match="no Triton can be reached"):
        world.rollout.reachable(targets)
