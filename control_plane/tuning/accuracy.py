"""How often the recognition is right, week by week, by the random sample that people labelled. Reads only.

control_plane.labelling.sampling says what that sample is: of the questions below the smallest random key that still
waits, every one has its label, whichever slice gave it out. All other labels are left out, because most of those
questions were chosen for being doubtful. The smallest key is looked for day by day, so that the questions of today,
which wait, take nothing from the days before.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from sqlalchemy import ColumnElement, Date, Integer, Select, case, cast, false, func, select, true
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.questions.tables import PENDING, USED, QuestionRow

# Reads go by the index over random keys and end here; what lies behind is left out, and the sample stays uniform.
MAX_WAITING = 2000
MAX_LABELLED = 5000  # of a year's labels this keeps a hundred a week, an accuracy to within ±6 %
_ALL_KEYS = 1.0  # random keys lie below; those of imported questions, which nobody asked, do not
_Z_95 = 1.959964  # quantile of the normal distribution for intervals of 95 %


@dataclass(frozen=True)
class Estimate:
    """A share, and the interval in which it lies with a confidence of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class WeekAccuracy:
    """How right the answers to the questions of one week were."""

    week: date                  # its Monday, in UTC
    questions: int              # in the sample
    exact_match: Estimate       # questions whose predicted intents are those of the label, no more and no fewer
    micro_f1: Estimate | None   # over all intents; None where neither predictions nor labels have any


@dataclass(frozen=True)
class Sample:
    """What is counted of the sample of some time."""

    questions: int
    exact: int   # questions whose predicted intents are those of the label
    shared: int  # intents that are predicted and in the label, over all questions
    either: int  # intents that are predicted or in the label


def read_accuracy(database: Database, first: date) -> list[WeekAccuracy]:
    """Return the accuracy of the weeks from the day `first` on that have labels in the sample, oldest first."""
    weeks: dict[date, list] = defaultdict(list)
    with database.read() as session:
        for day, *counts in session.execute(_samples(_read_end(session), first)):
            weeks[day - timedelta(days=day.weekday())].append(counts)
    return [measure_week(week, Sample(*map(sum, zip(*weeks[week], strict=True)))) for week in sorted(weeks)]


def measure_week(week: date, sample: Sample) -> WeekAccuracy:
    """Return the accuracy over the sample of a week, which is not empty."""
    return WeekAccuracy(week, sample.questions, _estimate(sample.exact, sample.questions), _micro_f1(sample))


def wilson_interval(hits: float, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of hits / trials, for at least one trial.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
    """
    share, weight = hits / trials, _Z_95 ** 2 / trials
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _estimate(hits: int, trials: int) -> Estimate:
    return Estimate(hits / trials, *wilson_interval(hits, trials))


def _micro_f1(sample: Sample) -> Estimate | None:
    """Return F1 = 2J / (1 + J), where J is the share of right ones among the intents that were predicted or labelled.

    J is a share and has Wilson's interval, whose ends become those of F1, since F1 grows with J. It takes the intents
    of one question as independent; most questions have one.
    """
    if not sample.either:
        return None
    right = _estimate(sample.shared, sample.either)
    return Estimate(*(2 * share / (1 + share) for share in (right.value, right.low, right.high)))


def _read_end(session: Session) -> float:
    """Return the key below which the bounds on what is read leave nothing out."""
    bounds = ((_waits(), MAX_WAITING), (_is_labelled(PENDING), MAX_LABELLED), (_is_labelled(USED), MAX_LABELLED))
    ends = [session.scalar(select(QuestionRow.random_key).where(*conditions).order_by(QuestionRow.random_key)
                           .offset(bound - 1).limit(1)) for conditions, bound in bounds]
    return min((end for end in ends if end is not None), default=_ALL_KEYS)


def _samples(end: float, first: date) -> Select:
    """Return the query for each day's counts, in the order of a Sample's fields, of keys below `end`."""
    row = QuestionRow
    asked = (row.asked_at >= datetime.combine(first, time(), timezone.utc), row.random_key < end)
    day = func.date(row.asked_at, type_=Date)
    waiting = (select(day.label("day"), func.min(row.random_key).label("key")).where(*_waits(), *asked)
               .group_by(day).subquery().columns)
    is_exact = case((row.shared_intents == row.either_intents, 1), else_=0)
    sums = (cast(func.sum(value), Integer) for value in (is_exact, row.shared_intents, row.either_intents))
    return (select(day, func.count(), *sums).join_from(row, waiting.day.table, waiting.day == day, isouter=True)
            .where(*_is_labelled(PENDING, USED), *asked, row.random_key < func.coalesce(waiting.key, _ALL_KEYS))
            .group_by(day))


def _waits() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for questions that wait for a label."""
    return QuestionRow.is_labeled == false(), QuestionRow.training_status == PENDING


def _is_labelled(*statuses: str) -> tuple[ColumnElement[bool], ...]:
    return QuestionRow.is_labeled == true(), QuestionRow.training_status.in_(statuses)
