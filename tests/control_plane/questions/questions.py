"""What the tests of the question log share: a prediction, and entries of the spool."""

import itertools
from datetime import datetime, timedelta, timezone

from control_plane.questions.spool import Spool
from control_plane.questions.spool_entry import KeptQuestion, SpoolEntry, day_of
from control_plane.questions.tables import LOCAL_MODEL

NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
_NUMBERS = itertools.count(1)


def question_id(asked_at: datetime = NOON) -> str:
    """Return an id of a question asked then, above those given before."""
    return f"{int(asked_at.timestamp() * 1000) << 80 | next(_NUMBERS):032x}"


def kept(asked_at: datetime = NOON, **changes) -> KeptQuestion:
    """Return what is kept of a question."""
    fields = {"id": question_id(asked_at), "question": "我今年财运怎么样", "confidence": 0.9, "scores": {"wealth": 0.9},
              "time_intent": {"type": "this_year", "target_years": [2026]}, "subject_digest": "s" * 64,
              "fingerprint": "f" * 32, "uncertainty": 0.4, "random_key": 0.5, "asked_at": asked_at}
    return KeptQuestion(**{**fields, **changes})


def entry(question: KeptQuestion | None, **changes) -> SpoolEntry:
    """Return the spool's entry of it; without a question, of one that is only counted."""
    fields = {"day": day_of(question.asked_at if question else NOON), "method": LOCAL_MODEL,
              "model_version": "intent:3", "intents": ("wealth", ), "latency_ms": 10.0, "called_llm": False,
              "kept": question}
    return SpoolEntry(**{**fields, **changes})


def spool(folder, *entries: SpoolEntry) -> None:
    """Write the entries as one finished segment."""
    writer = Spool(folder, close_after_s=3600.0)
    for item in entries:
        writer.append(item.to_line())
    writer.close()


def days_before_noon(days: int) -> datetime:
    """Return the moment so many days earlier."""
    return NOON - timedelta(days=days)
