import dataclasses
import errno
import json
import threading

import pytest

from control_plane.privacy.fingerprints import fingerprint, subject_digest
from control_plane.questions.prediction import Prediction
from control_plane.questions.question_log import QuestionLog
from control_plane.questions.question_mover import QuestionMover
from control_plane.questions.question_store import QuestionStore
from control_plane.questions.spool import Spool
from control_plane.questions.spool_entry import QUESTION_MAX_CHARS

KEY = "k" * 32
PHONE, MAIL, CARD = "13812345678", "zhang.san@example.com", "11010519491231002X"
SUBJECT = "user-4711"
PREDICTION = Prediction(
    question=f"我今年财运怎么样，电话{PHONE}，邮箱{MAIL}，身份证{CARD}", intents=("wealth", ), confidence=0.9,
    method="local_model", latency_ms=12.0, has_consent=True, model_version="intent:3",
    scores={"wealth": 0.9, "career": 0.45}, thresholds={"wealth": 0.5, "career": 0.5},
    time_intent={"type": "this_year", "target_years": [2026]}, subject=SUBJECT)


class FullSpool:
    """A disk that takes nothing while `is_full`."""

    is_full = True

    def append(self, line: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def spool(folder):
    return Spool(folder, close_after_s=3600.0)


@pytest.fixture
def log(spool):
    return QuestionLog(spool, KEY)


def spooled(folder) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_question_is_on_its_way_before_record_returns(log, folder):
    question_id = log.record(PREDICTION)
    [line] = spooled(folder).splitlines()
    kept = json.loads(line)["kept"]
    assert kept["id"] == question_id
    assert kept["question"].startswith("我今年财运怎么样")
    assert kept["uncertainty"] == pytest.approx(0.05)
    assert 0 <= kept["random_key"] < 1
    assert kept["subject_digest"] == subject_digest(SUBJECT, KEY)
    assert kept["fingerprint"] == fingerprint(kept["question"], KEY)


def test_personal_data_leaves_memory_nowhere(log, folder, caplog):
    log.record(PREDICTION)
    log.record(dataclasses.replace(PREDICTION, confidence=float("nan")))  # refused, and told in the log
    written = spooled(folder).decode() + caplog.text
    assert [item for item in (PHONE, MAIL, CARD, SUBJECT) if item in written] == []


def test_what_is_logged_can_be_found_in_the_database(database, log, spool, folder):
    question_id = log.record(PREDICTION)
    spool.close()
    QuestionMover(database, folder).run_once()
    row = QuestionStore(database).find(question_id)
    assert (row.intents, row.scores, row.time_intent) == (["wealth"], PREDICTION.scores, PREDICTION.time_intent)
    assert QuestionStore(database).erase_subject(subject_digest(SUBJECT, KEY)) == 1


def test_without_consent_only_counts_are_written(log, folder):
    assert log.record(dataclasses.replace(PREDICTION, has_consent=False)) is None
    [line] = spooled(folder).splitlines()
    assert json.loads(line) == {
        "day": json.loads(line)["day"], "method": "local_model", "model_version": "intent:3", "intents": ["wealth"],
        "latency_ms": 12.0, "called_llm": False, "kept": None}


def test_a_question_without_subject_or_time_or_scores(log, folder):
    question_id = log.record(Prediction("你好", (), 0.0, "keyword_fallback", 1.0, True))
    kept = json.loads(spooled(folder))["kept"]
    assert kept["id"] == question_id
    assert (kept["subject_digest"], kept["time_intent"], kept["scores"], kept["uncertainty"]) == (None, None, {}, 1.0)


@pytest.mark.parametrize("question", ["", "\ud800", "a\x00b\n", "x" * (QUESTION_MAX_CHARS + 5)])
def test_odd_questions_are_logged_too(log, folder, question):
    assert log.record(dataclasses.replace(PREDICTION, question=question)) is not None
    assert len(spooled(folder).splitlines()) == 1


def test_ids_sort_by_when_they_were_asked(log):
    ids = [log.record(PREDICTION) for _ in range(3)]
    assert len(set(ids)) == 3
    assert [item[:12] for item in ids] == sorted(item[:12] for item in ids)


def test_a_full_disk_costs_the_question_and_not_the_prediction_and_is_told_once(caplog):
    spool, failures = FullSpool(), []
    log = QuestionLog(spool, KEY, lambda: failures.append(1))
    assert [log.record(PREDICTION) for _ in range(3)] == [None] * 3
    assert len(failures) == 3
    assert caplog.text.count("questions are not logged until this ends: [Errno 28]") == 1
    spool.is_full = False
    assert log.record(PREDICTION) is not None
    spool.is_full = True
    log.record(PREDICTION)
    assert caplog.text.count("No space left") == 2


def test_many_threads_lose_and_double_nothing(folder):
    spool = Spool(folder, close_after_s=0.01)
    log, ids = QuestionLog(spool, KEY), []
    threads = [threading.Thread(target=lambda: ids.extend(log.record(PREDICTION) for _ in range(100)))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    assert sorted(json.loads(line)["kept"]["id"] for line in spooled(folder).splitlines()) == sorted(ids)
