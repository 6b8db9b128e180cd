"""The lifecycle over fake Tritons, put together as control_plane.services does, and what tests do to it."""

import threading
import time
from datetime import timedelta
from pathlib import Path

from control_plane.database.database import Database
from control_plane.database.leases import Leases
from control_plane.database.schema import utc_now
from control_plane.fleet import Fleet
from control_plane.inference import Inference
from control_plane.lifecycle.lifecycle import Lifecycle
from control_plane.lifecycle.reconciler import Reconciler
from control_plane.lifecycle.residency import Residency
from control_plane.lifecycle.rollout import Rollout
from control_plane.lifecycle.routes import Routes
from control_plane.lifecycle.store import DRAIN_S, Change, ModelState, ModelStore
from control_plane.memory.budget import MemoryBudget
from control_plane.model_registry import ModelRegistry
from export.catalog import load_catalog
from tests.control_plane.fakes import FakeGateway

TARGETS = ("one:1", "two:1", "three:1")
TEST = Change("tester", "because")
LIMIT_S = 30
IDLE = timedelta(hours=1)


class World:
    """One process of the control plane and the Tritons that it calls."""

    def __init__(self, database: Database, repository: Path, gateways: list[FakeGateway] | None = None,
                 budget: MemoryBudget | None = None, store: ModelStore | None = None,
                 parameters: dict[str, str] | None = None, vllm: tuple[str, ...] = ()) -> None:
        self.database, self.repository = database, repository
        self.gateways = gateways or [FakeGateway(repository, target) for target in TARGETS]
        self.leases, self.store = Leases(database), store or ModelStore(database)
        self.fleet = Fleet(self.gateways, vllm)
        registry = ModelRegistry(load_catalog(repository / "no-catalog.toml"), repository, self.store.has)
        self.rollout = Rollout(self.fleet, registry, self.store, unload_timeout_s=0.2, parameters=parameters or {})
        self.residency = Residency(self.store, self.leases, self.fleet, self.rollout, registry, budget)
        self.lifecycle = Lifecycle(registry, self.store, self.leases, self.fleet, self.rollout, self.residency,
                                   wait_s=0.0)

    def activate(self, version: int, **options: object) -> ModelState:
        """Activate a version of `tiny`."""
        return self.lifecycle.activate("tiny", version, TEST, **options)

    def state(self, name: str = "tiny") -> ModelState:
        """Return what should be live."""
        return self.store.find(name)

    def drain(self, name: str = "tiny") -> None:
        """Have the last switch be so long ago that the version before may go."""
        state = self.state(name)
        if state.activated_at is not None:
            self.store.note(state, activated_at=utc_now() - timedelta(seconds=DRAIN_S))

    def seen(self, name: str = "tiny") -> dict[str, tuple[int, ...]]:
        """Return the versions that are written down as ready, by target."""
        return {target: tuple(row.versions) for (model, target), row in self.store.observations().items()
                if model == name}

    def held(self, name: str = "tiny") -> list[list[int]]:
        """Return the versions that each Triton really holds."""
        return [gateway.loaded.get(name, []) for gateway in self.gateways]

    def inference(self) -> Inference:
        """Return the inference side of a worker that has just started."""
        return Inference(self.fleet, Routes(self.store), self.lifecycle)

    def reconciler(self) -> Reconciler:
        """Return the loop of a controller that has just started: nothing is known to it, so it proves everything."""
        return Reconciler(self.store, self.leases, self.fleet, self.rollout, self.residency, IDLE)

    def reconcile(self) -> None:
        """Have a new controller do one pass and wait for its repairs."""
        reconciler = self.reconciler()
        run_pass(reconciler)
        close(reconciler)


def run_pass(reconciler: Reconciler) -> None:
    """Do one pass and wait for the repairs that it set going."""
    reconciler.run_pass()
    wait_until(lambda: not reconciler._under_way)


def close(reconciler: Reconciler) -> None:
    """End a controller's threads, as its own loop does when it is asked to stop."""
    stop = threading.Event()
    stop.set()
    reconciler.run(stop)


def wait_until(condition) -> None:
    """Return when `condition` holds; it is what the test waits for, and no time is asserted."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
