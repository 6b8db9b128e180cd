"""A platform over a fake Triton whose intent model is tried out, and what tests do to it."""

from dataclasses import replace
from pathlib import Path

from control_plane.database.database import Database
from control_plane.database.leases import Leases
from control_plane.database.schema import utc_now
from control_plane.experiments.arm_counts import ArmCounts
from control_plane.experiments.experiment_service import ExperimentService, Plan
from control_plane.experiments.experiment_store import ExperimentStore
from control_plane.experiments.tables import TREATMENT, ExperimentRow
from control_plane.experiments.watch import ExperimentWatch
from control_plane.lifecycle.store import Change, ModelStore
from control_plane.observability.usage_store import hour_of
from control_plane.tuning.batch_store import BatchStore
from control_plane.tuning.deployment import Deployment
from control_plane.tuning.tables import PASS, ModelVersionRow, TrainingBatchRow
from tests.control_plane.fakes import FakeGateway, publish_intent
from tests.control_plane.lifecycle.world import World

ANN = Change("ann", "because")
PLAN = Plan("first", "ab", 2, 0.5, 0.1, None, 10, 0.05)


class Platform:
    """The lifecycle, the experiments and their watch, as one process has them."""

    def __init__(self, database: Database, repository: Path) -> None:
        for version in (1, 2, 3):
            publish_intent(repository, "intent", version)
        self.database, self.gateway = database, FakeGateway(repository, "one:1")
        self.world = World(database, repository, [self.gateway])
        self.lifecycle, self.models, self.store = self.world.lifecycle, ModelStore(database), ExperimentStore(database)
        deployment, leases = Deployment(BatchStore(database), self.models, self.lifecycle, "intent"), Leases(database)
        self.service = ExperimentService(self.store, self.models, self.lifecycle, deployment, leases, "intent")
        self.watch = ExperimentWatch(self.store, self.service, self.models, self.lifecycle, leases, "intent")
        for version in (1, 2):
            add_version(database, version)
        self.lifecycle.activate("intent", 1, ANN)
        self.world.drain("intent")

    def start(self, **changes: object) -> ExperimentRow:
        """Start an experiment: half of the subjects get version 2."""
        return self.service.start(replace(PLAN, **changes), ANN)

    def loaded(self) -> list[int]:
        """Return what Triton holds of the model once the controller has looked."""
        self.world.reconcile()
        return self.gateway.loaded["intent"]

    def active(self) -> int | None:
        """Return the active version."""
        return self.models.find("intent").active_version

    def count(self, experiment: ExperimentRow, counts: ArmCounts, arm: str = TREATMENT, moment=None) -> None:
        """Have an arm done something, just now or then."""
        self.store.add_counts({(experiment.id, arm, hour_of(moment or utc_now())): counts})


def add_version(database: Database, version: int, verdict: str = PASS) -> None:
    """Write down a version that a batch brought forth."""
    batch_id, now = f"{version:032x}", utc_now()
    batch = TrainingBatchRow(batch_id=batch_id, description="", recipe="head", created_by="ann", created_at=now)
    with database.write() as session:
        session.add(batch)
        session.flush()
        session.add(ModelVersionRow(
            version=f"intent-{version}", triton_version=version, model_path="", training_batch_id=batch_id,
            is_active=False, metrics={}, verdict=verdict, gate={}, created_at=now))
