"""On-demand models give way: the least recently used first, no more than needed, preloaded ones never."""

from datetime import timedelta

import pytest

from control_plane.database.schema import utc_now
from control_plane.errors import InsufficientMemoryError, TritonUnavailableError
from control_plane.lifecycle.tables import ON_DEMAND, PRELOAD
from control_plane.memory.budget import MachineMemory, MemoryBudget
from tests.control_plane.fakes import FakeGateway, publish
from tests.control_plane.lifecycle.world import TEST, World

TOTAL = 1 << 40


class Machine:
    """A machine on which every loaded version takes what Residency estimates, of room for `room` versions."""

    def __init__(self, room: float) -> None:
        self.room, self.world = room, None

    def memory(self) -> MachineMemory:
        model_bytes = self.world.residency.estimate_bytes("a", 1)
        loaded = sum(map(len, self.world.gateways[0].loaded.values()))
        return MachineMemory(TOTAL, int((self.room - loaded) * model_bytes))


@pytest.fixture
def make_world(database, tmp_path):
    """Return a world with models a, b, c, d on one Triton and room for so many of them."""
    def make(room: float) -> World:
        for name in "abcd":
            publish(tmp_path / "repository", name)
        machine = Machine(room)
        world = World(database, tmp_path / "repository", [FakeGateway(tmp_path / "repository")],
                      MemoryBudget(100.0, 0, machine.memory))
        machine.world = world
        return world
    return make


def load(world: World, name: str, policy: str = ON_DEMAND, unused_s: float | None = None) -> None:
    world.lifecycle.load(name, TEST, policy)
    if unused_s is not None:
        world.store.note(world.state(name), last_used_at=utc_now() - timedelta(seconds=unused_s))


def loaded(world: World) -> set[str]:
    return set(world.gateways[0].loaded)


def test_the_least_recently_used_model_gives_way_and_no_other(make_world):
    world = make_world(3)
    load(world, "a", unused_s=10)
    load(world, "b", unused_s=30)
    load(world, "c", unused_s=20)
    load(world, "d")
    assert loaded(world) == {"a", "c", "d"}
    assert world.state("b").is_wanted  # it only gave way


def test_a_model_that_gave_way_comes_back_with_the_next_request(make_world):
    world = make_world(1)
    load(world, "a", unused_s=10)
    load(world, "b", unused_s=5)
    assert loaded(world) == {"b"}
    world.inference().embed("a", ["x"])
    assert loaded(world) == {"a"}


def test_a_preloaded_model_never_gives_way_and_the_refusal_has_the_figures(make_world):
    world = make_world(1)
    load(world, "a", PRELOAD)
    with pytest.raises(InsufficientMemoryError, match=r"model 'b' does not fit .*GiB are needed.*MIN_MEMORY_GB"):
        load(world, "b")
    assert loaded(world) == {"a"}
    assert not world.state("b").is_wanted


