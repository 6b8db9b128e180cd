"""Says what was asked and how it was answered, from the daily figures alone, whatever the number of questions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, select

from control_plane.database.database import Database
from control_plane.database.schema import Base
from control_plane.questions.daily_figures import bucket_middle_ms, percentile_ms
from control_plane.questions.tables import QuestionDayRow, QuestionIntentDayRow, QuestionLatencyDayRow

_SUMS = ("questions", "logged", "labeled", "llm_calls", "latency_ms")
_PERCENTILE = 0.95


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
    """Return the statistics of the days from `first` to `last`, both included, of all model versions or of one.

    The database adds up: a year has some ten thousand rows, and a few hundred come over.
    """
    def rows(table: type[Base], *columns: ColumnElement) -> Select:
        query = select(*columns).where(table.day >= first, table.day <= last)
        return query if model_version is None else query.where(table.model_version == model_version)

    with database.read() as session:
        # Transactions may commit between these; a question more or less in one of them matters to nobody.
        methods, versions, intents, buckets = (
            dict(session.execute(rows(column.class_, column, _count(column.class_)).group_by(column)).all())
            for column in (QuestionDayRow.method, QuestionDayRow.model_version, QuestionIntentDayRow.intent,
                           QuestionLatencyDayRow.bucket))
        percentiles = dict(session.execute(_percentiles(rows)).all())
        days = session.execute(rows(QuestionDayRow, QuestionDayRow.day, *(
            func.sum(getattr(QuestionDayRow, name)) for name in _SUMS)).group_by(QuestionDayRow.day)).all()
    by_day = {day: _figures(sums, bucket_middle_ms(percentiles[day])) for day, *sums in sorted(days)}
    total = _figures([sum(column) for column in zip(*(row[1:] for row in days), strict=True)] or (0, ) * len(_SUMS),
                     percentile_ms(buckets, _PERCENTILE))
    return QuestionStatistics(total, by_day, *(_shares(counts, total.questions)
                                               for counts in (intents, methods, versions)))


def _percentiles(rows: Callable[..., Select]) -> Select:
    """Return the query for each day's bucket in which the percentile lies, as percentile_ms finds it."""
    table = QuestionLatencyDayRow
    counts = rows(table, table.day, table.bucket, _count(table)).group_by(table.day, table.bucket).subquery().columns
    sums = select(counts.day, counts.bucket,
                  func.sum(counts.questions).over(partition_by=counts.day, order_by=counts.bucket).label("below"),
                  func.sum(counts.questions).over(partition_by=counts.day).label("all")).subquery().columns
    return select(sums.day, func.min(sums.bucket)).where(sums.below >= _PERCENTILE * sums.all).group_by(sums.day)


def _count(table: type[Base]) -> ColumnElement[int]:
    """MySQL gives the sum of whole numbers as a Decimal."""
    return cast(func.sum(table.questions), BigInteger).label("questions")


def _figures(sums: Sequence, p95_latency_ms: float | None) -> Figures:
    """`sums` are those of the columns _SUMS."""
    *counts, latency_ms = sums
    return Figures(*map(int, counts), latency_ms, p95_latency_ms)


def _shares(counts: Mapping[str, int], total: int) -> dict[str, float]:
    return {key: count / total for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
