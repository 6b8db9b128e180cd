"""Fills a database with questions and measures how long pages and statistics take over all of them."""

import random
import time
from collections.abc import Callable
from datetime import timedelta

import numpy as np
from sqlalchemy import false, insert, select

from benchmarks.question_log_roles import LABELS, question
from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.questions.daily_figures import add_to_days
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.spool_entry import KeptQuestion, SpoolEntry, day_of
from control_plane.questions.statistics import read_statistics
from control_plane.questions.tables import PENDING, QuestionRow

DAYS, PAGE, REPEATS, _BATCH = 365, 100, 200, 5000
_LABELED_SHARE = 0.05


def fill(database: Database, rows: int) -> None:
    """Insert `rows` questions spread over the last year, one in twenty of them labelled, with their daily figures."""
    rng = random.Random(1)  # noqa: S311 - what is asked is no secret
    begin, step = utc_now() - timedelta(days=DAYS), timedelta(days=DAYS) / rows
    for first in range(0, rows, _BATCH):
        entries = [_entry(rng, begin + number * step, number) for number in range(first, min(first + _BATCH, rows))]
        with database.write() as session:
            session.execute(insert(QuestionRow.__table__), [_row(entry, rng) for entry in entries])
            add_to_days(session, entries)


def measure(database: Database) -> list[tuple[str, float, float]]:
    """Return what was asked for, and its p50 and p95 in milliseconds."""
    store, rng, today = QuestionStore(database), random.Random(2), day_of(utc_now())  # noqa: S311 - what is asked is no secret
    with database.read() as session:
        ids = session.scalars(select(QuestionRow.id)).all()

    def waiting(column) -> None:
        with database.read() as session:
            # As the labelling queue asks (control_plane/labelling/sampling.py): MySQL uses no index for IS false.
            session.scalars(select(QuestionRow).where(
                QuestionRow.is_labeled == false(), QuestionRow.training_status == PENDING)
                .order_by(column).limit(PAGE)).all()

    return [(what, *_percentiles(call)) for what, call in {
        "unlabelled page, newest first": lambda: store.page(PAGE, rng.choice(ids), is_labeled=False),
        "unlabelled page, most doubtful first": lambda: waiting(QuestionRow.uncertainty),
        "unlabelled page, at random": lambda: waiting(QuestionRow.random_key),
        "labelled page, newest first": lambda: store.page(PAGE, rng.choice(ids), is_labeled=True),
        "statistics of 30 days": lambda: read_statistics(database, today - timedelta(days=29), today),
        f"statistics of {DAYS} days": lambda: read_statistics(database, today - timedelta(days=DAYS), today),
    }.items()]


def _percentiles(call: Callable[[], object]) -> tuple[float, float]:
    latencies = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        latencies.append((time.perf_counter() - started) * 1000)
    return tuple(np.percentile(latencies, (50, 95)))


def _entry(rng: random.Random, asked_at, number: int) -> SpoolEntry:
    scores = {label: rng.random() for label in LABELS}
    best = max(scores, key=scores.get)
    kept = KeptQuestion(
        id=f"{int(asked_at.timestamp() * 1000) << 80 | number:032x}", question=question(rng), confidence=scores[best],
        scores=scores, time_intent=None, subject_digest=f"{rng.getrandbits(128):032x}",
        fingerprint=f"{rng.getrandbits(128):032x}", uncertainty=min(abs(score - 0.5) for score in scores.values()),
        random_key=rng.random(), asked_at=asked_at)
    return SpoolEntry(day=day_of(asked_at), method="local_model", model_version=f"intent:{number * 5 // 1_000_000}",
                      intents=(best, ), latency_ms=rng.lognormvariate(2.5, 0.5), called_llm=False, kept=kept)


def _row(entry: SpoolEntry, rng: random.Random) -> dict:
    is_labeled = rng.random() < _LABELED_SHARE
    return {**entry.to_row(), "is_labeled": is_labeled, "correct_intent": list(entry.intents) if is_labeled else None}
