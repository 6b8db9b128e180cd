"""Operations, crashes between any two steps, restarts of Tritons: in the end all hold exactly what is written down."""

import contextlib
import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete

from control_plane.database.leases import LeaseRow
from control_plane.database.schema import utc_now
from control_plane.errors import ControlPlaneError, TritonUnavailableError
from control_plane.lifecycle.configuration import ModelConfiguration
from control_plane.lifecycle.tables import ON_DEMAND, PRELOAD, ModelEventRow, ModelRow, ModelTargetRow
from control_plane.triton_config import placement_digest
from tests.control_plane.fakes import CONFIG, publish
from tests.control_plane.lifecycle.crashes import Countdown, MortalStore, leave_lease_of_the_dead
from tests.control_plane.lifecycle.world import TEST, World

# Enough for every operation over three targets to live to its end; fewer kill it somewhere.
STEPS = 60
ARGUMENTS = {"load": {"policy": None}, "activate": {"version": 3, "keep_warm": None}, "configure": {"instances": 2}}
places = st.integers(0, 2)
versions = st.integers(1, 3)
steps = st.integers(0, STEPS)


class Recovery(RuleBasedStateMachine):
    """Administrators, crashes and outages in any order over one model."""

    def __init__(self, database, repository: Path) -> None:
        super().__init__()
        self.countdown = Countdown()
        self.world = World(database, repository, store=MortalStore(database, self.countdown))
        self.database = database

    @initialize()
    def begin_with_nothing(self) -> None:
        with self.database.write() as session:
            for table in (ModelRow, ModelEventRow, ModelTargetRow, LeaseRow):
                session.execute(delete(table))

    @rule(policy=st.sampled_from([PRELOAD, ON_DEMAND, None]), steps=steps)
    def load(self, policy, steps: int) -> None:
        self._attempt(steps, lambda: self.world.lifecycle.load("tiny", TEST, policy))

    @rule(steps=steps)
    def unload(self, steps: int) -> None:
        self._attempt(steps, lambda: self.world.lifecycle.unload("tiny", TEST))

    @rule(version=versions, keep_warm=st.none() | st.booleans(), steps=steps)
    def activate(self, version: int, keep_warm, steps: int) -> None:
        self._attempt(steps, lambda: self.world.activate(version, keep_warm=keep_warm))

    @rule(steps=steps)
    def roll_back(self, steps: int) -> None:
        self._attempt(steps, lambda: self.world.lifecycle.roll_back("tiny", TEST))

    @rule(instances=st.none() | st.integers(1, 3), steps=steps)
    def configure(self, instances, steps: int) -> None:
        configuration = ModelConfiguration(instances=instances)
        self._attempt(steps, lambda: self.world.lifecycle.configure("tiny", configuration, TEST))

    @rule(steps=steps)
    def wake(self, steps: int) -> None:
        self._attempt(steps, lambda: self.world.lifecycle.wake("tiny"))

    @rule()
    def fall_asleep(self) -> None:
        self.world.store.note(self.world.state(), is_resident=False)

    @rule(place=places)
    def restart_triton(self, place: int) -> None:
        self.world.gateways[place].models.clear()

    @rule(place=places)
    def break_model(self, place: int) -> None:
        self.world.gateways[place].broken.add("tiny")

    @rule(place=places)
    def lose_triton(self, place: int) -> None:
        self.world.gateways[place].error = TritonUnavailableError("gone")

    @rule(place=places, version=versions)
    def refuse_version(self, place: int, version: int) -> None:
        self.world.gateways[place].refused["tiny", version] = "no room"

    @rule()
    def drain(self) -> None:
        self.world.drain()

    @rule(steps=steps)
    def reconcile(self, steps: int) -> None:
        with self.countdown.dying_after(steps, self.world.gateways):
            self.world.reconcile()

    @rule()
    def recover(self) -> None:
        """Everything is well again, and a controller has had the time it needs."""
        for gateway in self.world.gateways:
            gateway.error = None
            gateway.refused.clear()
        self.world.drain()
        self.world.reconcile()
        placement = self.world.state().placement(utc_now())
        expected = placement_digest(CONFIG, placement) if placement.versions else None
        assert self.world.held() == [list(placement.versions)] * 3
        assert [gateway.models["tiny"].digest if gateway.models else None for gateway in self.world.gateways] == (
            [expected] * 3)
        assert set(self.world.seen().values()) <= {placement.versions}
        assert not any(gateway.broken and gateway.models for gateway in self.world.gateways)
        if placement.versions:
            answer = self.world.inference().embed("tiny", ["a"])
            assert answer.model_version == str(self.world.state().active_version)

    @invariant()
    def history_explains_the_state(self) -> None:
        """Whatever dies when: no change without its line, no line without its change."""
        state, lines = self.world.state(), self.world.store.history("tiny", 1000)
        assert state.revision == len(lines)
        assert state.active_version == (lines[0].to_version if lines else None)
        for newer, older in itertools.pairwise(lines):
            assert newer.from_version == older.to_version

    def teardown(self) -> None:
        self.recover()

    def _attempt(self, steps: int, operation) -> None:
        """Do an operation in a process that lives so many steps; a refusal is as good as a success."""
        with self.countdown.dying_after(steps, self.world.gateways), contextlib.suppress(ControlPlaneError):
            operation()
        if self.countdown.is_dead:
            leave_lease_of_the_dead(self.database, "model:tiny")


def test_whatever_happens_in_whatever_order_every_triton_holds_what_is_written_down(database, tmp_path):
    repository = tmp_path / "repository"
    for version in (1, 2, 3):
        publish(repository, "tiny", version)
    run_state_machine_as_test(lambda: Recovery(database, repository), settings=settings(
        max_examples=25, stateful_step_count=12, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck)))


@pytest.mark.parametrize("operation", ["load", "activate", "roll_back", "unload", "configure"])
def test_a_crash_after_each_single_step_is_recovered_from(database, tmp_path, operation):
    repository = tmp_path / "repository"
    for version in (1, 2, 3):
        publish(repository, "tiny", version)
    for steps in range(STEPS):
        machine = Recovery(database, repository)
        machine.begin_with_nothing()
        if operation != "load":
            machine.activate(2, None, STEPS)
            machine.activate(1, None, STEPS)
        getattr(machine, operation)(steps=steps, **ARGUMENTS.get(operation, {}))
        is_dead = machine.countdown.is_dead
        machine.recover()
        machine.history_explains_the_state()
        if not is_dead:
            return
    raise AssertionError("the operation never came to its end; STEPS is too small")
