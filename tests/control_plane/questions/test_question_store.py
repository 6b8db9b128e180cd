import threading

import pytest
from sqlalchemy import insert, select, text

from control_plane.questions import question_store
from control_plane.questions.erasure import blank_erased
from control_plane.questions.labels import lock_questions, mark_labeled
from control_plane.questions.question_mover import QuestionMover
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.statistics import read_statistics
from control_plane.questions.tables import SKIPPED, ErasureRow, QuestionRow, QuestionSegmentRow
from control_plane.tuning_errors import QuestionNotFoundError
from tests.control_plane.questions.questions import NOON, days_before_noon, entry, kept, spool

LAST_YEAR = 365
PERSONAL = ("question", "intents", "scores", "time_intent", "subject_digest", "fingerprint", "correct_intent",
            "correct_time_intent")


@pytest.fixture
def store(database):
    return QuestionStore(database)


@pytest.fixture
def ask(database, folder):
    """Return a function that has questions logged and gives their ids."""
    def log(*questions) -> list[str]:
        spool(folder, *map(entry, questions))
        QuestionMover(database, folder).run_once()
        return [question.id for question in questions]
    return log


def ids(rows: list[QuestionRow]) -> list[str]:
    return [row.id for row in rows]


def test_pages_lead_through_all_questions_newest_first(store, ask):
    asked = ask(*(kept() for _ in range(5)))[::-1]
    first = ids(store.page(2))
    second = ids(store.page(2, before=first[-1]))
    assert first + second + ids(store.page(2, before=second[-1])) == asked
    assert store.page(2, before=asked[-1]) == []


def test_pages_of_labelled_and_of_other_questions(database, store, ask):
    asked = ask(*(kept() for _ in range(4)))
    with database.write() as session:
        mark_labeled(lock_questions(session, [asked[1]]), [], None)
    assert ids(store.page(10, is_labeled=True)) == [asked[1]]
    assert ids(store.page(2, is_labeled=False)) == [asked[3], asked[2]]
    assert ids(store.page(2, before=asked[2], is_labeled=False)) == [asked[0]]


def test_an_unknown_question_is_said_to_be_unknown(store):
    with pytest.raises(QuestionNotFoundError, match="'nope'"):
        store.find("nope")


def test_erasure_leaves_nothing_personal_and_nothing_to_train_with(database, store, ask):
    mine, other = ask(kept(subject_digest="m" * 64), kept(subject_digest="o" * 64))
    with database.write() as session:
        mark_labeled(lock_questions(session, [mine]), ["wealth"], {"type": "today"})
    before = store.find(other)
    assert store.erase_subject("m" * 64) == 1
    row = store.find(mine)
    assert [getattr(row, name) for name in PERSONAL] == ["", [], {}, None, None, None, None, None]
    assert (row.is_labeled, row.training_status) == (False, SKIPPED)
    assert row.erased_at is not None
    after = store.find(other)
    assert [getattr(after, column.name) for column in QuestionRow.__table__.columns] == [
        getattr(before, column.name) for column in QuestionRow.__table__.columns]


def test_erasing_once_more_erases_what_came_in_between(store, ask):
    ask(kept(subject_digest="m" * 64), kept(subject_digest="m" * 64))
    assert [store.erase_subject("m" * 64) for _ in range(2)] == [2, 0]
    [late] = ask(kept(subject_digest="m" * 64, asked_at=NOON.replace(year=2100)))
    assert store.find(late).erased_at is None
    assert store.erase_subject("unknown") == 0


def test_many_questions_of_one_subject_are_erased_together(store, ask):
    asked = ask(*(kept(subject_digest="m" * 64) for _ in range(503)))
    assert store.erase_subject("m" * 64) == 503
    assert all(row.erased_at is not None for row in store.page(len(asked)))


def test_an_erasure_waits_for_questions_that_are_about_to_arrive(database, store):
    """Whichever of the two is first: the mover sees the erasure, or the erasure sees the mover's rows."""
    arriving = entry(kept(subject_digest="m" * 64))
    erased = []
    eraser = threading.Thread(target=lambda: erased.append(store.erase_subject("m" * 64)))
    with database.write() as session:
        session.execute(insert(QuestionRow.__table__), [arriving.to_row()])
        assert blank_erased(session, {"m" * 64}) == 0
        eraser.start()
        if database.engine.dialect.name == "mysql":
            _wait_until_it_waits(database, eraser)
    eraser.join()
    assert erased == [1]
    assert store.find(arriving.kept.id).question == ""


def _wait_until_it_waits(database, eraser: threading.Thread) -> None:
    while eraser.is_alive():
        with database.read() as session:
            if session.scalar(text("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")):
                return
        eraser.join(0.15)  # InnoDB gives whoever asks again within 0.1 s the same answer.


def test_retention_deletes_what_is_older_and_leaves_the_figures(database, store, ask, monkeypatch):
    monkeypatch.setattr(question_store, "RETENTION_BATCH", 2)
    old = ask(*(kept(asked_at=days_before_noon(LAST_YEAR + 1)) for _ in range(5)))
    new = ask(*(kept(asked_at=days_before_noon(days)) for days in (LAST_YEAR - 1, 0)))
    assert store.apply_retention(LAST_YEAR, NOON) == len(old)
    assert ids(store.page(10)) == new[::-1]
    assert store.apply_retention(LAST_YEAR, NOON) == 0
    day = days_before_noon(LAST_YEAR + 1).date()
    assert read_statistics(database, day, day).total.questions == 5


def test_retention_forgets_erasures_and_segments_that_nothing_can_come_of(database, store):
    with database.write() as session:
        for days in (LAST_YEAR + 1, LAST_YEAR - 1):
            session.add(ErasureRow(subject_digest=f"{days}", erased_at=days_before_noon(days)))
            session.add(QuestionSegmentRow(name=f"{days}", moved_at=days_before_noon(days)))
    store.apply_retention(LAST_YEAR, NOON)
    with database.read() as session:
        assert session.scalars(select(ErasureRow.subject_digest)).all() == [f"{LAST_YEAR - 1}"]
        assert session.scalars(select(QuestionSegmentRow.name)).all() == [f"{LAST_YEAR - 1}"]
