"""Scores of the newest training are kept, and compared with the labels and the taxonomy of today."""

import pytest

from control_plane.labelling.annotations import Annotations
from control_plane.labelling.out_of_fold import save_scores, suspected_labels


@pytest.fixture
def question(database, taxonomy, ask):
    """The id of a question about love that was labelled wealth, beside good examples of both."""
    annotations = Annotations(database, blind_share=0.0)
    wrong, *others = ask("他爱我吗", "财运", "爱情")
    for question_id, name in zip([wrong, *others], ("wealth", "wealth", "love"), strict=True):
        annotations.label(question_id, [name], None, "ann")
    with database.write() as session:
        save_scores(session, "3", {wrong: {"wealth": 0.5, "love": 0.5, "health": 0.0}})
    with database.write() as session:
        save_scores(session, "4", {
            wrong: {"wealth": 0.02, "love": 0.97, "health": 0.0},
            others[0]: {"wealth": 0.9, "love": 0.1, "health": 0.0},
            others[1]: {"wealth": 0.1, "love": 0.9, "health": 0.0},
            "0" * 32: {"wealth": 1.0, "love": 1.0, "health": 0.0}})
    return wrong


def suspects(database, taxonomy):
    with database.read() as session:
        return [(item.question.id, item.intent, item.kind, item.model_version)
                for item in suspected_labels(session, taxonomy.snapshot(), 10)]


def test_the_wrong_label_is_suspected_by_the_newest_scores(database, taxonomy, question):
    assert suspects(database, taxonomy) == [(question, "wealth", "extra", "4"), (question, "love", "missing", "4")]


def test_a_corrected_label_is_not_suspected(database, taxonomy, question):
    Annotations(database).label(question, ["love"], None, "bob", is_review=True)
    assert suspects(database, taxonomy) == []


def test_intents_that_the_training_did_not_know_are_left_out(database, taxonomy, question):
    taxonomy.change("love", "admin", name="romance")
    taxonomy.add("career", "", "", "admin")
    assert suspects(database, taxonomy) == [(question, "wealth", "extra", "4")]
