"""The figures of the tuning loop over the last days: questions, trainings, rules, accuracy. Reads only, by indexes."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from sqlalchemy import func, select

from control_plane.database.database import Database
from control_plane.intents.tables import RULE_STATES, KeywordRuleRow
from control_plane.questions.statistics import QuestionStatistics, read_statistics
from control_plane.tuning.accuracy import WeekAccuracy, read_accuracy
from control_plane.tuning.tables import BATCH_STATES, FAILED, SUCCEEDED, TrainingBatchRow


@dataclass(frozen=True)
class TrainingFigures:
    """The batches that were created in the period."""

    by_state: dict[str, int]        # every one of BATCH_STATES
    success_rate: float | None      # of those that ended; None where none has
    mean_duration_s: float | None   # of those that succeeded, from begin to end of the last attempt


@dataclass(frozen=True)
class RuleFigures:
    """The keyword rules as they are now."""

    by_state: dict[str, int]  # every one of RULE_STATES
    usage_count: int          # since each rule was made, as is the next
    success_count: int


@dataclass(frozen=True)
class TuningFigures:
    """What happened from the day `first` to the day `last`, both of UTC and both included."""

    first: date
    last: date
    questions: QuestionStatistics
    training: TrainingFigures
    rules: RuleFigures
    accuracy: list[WeekAccuracy]


class TuningStatistics:
    """Reads the figures from one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, last: date, days: int) -> TuningFigures:
        """Return the figures of so many days, of which `last` is the last."""
        first = last - timedelta(days=days - 1)
        return TuningFigures(first, last, read_statistics(self._database, first, last), self._training(first),
                             self._rules(), read_accuracy(self._database, first))

    def _training(self, first: date) -> TrainingFigures:
        begin = datetime.combine(first, time(), timezone.utc)
        # Ids begin with the milliseconds of their making (RFC 9562, 5.7), so that the primary key finds the period.
        created_since = TrainingBatchRow.batch_id >= f"{int(begin.timestamp() * 1000) << 80:032x}"
        with self._database.read() as session:
            rows = session.execute(select(TrainingBatchRow.training_status, TrainingBatchRow.started_at,
                                          TrainingBatchRow.finished_at).where(created_since)).all()
        counts = Counter(row.training_status for row in rows)
        durations_s = [(row.finished_at - row.started_at).total_seconds() for row in rows
                       if row.training_status == SUCCEEDED]
        ended = counts[SUCCEEDED] + counts[FAILED]
        return TrainingFigures({state: counts[state] for state in BATCH_STATES},
                               counts[SUCCEEDED] / ended if ended else None,
                               sum(durations_s) / len(durations_s) if durations_s else None)

    def _rules(self) -> RuleFigures:
        query = select(KeywordRuleRow.state, func.count(), func.sum(KeywordRuleRow.usage_count),
                       func.sum(KeywordRuleRow.success_count)).group_by(KeywordRuleRow.state)
        with self._database.read() as session:
            # MySQL gives the sum of whole numbers as a Decimal.
            found = {state: tuple(map(int, figures)) for state, *figures in session.execute(query)}
        counts, uses, successes = zip(*(found.get(state, (0, 0, 0)) for state in RULE_STATES), strict=True)
        return RuleFigures(dict(zip(RULE_STATES, counts, strict=True)), sum(uses), sum(successes))
