"""What is decided of a question is carried to its exact duplicates: those that are there, and those that arrive."""

import threading

import pytest
from sqlalchemy import select

from control_plane.errors import DatabaseUnavailableError
from control_plane.labelling.annotations import Annotations
from control_plane.labelling.propagation import LabelPropagation, mark_arrivals
from control_plane.labelling.queue import LabelQueue
from control_plane.labelling.tables import PropagationRow
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
    monkeypatch.setattr("control_plane.labelling.propagation._ARRIVALS", 2)
    assert {people.find(question).state for question in arrive(*[LABELLED] * 5)} == {"labelled"}


def test_what_is_there_follows_the_label_its_correction_and_its_withdrawal(database, ask, propagate, taxonomy):
    people = Annotations(database, blind_share=0.0)
    first, same, other = ask("甲", "甲", "乙")
    for say, correct in ((lambda: people.label(first, ["wealth"], {"type": "this_year"}, "ann"), ["wealth"]),
                         (lambda: people.label(first, ["love"], None, "bob", is_review=True), ["love"]),
                         (lambda: people.undo(first, "bob"), ["wealth"]),
                         (lambda: people.undo(first, "ann"), None)):
        say()
        propagate()
        duplicate = people.find(same)
        assert (duplicate.question.correct_intent, duplicate.annotations) == (correct, ())
        assert duplicate.state == ("unlabelled" if correct is None else "labelled")
    people.skip(first, "ann")
    propagate()
    assert (people.find(same).question.training_status, people.find(other).state) == ("skipped", "unlabelled")


def test_however_many_there_are_all_follow_and_are_counted_once(database, ask, propagate, taxonomy, monkeypatch):
    monkeypatch.setattr("control_plane.labelling.propagation.STEP", 2)
    people = Annotations(database, blind_share=0.0)
    copies = ask(*["甲"] * 6)
    people.label(copies[2], ["love"], None, "ann")
    propagate()
    propagate()
    assert {tuple(people.find(copy).question.correct_intent) for copy in copies} == {("love",)}
    with database.read() as session:
        assert session.scalars(select(PropagationRow)).all() == []


def test_a_controller_that_stops_in_between_leaves_the_rest_to_the_next_one(database, ask, taxonomy, monkeypatch):
    monkeypatch.setattr("control_plane.labelling.propagation.STEP", 2)
    people = Annotations(database, blind_share=0.0)
    copies = ask(*["甲"] * 6)
    people.label(copies[0], ["love"], None, "ann")
    LabelPropagation(database)._step()
    reached = [people.find(copy).question.is_labeled for copy in copies]
    assert reached == [True, True, False, False, False, False]
    assert {people.find(copy).state for copy in copies} == {"labelled"}
    LabelPropagation(database).run_once()
    assert all(people.find(copy).question.is_labeled for copy in copies)


def test_a_duplicate_of_which_somebody_has_said_something_keeps_that(database, ask, propagate, taxonomy):
    people = Annotations(database, blind_share=0.0)
    first, second = ask("甲", "甲")
    people.skip(second, "bob")
    people.label(first, ["love"], None, "ann")
    propagate()
    assert [people.find(question).state for question in (first, second)] == ["labelled", "skipped"]


def test_of_two_opinions_on_the_same_words_the_later_one_holds_and_without_it_the_other(
        database, ask, propagate, taxonomy):
    people = Annotations(database, blind_share=0.0)
    first, second, third = ask("甲", "甲", "甲")
    people.skip(first, "ann")
    people.label(second, ["love"], None, "bob")
    propagate()
    assert people.find(third).state == "labelled"
    people.undo(second, "bob")
    propagate()
    assert people.find(third).state == "skipped"


def test_it_goes_on_where_a_pass_fails(database, ask, taxonomy, monkeypatch):
    monkeypatch.setattr("control_plane.labelling.propagation.POLL_S", 0.01)
    people, stop = Annotations(database, blind_share=0.0), threading.Event()
    first, same = ask("甲", "甲")
    people.label(first, ["love"], None, "ann")
    keeper, failures = LabelPropagation(database), iter((DatabaseUnavailableError("away"), ValueError("a fault")))
    step = keeper._step

    def fail_twice() -> bool:
        if (failure := next(failures, None)) is not None:
            raise failure
        if not (goes_on := step()):
            stop.set()
        return goes_on

    monkeypatch.setattr(keeper, "_step", fail_twice)
    keeper.run(stop)
    assert people.find(same).question.is_labeled
