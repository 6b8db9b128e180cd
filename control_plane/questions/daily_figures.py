"""Keeps the figures of each day, in the transaction that they come from. Knows nothing of the questions themselves."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from control_plane.database.sums import add_to_rows
from control_plane.questions.spool_entry import SpoolEntry, day_of
from control_plane.questions.tables import (
    OUT_OF_SCOPE,
    QuestionDayRow,
    QuestionIntentDayRow,
    QuestionLatencyDayRow,
    QuestionRow,
)

# Bucket b ends at 0.1 ms · 2^(b/4) and is 19 % wide: from 0.1 ms on, the geometric middle is at most 9 % wrong.
_FIRST_BOUND_MS = 0.1
_BUCKETS_PER_DOUBLING = 4
_LAST_BUCKET = 100  # ends at 56 minutes
_GROUP = ("day", "method", "model_version")

_Sums = Mapping[tuple, dict[str, float]]  # key of a row -> what to add to it


def add_to_days(session: Session, entries: Iterable[SpoolEntry]) -> None:
    """Add what was asked to the figures of its days."""
    days, intents, latencies = (defaultdict(Counter) for _ in range(3))
    for entry in entries:
        group = (entry.day, entry.method, entry.model_version)
        for name, value in _figures(entry).items():
            days[group][name] += value
        for intent in dict.fromkeys(entry.intents) or (OUT_OF_SCOPE, ):
            intents[entry.day, intent, entry.model_version]["questions"] += 1
        latencies[entry.day, bucket_of(entry.latency_ms), entry.model_version]["questions"] += 1
    add_to_rows(session, QuestionDayRow, _GROUP, days)
    add_to_rows(session, QuestionIntentDayRow, ("day", "intent", "model_version"), intents)
    add_to_rows(session, QuestionLatencyDayRow, ("day", "bucket", "model_version"), latencies)


def count_labels(session: Session, rows: Iterable[QuestionRow], change: int) -> None:
    """Add `change`, 1 or -1, for each question to the labelled ones of the day on which it was asked."""
    counts = Counter((day_of(row.asked_at), row.method, row.model_version) for row in rows)
    if not counts:
        return
    table = QuestionDayRow.__table__
    statement = update(table).where(*(table.columns[name] == bindparam(f"of_{name}") for name in _GROUP)).values(
        labeled=table.columns.labeled + bindparam("added"))
    # Always in the same order, for the reason of add_to_rows.
    session.execute(statement, [{**{f"of_{name}": value for name, value in zip(_GROUP, group, strict=True)},
                                 "added": count * change} for group, count in sorted(counts.items())])


def bucket_of(latency_ms: float) -> int:
    """Return the bucket of the latency histogram."""
    if latency_ms <= _FIRST_BOUND_MS:
        return 0
    return min(math.ceil(math.log2(latency_ms / _FIRST_BOUND_MS) * _BUCKETS_PER_DOUBLING), _LAST_BUCKET)


def percentile_ms(buckets: Mapping[int, int], share: float) -> float | None:
    """Return the latency below which `share` of the counted questions lie, to within 9 %; None where there are none."""
    rank, below = share * sum(buckets.values()), 0
    for bucket, count in sorted(buckets.items()):
        below += count
        if below >= rank:
            return bucket_middle_ms(bucket)
    return None


def bucket_middle_ms(bucket: int) -> float:
    """Return the latency that stands for all of a bucket, to within 9 %."""
    return _FIRST_BOUND_MS * 2 ** ((bucket - 0.5) / _BUCKETS_PER_DOUBLING)


def _figures(entry: SpoolEntry) -> dict[str, float]:
    return {"questions": 1, "logged": int(entry.kept is not None), "labeled": 0, "llm_calls": int(entry.called_llm),
            "latency_ms": entry.latency_ms}
