"""A question whose words are decided already takes that over as it arrives."""

import pytest

from control_plane.labelling.annotations import Annotations
from control_plane.labelling.queue import LabelQueue
from control_plane.labelling.standing import mark_arrivals
from control_plane.questions.question_mover import QuestionMover
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.statistics import read_statistics
from tests.control_plane.questions.questions import NOON, entry, kept, spool

LABELLED, SKIPPED, NEW = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture
def arrive(database, tmp_path):
    """Log questions of some words, by their fingerprints, and return their ids once they are in the database."""
    def log(*words: str, **columns) -> list[str]:
        questions = [kept(fingerprint=fingerprint, **columns) for fingerprint in words]
        spool(tmp_path / "spool", *(entry(question) for question in questions))
        QuestionMover(database, tmp_path / "spool", mark_arrivals).run_once()
        return [question.id for question in questions]

    return log


@pytest.fixture
def people(database, taxonomy, arrive):
    """Annotations by which one question is labelled and another one skipped."""
    annotations = Annotations(database, blind_share=0.0)
    labelled, skipped = arrive(LABELLED, SKIPPED)
    annotations.label(labelled, ["love"], None, "ann")
    annotations.skip(skipped, "ann")
    return annotations


def test_what_holds_for_its_words_holds_for_it_and_is_counted(database, people, arrive):
    *same, new = arrive(LABELLED, LABELLED, SKIPPED, NEW)
    assert [people.find(question).state for question in (*same, new)] == [
        "labelled", "labelled", "skipped", "unlabelled"]
    assert {tuple(people.find(question).correct_intent) for question in same[:2]} == {("love",)}
    assert read_statistics(database, NOON.date(), NOON.date()).total.labeled == 3
    assert [item.question.id for item in LabelQueue(database).page("bob", 10)] == [new]


def test_what_its_subject_has_erased_stays_blank(database, people, arrive):
    QuestionStore(database).erase_subject("e" * 64)
    question, = arrive(LABELLED, subject_digest="e" * 64)
    assert people.find(question).state == "erased"


def test_more_than_are_looked_up_at_once_are_all_marked(people, arrive, monkeypatch):
    monkeypatch.setattr("control_plane.labelling.standing._ARRIVALS", 2)
    assert {people.find(question).state for question in arrive(*[LABELLED] * 5)} == {"labelled"}
