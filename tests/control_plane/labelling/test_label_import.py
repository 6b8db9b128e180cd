"""Rows of a file become labels in one transaction, on both databases; what contradicts a label is refused."""

import pytest

from control_plane.errors import InvalidRequestError
from control_plane.labelling import label_import
from control_plane.labelling.annotations import Annotations
from control_plane.labelling.examples import labelled_rows
from control_plane.labelling.import_rows import ImportRow, RefusedRow
from control_plane.labelling.label_import import LabelImport
from control_plane.labelling.tables import IMPORT
from control_plane.privacy.fingerprints import fingerprint
from control_plane.questions.question_store import QuestionStore
from control_plane.tuning_errors import ImportRefusedError

KEY = "a key of the tests"


@pytest.fixture
def labels(database, taxonomy):
    return LabelImport(database, KEY)


def row(number, text=None, *names, question_id=None):
    return ImportRow(number, question_id, text, names, None, None)


def run(labels, *rows, keeps_rest=True):
    report = labels.run(rows, "ann", IMPORT, keeps_rest)
    return report.imported, report.unchanged, [error.number for error in report.errors]


def kept(database):
    with database.read() as session:
        return {item.question.question: item for item in labelled_rows(session)}


def log(ask, text):
    question_id, = ask({"question": text, "fingerprint": fingerprint(text, KEY)})
    return question_id


def test_logged_and_new_questions_are_labelled_and_a_second_time_nothing_changes(labels, database, ask):
    by_id, by_text = log(ask, "甲"), log(ask, "乙")
    rows = (row(1, None, "wealth", question_id=by_id), row(2, "乙！", "love"), row(3, "丙"),
            row(4, "丙", question_id="no"))
    assert run(labels, *rows) == (3, 1, [])
    found = kept(database)
    assert (found["甲"].question.id, found["乙"].question.id) == (by_id, by_text)
    assert found["丙"].question.correct_intent == []
    assert len(found["丙"].question.id) == 32
    assert run(labels, *rows) == (0, 4, [])


def test_rows_that_contradict_are_refused_across_chunks_too(labels, database, ask, monkeypatch):
    monkeypatch.setattr(label_import, "_CHUNK", 2)
    Annotations(database).label(log(ask, "甲"), ["wealth"], None, "ann")
    rows = [row(1, "甲", "love"), row(2, "乙", "love"), row(3, "丙", "love"), row(4, "乙", "wealth"),
            row(5, "丙", "love")]
    assert run(labels, *rows) == (2, 1, [1, 4])


def test_all_or_nothing(labels, database):
    with pytest.raises(ImportRefusedError, match=r"2 rows cannot be imported, and nothing was: rows\.2: ") as caught:
        run(labels, row(1, "甲", "love"), row(2, "乙", "nope"), RefusedRow(3, "bad"), keeps_rest=False)
    assert [field for field, _ in caught.value.fields] == ["rows.2", "rows.3"]
    assert kept(database) == {}


def test_a_file_of_too_many_rows_is_refused(labels, monkeypatch):
    monkeypatch.setattr(label_import, "MAX_ROWS", 2)
    with pytest.raises(InvalidRequestError, match="more than 2 rows"):
        run(labels, *(row(number, f"问题{number}") for number in range(3)))


def test_retention_leaves_imported_questions_alone(labels, database, ask):
    run(labels, row(1, "甲", "love"))
    log(ask, "乙")
    assert QuestionStore(database).apply_retention(-1) == 1
    assert list(kept(database)) == ["甲"]
