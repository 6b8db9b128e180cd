"""Accuracy is taken from the uniform sample alone, week by week, with intervals that cover it."""

import random
from datetime import date, datetime, timedelta, timezone

import pytest

from control_plane.labelling.annotations import Annotations
from control_plane.labelling.tables import LabelLeaseRow
from control_plane.questions.tables import USED
from control_plane.tuning import accuracy
from control_plane.tuning.accuracy import Estimate, Sample, measure_week, read_accuracy, wilson_interval

MONDAY = date(2026, 5, 4)
LONG_AGO = date(2026, 1, 1)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)


def question(key: float, is_labeled: bool, predicted=("wealth",), correct=("wealth",), day: date = MONDAY,
             **columns) -> dict:
    """Return a question; its wording is of its own."""
    return {"question": f"{day} {key}", "random_key": key, "asked_at": noon(day), "intents": list(predicted),
            "is_labeled": is_labeled, "correct_intent": list(correct) if is_labeled else None,
            "shared_intents": len(set(predicted) & set(correct)) if is_labeled else None,
            "either_intents": len(set(predicted) | set(correct)) if is_labeled else None, **columns}


def sizes(weeks) -> dict[date, int]:
    return {week.week: week.questions for week in weeks}


def test_only_what_lies_below_the_smallest_key_that_waits_counts(database, ask):
    """Doubtful questions, which the model gets wrong, are labelled more often; that does not lower the accuracy."""
    chance = random.Random(4)  # noqa: S311 - no secret
    rows = []
    for _ in range(1000):
        key, is_doubtful = chance.random(), chance.random() < 0.2
        is_labeled = key < 0.3 or is_doubtful
        rows.append(question(key, is_labeled, predicted=["love"] if is_doubtful else ["wealth"]))
    ask(*rows)
    end = min(row["random_key"] for row in rows if not row["is_labeled"])
    sample = [row for row in rows if row["random_key"] < end]
    week, = read_accuracy(database, LONG_AGO)
    right = sum(row["intents"] == ["wealth"] for row in sample)
    assert (week.week, week.questions, week.exact_match.value) == (MONDAY, len(sample), right / len(sample))
    assert week.exact_match.low < 0.8 < week.exact_match.high
    labelled = [row for row in rows if row["is_labeled"]]
    assert sum(row["intents"] == ["wealth"] for row in labelled) / len(labelled) < week.exact_match.low


def test_what_waits_since_today_takes_nothing_from_other_days(database, ask):
    tuesday, sunday = MONDAY + timedelta(1), MONDAY - timedelta(1)
    ask(question(0.5, True), question(0.1, False, day=tuesday), question(0.2, True, day=tuesday),
        question(0.05, True, day=tuesday), question(0.9, True, day=sunday))
    assert sizes(read_accuracy(database, LONG_AGO)) == {MONDAY - timedelta(7): 1, MONDAY: 2}
    assert sizes(read_accuracy(database, tuesday)) == {MONDAY: 1}
    assert read_accuracy(database, tuesday + timedelta(1)) == []


def test_skipped_erased_imported_and_disputed_questions_neither_count_nor_wait(database, ask, taxonomy):
    first, _, _, disputed = ask(
        question(0.4, False), question(0.1, False, training_status="skipped"),
        question(1.0, True, training_status=USED), question(0.2, False))
    people = Annotations(database, blind_share=0.0)
    people.label(first, ["wealth"], None, "ann")
    people.label(disputed, ["wealth"], None, "ann")
    assert sizes(read_accuracy(database, LONG_AGO)) == {MONDAY: 2}
    disagree(database, disputed)
    assert sizes(read_accuracy(database, LONG_AGO)) == {MONDAY: 1}


def disagree(database, question_id: str) -> None:
    """Have a second person, who was asked blind, say something else."""
    with database.write() as session:
        session.add(LabelLeaseRow(question_id=question_id, labeler="bob", is_blind=True,
                                  expires_at=datetime.now(timezone.utc) + timedelta(minutes=1)))
    Annotations(database, blind_share=0.0).label(question_id, ["love"], None, "bob")


def test_reads_that_end_early_leave_a_smaller_sample_and_no_skewed_one(database, ask, monkeypatch):
    other = MONDAY + timedelta(1)
    ask(*(question(number / 20, True) for number in range(10)), question(0.9, False),
        *(question(number / 10, False, day=other) for number in range(4)))
    assert sizes(read_accuracy(database, LONG_AGO)) == {MONDAY: 10}
    monkeypatch.setattr(accuracy, "MAX_LABELLED", 6)
    assert sizes(read_accuracy(database, LONG_AGO)) == {MONDAY: 5}
    monkeypatch.setattr(accuracy, "MAX_WAITING", 2)  # That of Monday is not seen; it lies behind 0.1.
    assert sizes(read_accuracy(database, LONG_AGO)) == {MONDAY: 2}


def test_a_week_is_measured_by_whole_questions_and_by_intents():
    week = measure_week(MONDAY, Sample(questions=5, exact=3, shared=4, either=6))
    assert week.exact_match.value == 0.6
    assert week.micro_f1.value == pytest.approx(2 * 4 / (2 * 4 + 1 + 1))  # 2 TP / (2 TP + FP + FN)
    assert week.micro_f1.low < week.micro_f1.value < week.micro_f1.high
    assert measure_week(MONDAY, Sample(1, 1, 0, 0)).micro_f1 is None
    assert measure_week(MONDAY, Sample(1, 1, 0, 0)).exact_match == Estimate(1.0, pytest.approx(0.2065, abs=1e-4), 1.0)


@pytest.mark.parametrize(("hits", "trials", "low", "high"), [
    (0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)])
def test_wilsons_interval(hits, trials, low, high):
    """The last row is the worked example of R. G. Newcombe, Statistics in Medicine 17, 1998, method 3."""
    assert wilson_interval(hits, trials) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
