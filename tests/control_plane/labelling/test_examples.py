"""Datasets get what people decided, by the names of today, and a split that was frozen stays."""

import pytest

from control_plane.labelling.annotations import Annotations
from control_plane.labelling.examples import assign_splits, labelled_examples, labelled_rows
from control_plane.labelling.tables import IMPORT, SEED, ResolutionRow
from control_plane.questions.labels import set_training_status
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.tables import USED


@pytest.fixture
def annotations(database, taxonomy):
    return Annotations(database, blind_share=0.0)


def examples(database, taxonomy):
    with database.read() as session:
        return {example.text: example for example in labelled_examples(session, taxonomy.snapshot())}


def test_only_questions_that_count_are_examples(annotations, database, taxonomy, ask):
    labelled, out, skipped, erased, _, duplicate = ask(
        "甲", "乙", "丙", {"question": "丁", "subject_digest": "somebody"}, "戊", "甲")
    annotations.label(labelled, ["love", "wealth"], None, "ann")
    annotations.label(out, [], None, "ann")
    annotations.skip(skipped, "ann")
    annotations.label(erased, ["love"], None, "ann")
    QuestionStore(database).erase_subject("somebody")
    found = examples(database, taxonomy)
    assert set(found) == {"甲", "乙"}
    assert found["甲"].id == labelled != duplicate
    assert (found["甲"].labels, found["甲"].split, found["甲"].origin) == (("wealth", "love"), None, "label")
    assert found["乙"].labels == ()


def test_a_snapshot_does_not_see_changes_that_came_after_it(annotations, database, taxonomy, ask):
    given = (["wealth"], ["love"], ["love", "health"], [])
    for question, names in zip(ask("甲", "乙", "丙", "丁"), given, strict=True):
        annotations.label(question, names, None, "ann")
    before = taxonomy.snapshot()
    taxonomy.change("wealth", "admin", name="money")
    taxonomy.retire("love", "admin")
    with database.read() as session:
        seen = {example.text: example.labels for example in labelled_examples(session, before)}
    assert seen == {"甲": ("wealth",), "乙": ("love",), "丙": ("love", "health"), "丁": ()}
    after = {text: example.labels for text, example in examples(database, taxonomy).items()}
    assert after == {"甲": ("money",), "丙": ("health",), "丁": ()}


def test_merged_labels_count_once(annotations, database, taxonomy, ask):
    annotations.label(*ask("甲"), ["wealth", "love"], None, "ann")
    taxonomy.merge("love", "wealth", "admin")
    assert examples(database, taxonomy)["甲"].labels == ("wealth",)


def test_the_origin_tells_seeds_and_what_was_trained_with_before(annotations, database, taxonomy, ask):
    ids = ask("甲", "乙", "丙")
    for question in ids:
        annotations.label(question, ["wealth"], None, "ann")
    with database.write() as session:
        set_training_status(session, [ids[1]], USED)
        session.get(ResolutionRow, ids[2]).origin = SEED
        session.get(ResolutionRow, ids[0]).origin = IMPORT
    found = examples(database, taxonomy)
    assert [found[text].origin for text in "甲乙丙"] == ["label", "replay", "seed"]


def test_a_split_is_frozen_also_when_the_label_changes(annotations, database, taxonomy, ask):
    first, second = ask("甲", "乙")
    for question in (first, second):
        annotations.label(question, ["wealth"], None, "ann")
    with database.write() as session:
        assert assign_splits(session, {first: "test"}) == 1
    with database.write() as session:
        assert assign_splits(session, {first: "train", second: "train"}) == 1
    annotations.undo(first, "ann")
    annotations.label(first, ["love"], None, "ann")
    found = examples(database, taxonomy)
    assert (found["甲"].split, found["甲"].labels, found["乙"].split) == ("test", ("love",), "train")
    with database.write() as session, pytest.raises(ValueError, match="'dev'"):
        assign_splits(session, {first: "dev"})


def test_rows_come_in_order_through_several_chunks(annotations, database, ask, monkeypatch):
    monkeypatch.setattr("control_plane.labelling.examples._CHUNK", 2)
    ids = ask(*(f"问题{number}" for number in range(5)))
    for question in ids:
        annotations.label(question, ["wealth"], None, "ann")
    with database.read() as session:
        assert [row.question.id for row in labelled_rows(session)] == sorted(ids)
