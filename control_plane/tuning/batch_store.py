"""Batches and versions in the database. Decides nothing; see batch_service and deployment."""

from collections.abc import Sequence

from sqlalchemy import func, select, update

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.jobs.store import new_job_id
from control_plane.labelling.examples import assign_splits, labelled_examples
from control_plane.labelling.out_of_fold import save_scores
from control_plane.labelling.taxonomy import read_taxonomy
from control_plane.questions.labels import set_training_status
from control_plane.questions.tables import PENDING, USED, QuestionRow
from control_plane.tuning.tables import FAILED, RUNNING, SUCCEEDED, ModelVersionRow, TrainingBatchRow
from control_plane.tuning.training_data import TrainingData
from control_plane.tuning_errors import BatchNotFoundError, ModelVersionNotFoundError

_USED_CHUNK = 1000


class BatchStore:
    """The rows of batches and versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, description: str, recipe: str, actor: str) -> TrainingBatchRow:
        """Create a batch; what it trains on is decided when it runs."""
        with self._database.write() as session:
            row = TrainingBatchRow(batch_id=new_job_id(), description=description, recipe=recipe, created_by=actor,
                                   created_at=utc_now())
            session.add(row)
        return row

    def find(self, batch_id: str) -> TrainingBatchRow:
        """Return a batch; raises BatchNotFoundError."""
        with self._database.read() as session:
            row = session.get(TrainingBatchRow, batch_id)
        if row is None:
            raise BatchNotFoundError(batch_id)
        return row

    def page(self, limit: int, before: str | None = None) -> list[TrainingBatchRow]:
        """Return the newest batches, or those before the one named."""
        query = select(TrainingBatchRow).order_by(TrainingBatchRow.batch_id.desc()).limit(limit)
        with self._database.read() as session:
            return list(session.scalars(query if before is None else query.where(TrainingBatchRow.batch_id < before)))

    def change(self, batch_id: str, **values: object) -> None:
        """Set columns of a batch."""
        with self._database.write() as session:
            session.execute(update(TrainingBatchRow).where(TrainingBatchRow.batch_id == batch_id).values(**values))

    def begin(self, batch_id: str) -> None:
        """Say that a batch runs, whatever it did before."""
        self.change(batch_id, training_status=RUNNING, started_at=utc_now(), finished_at=None, error=None)

    def fail(self, batch_id: str, error: str) -> None:
        """Say that a batch failed, and why."""
        self.change(batch_id, training_status=FAILED, error=error, finished_at=utc_now())

    def read_training_data(self) -> TrainingData:
        """Return every labelled question as it is now, in one reading."""
        with self._database.read() as session:
            taxonomy = read_taxonomy(session)
            return TrainingData(taxonomy.revision, taxonomy.labels, tuple(labelled_examples(session, taxonomy)))

    def count_new_labels(self) -> int:
        """Return how many labelled questions no training has used."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(QuestionRow).where(
                QuestionRow.is_labeled, QuestionRow.training_status == PENDING))

    def running(self) -> TrainingBatchRow | None:
        """Return a batch whose job runs or waits, None where there is none; one without a job holds a lease instead."""
        query = select(TrainingBatchRow).where(TrainingBatchRow.training_status == RUNNING,
                                               TrainingBatchRow.job_id.is_not(None)).limit(1)
        with self._database.read() as session:
            return session.scalars(query).one_or_none()

    def finish(self, batch_id: str, version: ModelVersionRow, splits: dict[str, str],
               out_of_fold: dict[str, dict[str, float]], used: Sequence[str]) -> None:
        """Write down, in one transaction, the version, the splits it froze, and which questions were used."""
        with self._database.write() as session:
            session.merge(version)
            assign_splits(session, splits)
            save_scores(session, version.version, out_of_fold)
            for start in range(0, len(used), _USED_CHUNK):
                set_training_status(session, used[start:start + _USED_CHUNK], USED)
            session.execute(update(TrainingBatchRow).where(TrainingBatchRow.batch_id == batch_id).values(
                training_status=SUCCEEDED, finished_at=utc_now(), model_version=version.version,
                metrics=version.metrics))

    def versions(self, limit: int) -> list[ModelVersionRow]:
        """Return the newest versions."""
        with self._database.read() as session:
            return list(session.scalars(select(ModelVersionRow).order_by(
                ModelVersionRow.triton_version.desc()).limit(limit)))

    def find_version(self, version: str) -> ModelVersionRow:
        """Return a version; raises ModelVersionNotFoundError."""
        with self._database.read() as session:
            row = session.get(ModelVersionRow, version)
        if row is None:
            raise ModelVersionNotFoundError(version)
        return row

    def mark_active(self, triton_version: int | None) -> None:
        """Bring `is_active` to what the lifecycle says."""
        with self._database.write() as session:
            active = ModelVersionRow.triton_version == triton_version
            session.execute(update(ModelVersionRow).where(ModelVersionRow.is_active, ~active).values(is_active=False))
            session.execute(update(ModelVersionRow).where(active, ~ModelVersionRow.is_active).values(
                is_active=True, activated_at=utc_now()))
