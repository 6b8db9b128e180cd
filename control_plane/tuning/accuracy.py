"""How often the recognition is right, week by week, by the random sample that people labelled. Reads only.

control_plane.labelling.sampling says what that sample is: of the questions below the smallest random key that still
waits, every one has its label, whichever slice gave it out. All other labels are left out, because most of those
questions were chosen for being doubtful. The smallest key is looked for day by day, so that the questions of today,
which wait, take nothing from the days before.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from sqlalchemy import false, select, true
from sqlalchemy.orm import Session

from control_plane.database.database import Database
from control_plane.labelling.tables import DISPUTED, ResolutionRow
from control_plane.questions.spool_entry import day_of
from control_plane.questions.tables import PENDING, USED, QuestionRow

# Reads go by the index over random keys and end here; what lies behind is left out, and the sample stays uniform.
MAX_WAITING = 5000
MAX_LABELLED = 10_000
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


Answer = tuple[Sequence[str], Sequence[str]]  # predicted intents, intents of the label


def read_accuracy(database: Database, first: date) -> list[WeekAccuracy]:
    """Return the accuracy of the weeks from the day `first` on that have labels in the sample, oldest first."""
    since = datetime.combine(first, time(), timezone.utc)
    with database.read() as session:
        waiting, behind = _read_waiting(session)
        labelled, end = _read_labelled(session, behind)
    weeks: dict[date, list[Answer]] = defaultdict(list)
    for asked_at, key, predicted, correct in labelled:
        day = day_of(asked_at)
        if asked_at >= since and key < min(waiting.get(day, behind), end):
            weeks[day - timedelta(days=day.weekday())].append((predicted, correct))
    return [measure_week(week, weeks[week]) for week in sorted(weeks)]


def measure_week(week: date, answers: Sequence[Answer]) -> WeekAccuracy:
    """Return the accuracy over the sample of a week, which is not empty."""
    exact = sum(set(predicted) == set(correct) for predicted, correct in answers)
    return WeekAccuracy(week, len(answers), _estimate(exact, len(answers)), _micro_f1(answers))


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


def _micro_f1(answers: Iterable[Answer]) -> Estimate | None:
    """Return F1 = 2J / (1 + J), where J is the share of right ones among the intents that were predicted or labelled.

    J is a share and has Wilson's interval, whose ends become those of F1, since F1 grows with J. It takes the intents
    of one question as independent; most questions have one.
    """
    pairs = [(set(predicted), set(correct)) for predicted, correct in answers]
    either = sum(len(predicted | correct) for predicted, correct in pairs)
    if not either:
        return None
    right = _estimate(sum(len(predicted & correct) for predicted, correct in pairs), either)
    return Estimate(*(2 * share / (1 + share) for share in (right.value, right.low, right.high)))


def _read_waiting(session: Session) -> tuple[Mapping[date, float], float]:
    """Return the smallest random key that waits, by the day that it was asked on, and the one for all other days."""
    is_disputed = select(ResolutionRow.question_id).where(
        ResolutionRow.question_id == QuestionRow.id, ResolutionRow.state == DISPUTED).exists()
    rows = session.execute(
        select(QuestionRow.asked_at, QuestionRow.random_key)
        .where(QuestionRow.is_labeled == false(), QuestionRow.training_status == PENDING, ~is_disputed)
        .order_by(QuestionRow.random_key).limit(MAX_WAITING)).all()
    smallest: dict[date, float] = {}
    for asked_at, key in rows:
        smallest.setdefault(day_of(asked_at), key)
    return smallest, rows[-1].random_key if len(rows) == MAX_WAITING else _ALL_KEYS


def _read_labelled(session: Session, below: float) -> tuple[Sequence, float]:
    """Return labelled questions with keys below that one, and the key below which these are all that there are."""
    rows, end = [], below
    for status in (PENDING, USED):  # Each by itself, so that the index gives them in order.
        found = session.execute(
            select(QuestionRow.asked_at, QuestionRow.random_key, QuestionRow.intents, QuestionRow.correct_intent)
            .where(QuestionRow.is_labeled == true(), QuestionRow.training_status == status,
                   QuestionRow.random_key < below)
            .order_by(QuestionRow.random_key).limit(MAX_LABELLED)).all()
        rows += found
        end = min(end, found[-1].random_key) if len(found) == MAX_LABELLED else end
    return rows, end
