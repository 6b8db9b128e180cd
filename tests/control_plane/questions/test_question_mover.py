import threading
from datetime import date

import pytest
from sqlalchemy import delete, event, select

from control_plane.errors import DatabaseUnavailableError
from control_plane.questions import question_mover
from control_plane.questions.question_mover import Moved, QuestionMover
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.spool import Segment, Spool, segment_names
from control_plane.questions.statistics import read_statistics
from control_plane.questions.tables import PENDING, QuestionRow, QuestionSegmentRow
from tests.control_plane.questions.questions import NOON, entry, kept, spool

DAY = NOON.date()


@pytest.fixture
def mover(database, folder):
    return QuestionMover(database, folder)


def questions(database) -> list[QuestionRow]:
    with database.read() as session:
        return list(session.scalars(select(QuestionRow).order_by(QuestionRow.id)))


def counted(database) -> int:
    return read_statistics(database, DAY, DAY).total.questions


def copies(folder) -> dict[str, bytes]:
    """Return the files of the spool, to lay them back as after a crash or from a backup."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def lay_back(folder, files: dict[str, bytes], prefix: str = "") -> None:
    for name, content in files.items():
        (folder / (prefix + name)).write_bytes(content)


def test_a_question_arrives_with_all_that_was_known_of_it(database, folder, mover):
    question = kept(question="我今年财运和事业怎么样\x00🀄")
    spool(folder, entry(question, intents=("wealth", "career"), latency_ms=12.5))
    assert mover.run_once() == Moved(1, 1)
    [row] = questions(database)
    assert {name: getattr(row, name) for name in type(question).model_fields} == question.model_dump()
    assert (row.intents, row.method, row.model_version, row.latency_ms) == (
        ["wealth", "career"], "local_model", "intent:3", 12.5)
    assert (row.has_consent, row.is_labeled, row.correct_intent, row.correct_time_intent, row.training_status,
            row.erased_at) == (True, False, None, None, PENDING, None)


def test_what_is_moved_leaves_neither_a_file_nor_a_note(database, folder, mover):
    spool(folder, entry(kept()))
    spool(folder, entry(None))
    assert mover.run_once() == Moved(2, 2)
    assert list(folder.iterdir()) == []
    with database.read() as session:
        assert session.scalars(select(QuestionSegmentRow)).all() == []
    assert mover.run_once() == Moved()


def test_without_consent_it_is_counted_and_nothing_is_kept(database, folder, mover):
    spool(folder, entry(None), entry(kept()))
    mover.run_once()
    assert len(questions(database)) == 1
    total = read_statistics(database, DAY, DAY).total
    assert (total.questions, total.logged) == (2, 1)


def test_a_segment_that_is_still_written_to_waits(database, folder, mover):
    writer = Spool(folder, close_after_s=3600.0)
    writer.append(entry(kept()).to_line())
    assert mover.run_once() == Moved()
    writer.close()
    assert mover.run_once() == Moved(1, 1)


def test_a_database_that_is_away_loses_nothing_and_doubles_nothing(database, folder, mover):
    spool(folder, entry(kept()), entry(None))
    database.dispose()

    def refuse(*_) -> None:
        raise DatabaseUnavailableError("away")

    event.listen(database.engine, "do_connect", refuse)
    with pytest.raises(DatabaseUnavailableError):
        mover.run_once()
    event.remove(database.engine, "do_connect", refuse)
    assert mover.run_once() == Moved(1, 2)
    assert (len(questions(database)), counted(database)) == (1, 2)


def test_a_crash_after_the_commit_doubles_nothing(database, folder, mover, monkeypatch):
    spool(folder, entry(kept()), entry(None))
    with monkeypatch.context() as patched:
        patched.setattr(Segment, "remove", lambda self: (_ for _ in ()).throw(OSError("the power is off")))
        with pytest.raises(OSError, match="power"):
            mover.run_once()
    assert mover.run_once() == Moved(1, 0)
    assert (len(questions(database)), counted(database), segment_names(folder)) == (1, 2, [])


def test_a_crash_before_the_commit_leaves_nothing_half_done(database, folder, mover, monkeypatch):
    spool(folder, entry(kept()), entry(None))
    with monkeypatch.context() as patched:
        patched.setattr(question_mover, "add_to_days", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            mover.run_once()
    assert (questions(database), counted(database)) == ([], 0)
    assert mover.run_once() == Moved(1, 2)


def test_a_question_that_was_deleted_meanwhile_does_not_come_back(database, folder, mover, monkeypatch):
    spool(folder, entry(kept()))
    with monkeypatch.context() as patched:
        patched.setattr(Segment, "remove", lambda self: (_ for _ in ()).throw(OSError("the power is off")))
        with pytest.raises(OSError, match="power"):
            mover.run_once()
    with database.write() as session:
        session.execute(delete(QuestionRow))
    mover.run_once()
    assert questions(database) == []


def test_the_same_questions_in_another_segment_are_neither_kept_nor_counted_again(database, folder, mover):
    spool(folder, entry(kept()), entry(kept()))
    files = copies(folder)
    mover.run_once()
    lay_back(folder, files, prefix="copy-")
    spool(folder, entry(kept()))
    assert mover.run_once() == Moved(2, 1)
    assert (len(questions(database)), counted(database)) == (3, 3)


def test_a_line_that_is_not_whole_is_told_and_costs_no_other(database, folder, mover, caplog):
    spool(folder, entry(kept()), entry(kept(question="secret words")))
    [path] = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    assert mover.run_once() == Moved(1, 1)
    assert len(questions(database)) == 1
    assert f"1 of 2 lines of the spool's segment {path.stem} are not whole" in caplog.text
    assert "secret" not in caplog.text


def test_a_segment_that_the_database_refuses_is_set_aside_and_the_next_one_moved(database, folder, mover, caplog):
    twice = kept(question="secret words")
    spool(folder, entry(twice), entry(twice))
    [path] = folder.iterdir()
    before = path.read_bytes()
    spool(folder, entry(kept()))
    assert mover.run_once() == Moved(1, 1)
    assert path.with_suffix(".refused").read_bytes() == before
    assert "refuses 2 questions" in caplog.text
    assert "secret" not in caplog.text
    assert counted(database) == 1


def test_a_mover_that_is_asked_to_stop_leaves_the_rest_for_the_next(folder, mover):
    spool(folder, entry(kept()))
    stop = threading.Event()
    stop.set()
    assert mover.run_once(stop) == Moved()
    assert mover.run_once() == Moved(1, 1)


def test_an_empty_segment_of_a_process_that_died_at_once_is_cleared_away(folder, mover):
    folder.mkdir(parents=True)
    (folder / "0-x.jsonl").touch()
    assert mover.run_once() == Moved(1, 0)
    assert segment_names(folder) == []


def test_several_movers_move_each_question_once(database, folder):
    for _ in range(20):
        spool(folder, entry(kept()), entry(None))
    moved = []
    threads = [threading.Thread(target=lambda: moved.append(QuestionMover(database, folder).run_once()))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moved) == 4
    assert sum(item.questions for item in moved) == 40
    assert (len(questions(database)), counted(database)) == (20, 40)


def test_what_arrives_after_its_subjects_erasure_is_blank_and_what_was_asked_later_is_not(database, folder, mover):
    early, other = kept(question="early"), kept(question="other", subject_digest="o" * 64)
    spool(folder, entry(early), entry(other))
    QuestionStore(database).erase_subject("s" * 64)
    spool(folder, entry(kept(asked_at=NOON.replace(year=2100), question="late")))
    mover.run_once()
    assert [row.question for row in questions(database)] == ["", "other", "late"]
    assert questions(database)[0].erased_at is not None
    assert read_statistics(database, DAY, date(2100, 12, 31)).total.questions == 3
