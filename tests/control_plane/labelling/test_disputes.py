"""Disputed questions are listed with what was said of them, the oldest first, and nothing else is."""

import pytest

from control_plane.labelling.annotations import Annotations
from control_plane.labelling.disputes import read_disputes
from control_plane.labelling.queue import LabelQueue
from control_plane.questions.question_store import QuestionStore


@pytest.fixture
def annotations(database):
    return Annotations(database, blind_share=1.0)


@pytest.fixture
def disputed(database, taxonomy, ask, annotations):
    """Three questions of which ann says wealth and bob love, and one on which they agree."""
    ids = ask("一", "二", "三", {"question": "四", "subject_digest": "someone"})
    for question_id in ids:
        annotations.label(question_id, ["wealth"], None, "ann")
    for given in LabelQueue(database).page("bob", 9):
        annotations.label(given.question.id, ["wealth" if given.question.id == ids[0] else "love"], None, "bob")
    return ids[1:]


def listed(database, limit: int = 9, after: str = "") -> list[str]:
    with database.read() as session:
        return [record.question.id for record in read_disputes(session, limit, after)]


def test_they_come_with_both_opinions_and_with_the_names_of_today(database, taxonomy, disputed, annotations):
    taxonomy.change("love", "admin", name="romance")
    with database.read() as session:
        record, *_ = read_disputes(session, 1)
    assert (record.state, record.correct_intent, record.lease) == ("disputed", None, None)
    assert [(said.labeler, record.taxonomy.names_of(said.intents)) for said in record.annotations] == [
        ("ann", ["wealth"]), ("bob", ["romance"])]
    assert [said.id for said in record.annotations] == [
        said.id for said in annotations.find(disputed[0]).annotations]


def test_they_are_paged_by_id_the_oldest_first(database, disputed):
    assert listed(database) == disputed
    assert listed(database, limit=2) == disputed[:2]
    assert listed(database, after=disputed[1]) == disputed[2:]


def test_one_that_is_decided_or_withdrawn_or_erased_is_not_among_them(database, disputed, annotations):
    annotations.label(disputed[0], ["love"], None, "cid", is_review=True)
    annotations.undo(disputed[1], "bob")
    QuestionStore(database).erase_subject("someone")
    assert listed(database) == []


def test_a_merge_of_the_intents_that_differ_leaves_the_dispute_to_be_decided(database, taxonomy, disputed):
    taxonomy.merge("love", "wealth", "admin")
    assert listed(database) == disputed
