"""Experiments and their counts in the database. Decides nothing; see experiment_service and watch."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.database.sums import add_to_rows
from control_plane.errors import DuplicateRowError
from control_plane.experiments.arm_counts import COUNTS, ArmCounts
from control_plane.experiments.tables import ARMS, RUNNING, ExperimentHourRow, ExperimentLatencyRow, ExperimentRow
from control_plane.jobs.store import new_job_id
from control_plane.questions.tables import QuestionRow
from control_plane.tuning_errors import ExperimentNotFoundError, ExperimentStateError

_KEYS = ("experiment_id", "arm", "hour")
CountsByHour = Mapping[tuple[str, str, datetime], ArmCounts]  # (experiment, arm, beginning of the hour) -> counts


class ExperimentStore:
    """The rows of experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, model: str, actor: str, **values: object) -> ExperimentRow:
        """Begin an experiment; raises ExperimentStateError while another runs on the same model."""
        row = ExperimentRow(id=new_job_id(), model=model, running_model=model, state=RUNNING, created_by=actor,
                            created_at=utc_now(), **values)
        try:
            with self._database.write() as session:
                session.add(row)
        except DuplicateRowError as error:
            raise ExperimentStateError(f"an experiment on {model!r} is running; finish or abort it first") from error
        return row

    def find(self, experiment_id: str) -> ExperimentRow:
        """Return an experiment; raises ExperimentNotFoundError."""
        with self._database.read() as session:
            row = session.get(ExperimentRow, experiment_id)
        if row is None:
            raise ExperimentNotFoundError(experiment_id)
        return row

    def running(self, model: str) -> ExperimentRow | None:
        """Return the experiment that runs on a model, None where none does."""
        with self._database.read() as session:
            return session.scalars(select(ExperimentRow).where(ExperimentRow.running_model == model)).one_or_none()

    def page(self, limit: int, before: str | None = None) -> list[ExperimentRow]:
        """Return the newest experiments, or those before the one named."""
        query = select(ExperimentRow).order_by(ExperimentRow.id.desc()).limit(limit)
        with self._database.read() as session:
            return list(session.scalars(query if before is None else query.where(ExperimentRow.id < before)))

    def end(self, experiment_id: str, state: str, actor: str, reason: str) -> ExperimentRow:
        """Say that an experiment ended, and why; raises ExperimentStateError when it had ended before."""
        with self._database.write() as session:
            changed = session.execute(update(ExperimentRow).where(
                ExperimentRow.id == experiment_id, ExperimentRow.state == RUNNING).values(
                state=state, running_model=None, ended_by=actor, ended_at=utc_now(), reason=reason)).rowcount
        row = self.find(experiment_id)
        if not changed:
            raise ExperimentStateError(f"experiment {experiment_id} is {row.state} already; start another one")
        return row

    def add_counts(self, counts: CountsByHour) -> None:
        """Add to what was counted, all of it or, when an exception is raised, nothing."""
        sums = {key: {name: getattr(item, name) for name in COUNTS} for key, item in counts.items()}
        latencies = {(*key, bucket): {"requests": requests} for key, item in counts.items()
                     for bucket, requests in item.latencies.items()}
        with self._database.write() as session:
            add_to_rows(session, ExperimentHourRow, _KEYS, sums)
            add_to_rows(session, ExperimentLatencyRow, (*_KEYS, "bucket"), latencies)

    def counts(self, experiment_id: str, since: datetime | None = None) -> dict[str, ArmCounts]:
        """Return what was counted of each arm, of the hours that begin at `since` or later where it is given."""
        with self._database.read() as session:
            latencies = _latencies(session, experiment_id, since)
            sums = _sums(session, experiment_id, since)
        return {arm: ArmCounts(*sums.get(arm, (0, ) * len(COUNTS)), latencies[arm]) for arm in ARMS}

    def count_subjects(self, variant: str) -> int:
        """Return how many subjects asked a question of that variant that was kept."""
        with self._database.read() as session:
            return session.scalar(select(func.count(QuestionRow.subject_digest.distinct())).where(
                QuestionRow.variant == variant))

    def count_agreement(self, variant: str) -> tuple[int, int]:
        """Return how many questions of a variant have a label, and in how many of them the answer was exactly that."""
        query = select(QuestionRow.intents, QuestionRow.correct_intent).where(
            QuestionRow.variant == variant, QuestionRow.is_labeled)
        with self._database.read() as session:
            # Compared here: databases compare JSON by its text, and a set of intents has no order.
            right = [set(answered) == set(correct or ()) for answered, correct in session.execute(query)]
        return len(right), sum(right)


def _sums(session: Session, experiment_id: str, since: datetime | None) -> dict[str, tuple[int, ...]]:
    """MySQL gives the sum of whole numbers as a Decimal."""
    query = select(ExperimentHourRow.arm, *(func.sum(getattr(ExperimentHourRow, name)) for name in COUNTS)).where(
        ExperimentHourRow.experiment_id == experiment_id).group_by(ExperimentHourRow.arm)
    rows = session.execute(query if since is None else query.where(ExperimentHourRow.hour >= since))
    return {arm: tuple(map(int, sums)) for arm, *sums in rows}


def _latencies(session: Session, experiment_id: str, since: datetime | None) -> dict[str, Counter]:
    table = ExperimentLatencyRow
    query = select(table.arm, table.bucket, func.sum(table.requests)).where(
        table.experiment_id == experiment_id).group_by(table.arm, table.bucket)
    found: dict[str, Counter] = defaultdict(Counter)
    for arm, bucket, requests in session.execute(query if since is None else query.where(table.hour >= since)):
        found[arm][bucket] = int(requests)
    return found
