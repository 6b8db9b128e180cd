import contextlib

import pytest

from control_plane.questions.labels import (
    counting_labels,
    lock_question,
    lock_questions,
    mark_labeled,
    set_training_status,
    unmark,
)
from control_plane.questions.question_mover import QuestionMover
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.statistics import read_statistics
from control_plane.questions.tables import PENDING, SKIPPED, USED
from control_plane.tuning_errors import QuestionErasedError, QuestionNotFoundError
from tests.control_plane.questions.questions import NOON, entry, kept, spool

TIME = {"type": "this_year", "target_years": [2026]}
NOT_ERASED, ERASED = kept(subject_digest="n" * 64), kept(subject_digest="e" * 64)


@pytest.fixture
def store(database, folder):
    """A store of two questions, one of them erased."""
    spool(folder, entry(NOT_ERASED), entry(ERASED))
    QuestionMover(database, folder).run_once()
    store = QuestionStore(database)
    assert store.erase_subject(ERASED.subject_digest) == 1
    return store


def label(session, question_id, correct, time_intent=None):
    rows = [lock_question(session, question_id)]
    with counting_labels(session, rows):
        mark_labeled(rows, correct, time_intent)


def take_label_away(session, question_id):
    rows = [lock_question(session, question_id)]
    with counting_labels(session, rows):
        unmark(rows)


def labelled(database) -> int:
    return read_statistics(database, NOON.date(), NOON.date()).total.labeled


@pytest.mark.parametrize(("intents", "time_intent"), [(["wealth", "career"], TIME), ([], None)])
def test_a_label_is_written_changed_and_taken_away(database, store, intents, time_intent):
    for correct in (["health"], intents):
        with database.write() as session:
            label(session, NOT_ERASED.id, correct, time_intent)
    row = store.find(NOT_ERASED.id)
    assert (row.is_labeled, row.correct_intent, row.correct_time_intent) == (True, intents, time_intent)
    assert row.intents == ["wealth"], "what was predicted stays"
    assert labelled(database) == 1
    for _ in range(2):
        with database.write() as session:
            take_label_away(session, NOT_ERASED.id)
    row = store.find(NOT_ERASED.id)
    assert (row.is_labeled, row.correct_intent, row.correct_time_intent) == (False, None, None)
    assert (row.shared_intents, row.either_intents) == (None, None)
    assert labelled(database) == 0


def test_a_question_whose_label_is_taken_away_waits_again(database, store):
    with database.write() as session:
        label(session, NOT_ERASED.id, [])
        set_training_status(session, [NOT_ERASED.id], USED)
        take_label_away(session, NOT_ERASED.id)
    assert store.find(NOT_ERASED.id).training_status == PENDING


def test_a_transaction_that_fails_leaves_no_label_and_no_figure(database, store):
    with contextlib.suppress(KeyError), database.write() as session:
        label(session, NOT_ERASED.id, ["wealth"])
        raise KeyError
    assert not store.find(NOT_ERASED.id).is_labeled
    assert labelled(database) == 0


def test_what_was_erased_or_never_asked_cannot_be_locked(database, store):
    with pytest.raises(QuestionErasedError, match=ERASED.id), database.write() as session:
        lock_question(session, ERASED.id)
    with pytest.raises(QuestionNotFoundError, match="nope"), database.write() as session:
        lock_question(session, "nope")
    with database.write() as session:
        assert [row.id for row in lock_questions(session, [ERASED.id, "nope", NOT_ERASED.id])] == [NOT_ERASED.id]
        assert lock_questions(session, []) == []


@pytest.mark.parametrize(("correct", "shared", "either"), [
    (["wealth"], 1, 1), (["career", "wealth"], 1, 2), (["career"], 0, 2), ([], 0, 1)])
def test_a_label_is_compared_with_the_prediction(database, store, correct, shared, either):
    with database.write() as session:
        label(session, NOT_ERASED.id, correct)
    row = store.find(NOT_ERASED.id)
    assert (row.shared_intents, row.either_intents) == (shared, either)
    assert store.erase_subject(NOT_ERASED.subject_digest) == 1
    row = store.find(NOT_ERASED.id)
    assert (row.shared_intents, row.either_intents) == (None, None)


def test_what_was_erased_is_never_trained_with(database, store):
    with database.write() as session:
        assert set_training_status(session, [NOT_ERASED.id, ERASED.id, "nope"], USED) == 1
    assert store.find(NOT_ERASED.id).training_status == USED
    assert store.find(ERASED.id).training_status == SKIPPED
