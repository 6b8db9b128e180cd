"""Fills databases with a year of questions, as people have labelled a part of them; knows nothing of measuring."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import insert, update

from benchmarks.question_log_roles import LABELS, question
from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.labelling.tables import DISPUTED, LABELLED, QUEUE, RANDOM, SKIPPED, AnnotationRow, ResolutionRow
from control_plane.labelling.taxonomy import Taxonomy
from control_plane.questions.daily_figures import add_to_days
from control_plane.questions.spool_entry import KeptQuestion, SpoolEntry, day_of
from control_plane.questions.tables import (
    KEYWORD_FALLBACK,
    LLM_FALLBACK,
    LOCAL_MODEL,
    PENDING,
    USED,
    QuestionDayRow,
    QuestionRow,
)
from control_plane.questions.tables import SKIPPED as NOT_FOR_TRAINING

DAYS, LABELERS = 365, ("ann", "bob", "cid", "dan", "eve")
_BATCH, _VERSIONS = 5000, 12  # a new model version each month
# Three of ten questions are asked in one of 2,000 wordings, the first ones far more often; every third of these has a
# label, which its copies share: what comes later is marked as it arrives.
_COMMON_SHARE, _COMMON_WORDINGS, _LABELLED_WORDINGS = 0.3, 2000, 3
# Of the others: those that the random slice gave out, and the doubtful ones. Some were skipped, or are disputed.
_RANDOM_KEY_END, _UNCERTAINTY_END, _SKIPPED_SHARE, _DISPUTED_SHARE, _BLIND_SHARE = 0.02, 0.002, 0.01, 0.005, 0.05
_RIGHT_SHARE, _MODEL_SHARE = 0.85, 0.9
_UNSEEN, _UNTRAINED, _UNOPPOSED = timedelta(days=1), timedelta(days=30), timedelta(days=7)


@dataclass(frozen=True)
class _Asked:
    entry: SpoolEntry
    state: str | None      # what people said of it or of its wording: one of the resolution's states, None for nothing
    is_own: bool           # said of this question itself
    correct: tuple[str, ...]
    age: timedelta


def fill(databases: Sequence[Database], rows: int) -> None:
    """Insert the same `rows` questions into each database, with daily figures, annotations and what they come to."""
    for database in databases:
        taxonomy = Taxonomy(database)
        for label in LABELS:
            taxonomy.add(label, label, f"about {label}", "benchmark")
    ids = {intent.name: intent.id for intent in taxonomy.snapshot().intents}
    asked = _ask(rows)
    with ThreadPoolExecutor(len(databases)) as pool:
        while batch := list(islice(asked, _BATCH)):
            for _ in pool.map(lambda database, batch=batch: _insert(database, batch, ids), databases):
                pass  # What went wrong in one is raised here.


def _insert(database: Database, batch: list[_Asked], ids: dict[str, int]) -> None:
    own = [item for item in batch if item.state is not None and item.is_own]
    with database.write() as session:
        session.execute(insert(QuestionRow.__table__), [_question_row(item) for item in batch])
        add_to_days(session, [item.entry for item in batch])
        if own:
            session.execute(insert(AnnotationRow.__table__), [_annotation_row(item, ids) for item in own])
            session.execute(insert(ResolutionRow.__table__), [_resolution_row(item, ids) for item in own])
        labelled = Counter(item.entry.day for item in batch if item.state == LABELLED and _is_model(item))
        for day, count in labelled.items():
            session.execute(update(QuestionDayRow).where(
                QuestionDayRow.day == day, QuestionDayRow.method == LOCAL_MODEL).values(labeled=count))


def _ask(rows: int) -> Iterator[_Asked]:
    rng, now = random.Random(1), utc_now()  # noqa: S311 - what is asked is no secret
    step, decided = timedelta(days=DAYS) / rows, set()
    for number in range(rows):
        age = step * (rows - number)
        entry, wording = _entry(rng, now - age, number, age)
        state, is_own = _standing(rng, entry, wording, age, decided)
        correct = entry.intents if rng.random() < _RIGHT_SHARE else (rng.choice(LABELS), )
        yield _Asked(entry, state, is_own, correct, age)


def _standing(rng: random.Random, entry: SpoolEntry, wording: int | None, age: timedelta,
              decided: set[int]) -> tuple[str | None, bool]:
    """Return what holds for the question, and whether that was said of itself."""
    if wording is not None:
        if wording % _LABELLED_WORDINGS or (age < _UNSEEN and wording not in decided):
            return None, False
        is_first = wording not in decided
        decided.add(wording)
        return LABELLED, is_first
    if age < _UNSEEN or (entry.kept.random_key >= _RANDOM_KEY_END and entry.kept.uncertainty >= _UNCERTAINTY_END):
        return None, False
    chance = rng.random()
    if chance < _DISPUTED_SHARE:
        return DISPUTED, True
    return SKIPPED if chance < _DISPUTED_SHARE + _SKIPPED_SHARE else LABELLED, True


def _entry(rng: random.Random, asked_at: datetime, number: int, age: timedelta) -> tuple[SpoolEntry, int | None]:
    """Return a question, and which of the common wordings it has; without pydantic's checks, which take too long."""
    is_common = rng.random() < _COMMON_SHARE
    wording = int(_COMMON_WORDINGS * rng.random() ** 3) if is_common else None
    scores = {label: round(rng.random(), 6) for label in LABELS}
    best = max(scores, key=scores.get)
    is_model = rng.random() < _MODEL_SHARE
    kept = KeptQuestion.model_construct(
        id=f"{int(asked_at.timestamp() * 1000) << 80 | number:032x}",
        question=f"{question(rng)}（{wording if is_common else rng.randrange(10**6)}）", confidence=scores[best],
        scores=scores, time_intent={"type": "this_year", "target_years": [asked_at.year]},
        subject_digest=f"{rng.getrandbits(128):032x}",
        fingerprint=f"{wording if is_common else rng.getrandbits(128):032x}",
        uncertainty=min(abs(score - 0.5) for score in scores.values()) if is_model else 1.0,
        random_key=rng.random(), asked_at=asked_at, variant=None)
    method = LOCAL_MODEL if is_model else rng.choice((KEYWORD_FALLBACK, LLM_FALLBACK))
    return SpoolEntry.model_construct(
        day=day_of(asked_at), method=method, intents=(best, ), latency_ms=rng.lognormvariate(2.5, 0.5),
        model_version=f"intent:{_VERSIONS - age.days * _VERSIONS // DAYS}" if is_model else "",
        called_llm=method == LLM_FALLBACK, kept=kept), wording


