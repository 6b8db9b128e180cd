"""Says what was asked and how it was answered, from the daily figures alone, whatever the number of questions."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Column, Select, select

from control_plane.database.database import Database
from control_plane.questions.daily_figures import percentile_ms
from control_plane.questions.tables import QuestionDayRow, QuestionIntentDayRow, QuestionLatencyDayRow

# Columns of the tables are read faster than attributes of the classes, and a year has thousands of rows.
_DAYS, _INTENT_DAYS, _LATENCY_DAYS = (
    table.__table__.columns for table in (QuestionDayRow, QuestionIntentDayRow, QuestionLatencyDayRow))
_SUMS = ("questions", "logged", "labeled", "llm_calls", "latency_ms")


@dataclass(frozen=True)
class Figures:
    """What was asked over some time. Shares and latencies are None where there is nothing to take them of."""

    questions: int = 0
    logged: int = 0        # those with consent, which are kept
    labeled: int = 0
    llm_calls: int = 0
    latency_ms: float = 0.0  # sum
    p95_latency_ms: float | None = None  # to within 9 %

    @property
    def labeled_share(self) -> float | None:
        """Labelled questions among those that were kept."""
        return _share(self.labeled, self.logged)

    @property
    def llm_call_share(self) -> float | None:
        """Questions that called an LLM among all."""
        return _share(self.llm_calls, self.questions)

    @property
    def mean_latency_ms(self) -> float | None:
        """Mean time to answer."""
        return _share(self.latency_ms, self.questions)


@dataclass(frozen=True)
class QuestionStatistics:
    """The figures of a period, and what they are made of."""

    total: Figures
    days: Mapping[date, Figures]      # days of UTC on which something was asked, in order
    intents: Mapping[str, float]      # share of all questions that carry it, the most frequent first
    methods: Mapping[str, float]      # share of all questions, the most frequent first
    model_versions: Mapping[str, float]


def read_statistics(database: Database, first: date, last: date,
                    model_version: str | None = None) -> QuestionStatistics:
    """Return the statistics of the days from `first` to `last`, both included, of all model versions or of one."""
    def rows(*columns: Column) -> Select:
        table = columns[0].table.columns
        query = select(*columns).where(table.day >= first, table.day <= last)
        return query if model_version is None else query.where(table.model_version == model_version)

    with database.read() as session:
        # Transactions may commit between these; a question more or less in one of them matters to nobody.
        days = session.execute(rows(_DAYS.day, _DAYS.method, _DAYS.model_version, *(_DAYS[name] for name in _SUMS)))
        intents = session.execute(rows(_INTENT_DAYS.intent, _INTENT_DAYS.questions))
        latencies = session.execute(rows(_LATENCY_DAYS.day, _LATENCY_DAYS.bucket, _LATENCY_DAYS.questions))
        return _statistics(days.all(), intents.all(), latencies.all())


def _statistics(days, intents, latencies) -> QuestionStatistics:
    buckets: dict[date, Counter] = defaultdict(Counter)
    for day, bucket, count in latencies:
        buckets[day][bucket] += count
    sums: dict[date, list] = defaultdict(list)
    for row in days:
        sums[row.day].append(row[3:])
    by_day = {day: _figures(sums[day], buckets[day]) for day in sorted(sums)}
    all_buckets = Counter()
    for counts in buckets.values():
        all_buckets.update(counts)
    total = _figures([row[3:] for row in days], all_buckets)
    return QuestionStatistics(
        total, by_day, _shares(intents, total.questions),
        _shares(((row.method, row[3]) for row in days), total.questions),
        _shares(((row.model_version, row[3]) for row in days), total.questions))


def _figures(rows: list, buckets: Mapping[int, int]) -> Figures:
    """Return the sums of `rows`, each of the columns _SUMS."""
    *counts, latency_ms = (sum(column) for column in zip(*rows, strict=True)) if rows else (0, ) * len(_SUMS)
    return Figures(*counts, latency_ms, percentile_ms(buckets, 0.95))


def _shares(counts, total: int) -> dict[str, float]:
    sums: Counter[str] = Counter()
    for key, count in counts:
        sums[key] += count
    return {key: count / total for key, count in sorted(sums.items(), key=lambda item: (-item[1], item[0]))}


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
