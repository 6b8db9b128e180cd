"""What people say is kept in rows of their own, and a question is what they come to."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from control_plane.database.schema import utc_now
from control_plane.labelling.annotations import Annotations
from control_plane.labelling.queue import LabelQueue
from control_plane.labelling.tables import BLIND, DISPUTED, LABELLED, QUEUE, REVIEW, SKIPPED, LabelLeaseRow
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.tables import PENDING, QuestionRow
from control_plane.questions.tables import SKIPPED as NOT_FOR_TRAINING
from control_plane.tuning_errors import LabelStateError, QuestionErasedError, QuestionNotFoundError, UnknownIntentsError

THIS_YEAR = {"type": "this_year", "target_years": [2026]}


@pytest.fixture
def annotations(database, taxonomy):
    """Annotations without second opinions."""
    return Annotations(database, blind_share=0.0)


@pytest.fixture
def disputed(database, taxonomy, ask):
    """The id of a question that ann and bob, who had it blind, labelled differently."""
    both = Annotations(database, blind_share=1.0)
    question, = ask("我今年财运怎么样")
    both.label(question, ["wealth"], None, "ann")
    assert [item.question.id for item in LabelQueue(database).page("bob", 1)] == [question]
    both.label(question, ["wealth", "love"], None, "bob")
    return question


def state_of(annotations, question_id):
    record = annotations.find(question_id)
    return (record.resolution and record.resolution.state, record.question.is_labeled, record.question.correct_intent,
            record.question.training_status)


def test_a_label_is_kept_beside_the_prediction_which_stays_as_it_was(annotations, ask):
    question, = ask("我今年财运怎么样")
    annotations.label(question, ["love", "wealth"], THIS_YEAR, "ann")
    record = annotations.find(question)
    assert (record.question.intents, record.question.scores) == (["wealth"], {"wealth": 0.8})
    assert (record.question.correct_intent, record.question.correct_time_intent) == (["wealth", "love"], THIS_YEAR)
    said, = record.annotations
    assert (said.labeler, record.taxonomy.names_of(said.intents), said.time_intent, said.origin, said.undone_at) == (
        "ann", ["wealth", "love"], THIS_YEAR, QUEUE, None)
    assert state_of(annotations, question) == (LABELLED, True, ["wealth", "love"], PENDING)


def test_no_intents_is_out_of_scope(annotations, ask):
    question, = ask("几点了")
    annotations.label(question, [], None, "ann")
    assert state_of(annotations, question) == (LABELLED, True, [], PENDING)


def test_what_cannot_be_labelled_is_refused_and_nothing_is_kept(annotations, ask, database):
    question, erased = ask("甲", {"question": "乙", "subject_digest": "somebody"})
    QuestionStore(database).erase_subject("somebody")
    with pytest.raises(UnknownIntentsError, match="'money' is no intent; 'x' is no intent; the taxonomy has wealth, "):
        annotations.label(question, ["x", "wealth", "money"], None, "ann")
    with pytest.raises(QuestionErasedError):
        annotations.label(erased, ["wealth"], None, "ann")
    with pytest.raises(QuestionNotFoundError, match="'nope'"):
        annotations.label("nope", ["wealth"], None, "ann")
    with pytest.raises(QuestionNotFoundError, match="'nope'"):
        annotations.find("nope")
    with pytest.raises(LabelStateError, match="no label to review"):
        annotations.label(question, ["wealth"], None, "ann", is_review=True)
    assert annotations.find(question).annotations == annotations.find(erased).annotations == ()


def test_a_labelled_question_takes_no_other_label_until_that_is_undone(annotations, ask):
    question, = ask("甲")
    annotations.label(question, ["wealth"], None, "ann")
    for labeler in ("ann", "bob"):
        with pytest.raises(LabelStateError, match="'ann' has labelled it already"):
            annotations.label(question, ["love"], None, labeler)
    with pytest.raises(LabelStateError, match="labelled or skipped already"):
        annotations.skip(question, "bob")
    with pytest.raises(LabelStateError, match="nothing of 'bob' to undo"):
        annotations.undo(question, "bob")
    annotations.undo(question, "ann")
    assert state_of(annotations, question) == (None, False, None, PENDING)
    annotations.label(question, ["love"], None, "bob")
    assert state_of(annotations, question) == (LABELLED, True, ["love"], PENDING)
    assert [said.undone_at is None for said in annotations.find(question).annotations] == [False, True]


def test_a_skipped_question_is_for_no_training_until_that_is_undone_or_somebody_labels_it(annotations, ask):
    first, second = ask("甲", "乙")
    for question in (first, second):
        annotations.skip(question, "ann")
        assert state_of(annotations, question) == (SKIPPED, False, None, NOT_FOR_TRAINING)
    annotations.undo(first, "ann")
    assert state_of(annotations, first) == (None, False, None, PENDING)
    annotations.label(second, ["health"], None, "bob")
    assert state_of(annotations, second) == (LABELLED, True, ["health"], PENDING)


def test_a_question_that_somebody_has_is_theirs_until_the_lease_runs_out(annotations, database, ask):
    question, = ask("甲")
    LabelQueue(database).page("ann", 1)
    for refused in (lambda: annotations.label(question, [], None, "bob"), lambda: annotations.skip(question, "bob")):
        with pytest.raises(LabelStateError, match=r"'ann' has it until .* UTC"):
            refused()
    with database.write() as session:
        session.execute(update(LabelLeaseRow).values(expires_at=utc_now() - timedelta(seconds=1)))
    annotations.label(question, [], None, "bob")
    assert annotations.find(question).lease is None


def test_two_who_disagree_make_a_dispute_that_a_review_decides(annotations, disputed):
    assert state_of(annotations, disputed) == (DISPUTED, False, None, NOT_FOR_TRAINING)
    with pytest.raises(LabelStateError, match="decide it with `review`"):
        annotations.label(disputed, ["love"], None, "cid")
    annotations.label(disputed, ["love"], None, "cid", is_review=True)
    assert state_of(annotations, disputed) == (LABELLED, True, ["love"], PENDING)
    assert [said.origin for said in annotations.find(disputed).annotations] == [QUEUE, BLIND, REVIEW]
    annotations.undo(disputed, "cid")
    assert state_of(annotations, disputed)[0] == DISPUTED
    annotations.undo(disputed, "ann")
    assert state_of(annotations, disputed) == (LABELLED, True, ["wealth", "love"], PENDING)


def test_two_who_agree_leave_the_label_as_it_is(database, taxonomy, ask):
    both = Annotations(database, blind_share=1.0)
    question, = ask("甲")
    both.label(question, ["love", "wealth"], None, "ann")
    LabelQueue(database).page("bob", 1)
    both.label(question, ["wealth", "love"], THIS_YEAR, "bob")
    record = both.find(question)
    assert (record.resolution.state, record.resolution.wants_second) == (LABELLED, False)
    assert record.question.correct_time_intent == THIS_YEAR


def test_a_second_opinion_may_be_declined(database, taxonomy, ask):
    both = Annotations(database, blind_share=1.0)
    question, = ask("甲")
    both.label(question, ["wealth"], None, "ann")
    LabelQueue(database).page("bob", 1)
    both.skip(question, "bob")
    assert state_of(both, question) == (LABELLED, True, ["wealth"], PENDING)
    assert LabelQueue(database).page("cid", 1) == []


def test_a_review_corrects_a_label_that_nobody_disputed(annotations, ask):
    question, = ask("甲")
    annotations.label(question, ["wealth"], None, "ann")
    annotations.label(question, [], None, "ann", is_review=True)
    assert state_of(annotations, question) == (LABELLED, True, [], PENDING)


def test_what_holds_for_a_question_holds_for_its_exact_duplicates_at_once(annotations, ask):
    first, same, other = ask("甲", "甲", "乙")
    annotations.label(first, ["wealth"], THIS_YEAR, "ann")
    assert [annotations.find(question).state for question in (same, other)] == ["labelled", "unlabelled"]
    with pytest.raises(LabelStateError, match="an exact duplicate of it is labelled already"):
        annotations.label(same, ["love"], None, "bob")


def test_of_two_who_label_at_once_one_is_told_of_the_other(annotations, database, ask):
    question, = ask("甲")
    barrier, outcomes = threading.Barrier(4), []

    def label(labeler: str) -> None:
        barrier.wait(30)
        try:
            annotations.label(question, ["wealth"], None, labeler)
            outcomes.append("labelled")
        except LabelStateError:
            outcomes.append("refused")

    threads = [threading.Thread(target=label, args=(labeler,)) for labeler in ("ann", "bob", "cid", "dan")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["labelled", "refused", "refused", "refused"]
    assert len(annotations.find(question).annotations) == 1
    with database.read() as session:
        assert session.get(QuestionRow, question).is_labeled