def test_nothing_gives_way_for_a_model_that_would_not_fit_anyway(make_world):
    world = make_world(2.5)
    load(world, "a", PRELOAD)
    load(world, "b", unused_s=10)
    world.residency._budget = MemoryBudget(100.0, TOTAL // 2, world.residency._budget.read)
    with pytest.raises(InsufficientMemoryError):
        load(world, "c")
    assert loaded(world) == {"a", "b"}


def test_a_model_that_is_being_worked_on_does_not_give_way(make_world):
    world = make_world(2)
    load(world, "a", unused_s=20)
    load(world, "b", unused_s=10)
    with world.leases.hold("model:a"):
        load(world, "c")
    assert loaded(world) == {"a", "c"}


def test_idle_models_are_unloaded_and_used_ones_stay(make_world):
    world = make_world(9)
    load(world, "a", unused_s=100)
    load(world, "b", unused_s=5)
    load(world, "c", PRELOAD, unused_s=100)
    assert world.residency.unload_idle(timedelta(seconds=50), utc_now()) == ["a"]
    assert loaded(world) == {"b", "c"}


def keep_warm(world: World, name: str, version: int = 2) -> None:
    """Switch a model to one more version, and keep the one before for a rollback."""
    publish(world.repository, name, version)
    world.lifecycle.activate(name, version, TEST, keep_warm=True)
    world.drain(name)


def test_a_version_that_is_kept_for_a_rollback_gives_way_before_any_model(make_world):
    world = make_world(4)
    load(world, "a", PRELOAD)
    load(world, "b", unused_s=100)
    keep_warm(world, "a")
    load(world, "c")
    assert world.gateways[0].loaded == {"a": [1, 2], "b": [1], "c": [1]}
    load(world, "d")
    assert world.gateways[0].loaded == {"a": [2], "b": [1], "c": [1], "d": [1]}
    assert not world.state("a").keeps_previous_warm


def test_what_ran_out_of_memory_is_relieved_of_what_is_kept_for_a_rollback(make_world):
    world = make_world(9)
    load(world, "a", PRELOAD)
    keep_warm(world, "a")
    assert world.residency.relieve("b") == ["a"]
    assert world.gateways[0].loaded == {"a": [2]}


def test_where_memory_is_short_the_version_kept_so_far_goes_before_the_next_one_is_loaded(make_world):
    world = make_world(2)
    load(world, "a", PRELOAD)
    keep_warm(world, "a")
    keep_warm(world, "a", 3)
    assert world.state("a").active_version == 3
    world.reconcile()
    assert world.gateways[0].loaded == {"a": [2, 3]}


def test_an_activation_that_leaves_too_little_memory_keeps_nothing_for_a_rollback(make_world):
    world = make_world(2)
    load(world, "a", PRELOAD)
    machine = world.residency._budget.read.__self__
    world.gateways[0].on_call = lambda call: call == "load" and setattr(machine, "room", 1)
    keep_warm(world, "a")
    assert world.gateways[0].loaded == {"a": [1, 2]}
    world.reconcile()
    assert world.gateways[0].loaded == {"a": [2]}


@pytest.mark.parametrize("wake", [True, False])
def test_a_load_without_room_for_what_is_kept_for_a_rollback_goes_without_it(make_world, wake):
    world = make_world(2)
    load(world, "a", ON_DEMAND if wake else PRELOAD)
    keep_warm(world, "a")
    if wake:
        world.residency.evict("a")
    else:
        world.lifecycle.unload("a", TEST)
    load(world, "b", PRELOAD)
    if wake:
        world.lifecycle.wake("a")
    else:
        world.lifecycle.load("a", TEST)
    assert world.gateways[0].loaded == {"a": [2], "b": [1]}
    assert not world.state("a").keeps_previous_warm


def test_a_switch_that_runs_out_of_memory_is_tried_again_without_what_was_kept_for_a_rollback(make_world):
    world = make_world(9)
    load(world, "a", PRELOAD)
    keep_warm(world, "a")
    publish(world.repository, "a", 3)
    load_on_triton, attempts = world.gateways[0].load, []

    def run_out(name, config):
        attempts.append(world.gateways[0].loaded[name])
        if len(attempts) == 1:
            raise InsufficientMemoryError(name, "out of memory")
        load_on_triton(name, config)

    world.gateways[0].load = run_out
    assert world.lifecycle.activate("a", 3, TEST).active_version == 3
    assert attempts == [[1, 2], [1, 2], [2]]


def test_a_version_that_is_only_kept_warm_keeps_the_active_one_from_nothing(make_world):
    world = make_world(9)
    load(world, "a", PRELOAD)
    keep_warm(world, "a")
    gateway = world.gateways[0]
    gateway.models.clear()
    gateway.failures["load"] = TritonUnavailableError("gone")  # which is no fault of the version
    world.reconcile()
    gateway.failures.clear()
    world.reconcile()
    assert gateway.loaded == {"a": [1, 2]}
    gateway.models.clear()
    gateway.refused["a", 1] = "sha256 differs"
    world.reconcile()
    assert (gateway.loaded, world.state("a").keeps_previous_warm) == ({"a": [2]}, False)


def test_a_used_model_is_not_idle(make_world):
    world = make_world(9)
    load(world, "a", unused_s=100)
    world.store.note_use({"a"})
    assert world.residency.unload_idle(timedelta(seconds=50), utc_now()) == []


def test_a_reload_of_what_is_loaded_needs_no_room(make_world):
    world = make_world(1)
    load(world, "a", PRELOAD)
    load(world, "a", PRELOAD)
    assert loaded(world) == {"a"}


def test_without_a_budget_there_is_always_room(database, tmp_path):
    publish(tmp_path / "repository", "a")
    world = World(database, tmp_path / "repository", [FakeGateway(tmp_path / "repository")])
    load(world, "a")
    assert loaded(world) == {"a"}


def test_what_ran_out_of_memory_is_relieved_of_the_idle_and_of_no_other(make_world):
    world = make_world(9)
    load(world, "a", unused_s=100)
    load(world, "b", unused_s=5)
    load(world, "c", PRELOAD, unused_s=100)
    load(world, "d", unused_s=200)
    assert world.residency.relieve("d") == ["a"]
    assert loaded(world) == {"b", "c", "d"}
    assert world.residency.relieve("d") == []


def short_of_memory(world: World, name: str, call: str, beside: int):
    """Have a call for `name` run out of memory while so many other models are loaded."""
    gateway, original = world.gateways[0], getattr(world.gateways[0], call)
    attempts = []

    def attempt(model, *arguments, **options):
        if model == name:
            attempts.append(sorted(gateway.loaded))
            if len(set(gateway.loaded) - {name}) >= beside:
                raise InsufficientMemoryError(name, "out of memory")
        return original(model, *arguments, **options)

    setattr(gateway, call, attempt)
    return attempts


@pytest.mark.parametrize(("beside", "works"), [(2, True), (1, False)])
def test_a_load_that_runs_out_of_memory_is_tried_again_once_when_idle_models_gave_way(make_world, beside, works):
    world = make_world(9)
    load(world, "a", unused_s=100)
    load(world, "b")
    attempts = short_of_memory(world, "d", "load", beside)
    if works:
        load(world, "d")
    else:
        with pytest.raises(InsufficientMemoryError, match="out of memory"):
            load(world, "d")
    assert attempts == [["a", "b"], ["b"]]
    assert ("d" in loaded(world), world.state("d").is_wanted) == (works, works)


@pytest.mark.parametrize(("beside", "works"), [(2, True), (1, False)])
def test_a_computation_that_runs_out_of_memory_is_tried_again_once_when_idle_models_gave_way(make_world, beside, works):
    world = make_world(9)
    load(world, "a", unused_s=100)
    load(world, "b")
    load(world, "d")
    attempts = short_of_memory(world, "d", "embed", beside)
    if works:
        assert world.inference().embed("d", ["x"]).model_version == "1"
    else:
        with pytest.raises(InsufficientMemoryError, match="out of memory"):
            world.inference().embed("d", ["x"])
    assert attempts == [["a", "b", "d"], ["b", "d"]]


def test_where_nothing_gives_way_nothing_is_tried_again(make_world):
    world = make_world(9)
    load(world, "b")
    load(world, "d")
    attempts = short_of_memory(world, "d", "embed", 0)
    with pytest.raises(InsufficientMemoryError):
        world.inference().embed("d", ["x"])
    assert len(attempts) == 1
