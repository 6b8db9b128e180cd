import threading

import pytest

from control_plane.errors import DatabaseUnavailableError
from control_plane.labelling.propagation import mark_arrivals
from control_plane.questions import upkeep
from control_plane.questions.question_mover import QuestionMover
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.upkeep import QuestionUpkeep
from tests.control_plane.questions.questions import days_before_noon, entry, kept, spool

LAST_YEAR = 365


def test_a_pass_moves_questions_and_drops_old_ones_once_an_hour(database, folder):
    keeper = QuestionUpkeep(database, folder, LAST_YEAR, mark_arrivals)
    store = QuestionStore(database)
    ancient = kept(asked_at=days_before_noon(4000))
    spool(folder, entry(ancient), entry(kept()))
    keeper.run_once()
    assert len(store.page(10)) == 1
    spool(folder, entry(ancient))
    keeper.run_once()
    assert len(store.page(10)) == 2, "the retention is not due yet"


@pytest.mark.parametrize("error", [DatabaseUnavailableError("away"), OSError("the disk is gone"), KeyError("a bug")])
def test_an_error_of_a_pass_is_told_once_and_tried_again(sqlite_database, folder, monkeypatch, caplog, error):
    passes, stop = [], threading.Event()

    def fail(self, stop) -> None:
        passes.append(error)
        if len(passes) == 3:
            stop.set()
        raise error

    monkeypatch.setattr(QuestionMover, "run_once", fail)
    monkeypatch.setattr(upkeep, "RETRY_S", 0.0)
    monkeypatch.setattr(upkeep, "POLL_S", 0.0)
    QuestionUpkeep(sqlite_database, folder, LAST_YEAR, mark_arrivals).run(stop)
    assert len(passes) == 3
    told = [record for record in caplog.records if record.name == upkeep.__name__]
    assert len(told) == (3 if isinstance(error, KeyError) else 1)
