"""The use cases around batches: create, run as a job, describe, and begin by itself. Trains nothing itself."""

from control_plane.database.leases import Leases
from control_plane.errors import BusyError, JobStateError
from control_plane.jobs.job_service import JobService
from control_plane.jobs.kinds import TUNE, TuneArguments
from control_plane.jobs.tables import CANCELLED
from control_plane.jobs.tables import FAILED as JOB_FAILED
from control_plane.tuning.batch_store import BatchStore
from control_plane.tuning.tables import FAILED, RUNNING, TrainingBatchRow
from control_plane.tuning_errors import BatchStateError

AUTOMATIC = "conch"  # who creates the batches that begin by themselves
LEASE = "tuning:batches"  # whoever begins a batch holds it, and whoever runs one without a job
_LEASE_WAIT_S = 5.0


class BatchService:
    """Batches, and the jobs that run them; one batch at a time."""

    def __init__(self, store: BatchStore, jobs: JobService, leases: Leases) -> None:
        self._store, self._jobs, self._leases = store, jobs, leases

    def create(self, description: str, recipe: str, actor: str) -> TrainingBatchRow:
        """Create a batch; raises BatchStateError with the counts when there is nothing to train on."""
        data = self._store.read_training_data()
        if not any(example.labels for example in data.examples):
            raise BatchStateError(f"there is nothing to train on: no question has an intent yet. Labelled: "
                                  f"{data.counts()}. Label or import questions first")
        return self._store.add(description, recipe, actor)

    def find(self, batch_id: str) -> TrainingBatchRow:
        """Return a batch as it stands; a job that died or was cancelled could not say so itself."""
        batch = self._store.find(batch_id)
        if batch.training_status == RUNNING and batch.job_id is not None:
            job = self._jobs.describe(batch.job_id, 0)
            if job["state"] in (JOB_FAILED, CANCELLED):
                self._store.fail(batch_id, job["error"] or f"its job was {job['state']}")
                return self._store.find(batch_id)
        return batch

    def run(self, batch_id: str, auto_extract_keywords: bool, actor: str) -> dict:
        """Have a batch run and return its job. Asked again, the same job answers; one that failed is queued again.

        Raises BatchNotFoundError, and BatchStateError while another batch runs.
        """
        with self._leases.hold(LEASE, _LEASE_WAIT_S):
            return self._run(self.find(batch_id), auto_extract_keywords, actor)

    def begin_automatically(self, new_labels: int) -> dict | None:
        """Create and run a batch once so many labels wait that no training has used; returns its job, if there is one.

        After a batch that failed it takes as many again: with the same labels it would fail again.
        """
        waiting = self._store.count_new_labels()
        if waiting < new_labels:
            return None
        try:
            with self._leases.hold(LEASE):
                last = next((self.find(row.batch_id) for row in self._store.page(1)), None)
                if self._store.running() is not None:
                    return None
                if last and last.training_status == FAILED and waiting < (last.question_count or 0) + new_labels:
                    return None
                batch = self._store.add(f"{waiting} new labels", "full", AUTOMATIC)
                self._store.change(batch.batch_id, question_count=waiting)
                return self._run(self._store.find(batch.batch_id), True, AUTOMATIC)
        except BusyError:  # Another controller looks after it.
            return None

    def _run(self, batch: TrainingBatchRow, auto_extract_keywords: bool, actor: str) -> dict:
        if batch.job_id is not None and batch.training_status != FAILED:
            return self._jobs.describe(batch.job_id, 0)
        other = self._store.running()
        if other is not None and self.find(other.batch_id).training_status == RUNNING:
            raise BatchStateError(f"batch {other.batch_id} is running; wait for its end, or cancel its job "
                                  f"{other.job_id}")
        job = self._submit(batch, auto_extract_keywords, actor)
        self._store.change(batch.batch_id, job_id=job["id"], training_status=RUNNING, error=None,
                           auto_extract_keywords=auto_extract_keywords)
        return job

    def _submit(self, batch: TrainingBatchRow, auto_extract_keywords: bool, actor: str) -> dict:
        if batch.job_id is not None:
            try:
                return self._jobs.retry(batch.job_id, actor, "the batch was run again")
            except JobStateError:  # The job itself is still trying.
                return self._jobs.describe(batch.job_id, 0)
        # The key: a process killed between these two writes leaves a job, which the next call then finds.
        arguments = TuneArguments(batch_id=batch.batch_id, auto_extract_keywords=auto_extract_keywords)
        return self._jobs.submit(TUNE, arguments, AUTOMATIC, f"batch-{batch.batch_id}")
