"""Labelled questions, and batches over them with a jobs table that nobody works on."""

import pytest

from control_plane.database.leases import Leases
from control_plane.jobs.job_service import JobService
from control_plane.jobs.store import JobStore
from control_plane.jobs.wake_queue import WakeQueue
from control_plane.labelling.annotations import Annotations
from control_plane.tuning.batch_service import BatchService
from control_plane.tuning.batch_store import BatchStore
from tests.control_plane.labelling.conftest import ask, taxonomy  # noqa: F401 - shared fixtures


@pytest.fixture
def label(database, taxonomy, ask):  # noqa: F811 - they are the fixtures above
    """Log and label questions; gives their ids."""
    def say(count: int, *intents: str) -> list[str]:
        ids = ask(*[f"{intents} {number} {say.asked}" for number in range(count)])
        say.asked += 1
        for question_id in ids:
            Annotations(database, blind_share=0.0).label(question_id, intents, None, "anna")
        return ids

    say.asked = 0
    return say


@pytest.fixture
def store(database):
    return BatchStore(database)


@pytest.fixture
def jobs(database, tmp_path):
    return JobService(JobStore(database), WakeQueue(None, tmp_path / "huey.db"))


@pytest.fixture
def batches(store, jobs, database):
    return BatchService(store, jobs, Leases(database))