def _is_model(item: _Asked) -> bool:
    return item.entry.method == LOCAL_MODEL


def _question_row(item: _Asked) -> dict:
    is_labeled, status = item.state == LABELLED, PENDING
    if item.state in (SKIPPED, DISPUTED):
        status = NOT_FOR_TRAINING
    elif is_labeled and item.is_own and item.age > _UNTRAINED:
        status = USED
    predicted, correct = set(item.entry.intents), set(item.correct)
    return {**item.entry.to_row(), "is_labeled": is_labeled, "training_status": status,
            "correct_intent": list(item.correct) if is_labeled else None,
            "shared_intents": len(predicted & correct) if is_labeled else None,
            "either_intents": len(predicted | correct) if is_labeled else None}


def _annotation_row(item: _Asked, ids: dict[str, int]) -> dict:
    return {"question_id": item.entry.kept.id, "labeler": LABELERS[0], "origin": QUEUE, "slice": RANDOM,
            "intents": None if item.state == SKIPPED else [ids[name] for name in item.correct]}


def _resolution_row(item: _Asked, ids: dict[str, int]) -> dict:
    kept = item.entry.kept
    return {"question_id": kept.id, "fingerprint": kept.fingerprint, "state": item.state, "origin": QUEUE,
            "slice": RANDOM, "first_labeler": LABELERS[0], "resolved_at": kept.asked_at,
            "intents": [ids[name] for name in item.correct] if item.state == LABELLED else None,
            "wants_second": item.state == LABELLED and item.age < _UNOPPOSED
            and kept.random_key * 1e6 % 1 < _BLIND_SHARE}
