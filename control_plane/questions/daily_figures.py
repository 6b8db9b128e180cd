"""Keeps the figures of each day, in the transaction that they come from. Knows nothing of the questions themselves."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import update
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
            intents[(*group, intent)]["questions"] += 1
        latencies[(*group, bucket_of(entry.latency_ms))]["questions"] += 1
    add_to_rows(session, QuestionDayRow, _GROUP, days)
    add_to_rows(session, QuestionIntentDayRow, (*_GROUP, "intent"), intents)
    add_to_rows(session, QuestionLatencyDayRow, (*_GROUP, "bucket"), latencies)


def count_label(session: Session, row: QuestionRow, change: int) -> None:
    """Add `change`, 1 or -1, to the labelled questions of the day on which the question was asked."""
    session.execute(update(QuestionDayRow).where(
        QuestionDayRow.day == day_of(row.asked_at), QuestionDayRow.method == row.method,
        QuestionDayRow.model_version == row.model_version).values(labeled=QuestionDayRow.labeled + change))


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
            return _FIRST_BOUND_MS * 2 ** ((bucket - 0.5) / _BUCKETS_PER_DOUBLING)
    return None


def _figures(entry: SpoolEntry) -> dict[str, float]:
    return {"questions": 1, "logged": int(entry.kept is not None), "labeled": 0, "llm_calls": int(entry.called_llm),
            "latency_ms": entry.latency_ms}
