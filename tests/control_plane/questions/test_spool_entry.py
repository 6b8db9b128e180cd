import json
from datetime import date, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from control_plane.questions.spool_entry import day_of, read_line
from tests.control_plane.questions.questions import NOON, entry, kept

CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize("question", [
    kept(), kept(question="a\nb\r\u2028\x00 \"\\ 🀄"), kept(subject_digest=None),
    kept(variant="e" * 32 + ":treatment"), None])
def test_an_entry_is_one_line_and_comes_back_as_it_was(question):
    written = entry(question, intents=("wealth", "career"))
    line = written.to_line()
    assert line.splitlines(keepends=True) == [line]
    assert read_line(line[:-1]) == written


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_line_that_is_not_whole_is_refused(cut):
    with pytest.raises(ValidationError):
        read_line(entry(kept()).to_line()[:-1 - cut])


@pytest.mark.parametrize("line", [b"", b"null", b"{}", b"\xff\x00", b"[1]"])
def test_what_is_no_entry_is_refused(line):
    with pytest.raises(ValidationError):
        read_line(line)


@pytest.mark.parametrize("changes", [
    {"method": "guess"}, {"model_version": "v" * 65}, {"latency_ms": float("nan")}, {"latency_ms": -1.0},
    {"intents": ("x" * 65, )}, {"intents": ("", )}, {"surprise": 1}])
def test_what_the_database_would_refuse_is_refused_before_it_is_written(changes):
    with pytest.raises(ValidationError):
        entry(kept(), **changes)


@pytest.mark.parametrize("changes", [
    {"id": "x" * 33}, {"confidence": float("inf")}, {"scores": {"wealth": float("nan")}}, {"question": "\ud800"},
    {"asked_at": datetime(2026, 5, 1)}, {"question": "x" * 100_001}, {"fingerprint": "f" * 65}])
def test_so_is_a_question_that_it_would_refuse(changes):
    with pytest.raises(ValidationError):
        kept(**changes)


def test_a_question_that_is_only_counted_has_nothing_of_the_question_in_its_line():
    assert entry(None).to_row() is None
    assert json.loads(entry(None).to_line()) == {
        "day": "2026-05-01", "method": "local_model", "model_version": "intent:3", "intents": ["wealth"],
        "latency_ms": 10.0, "called_llm": False, "kept": None}


@pytest.mark.parametrize(("moment", "day"), [
    (NOON, date(2026, 5, 1)), (datetime(2026, 5, 1, 7, 59, tzinfo=CHINA), date(2026, 4, 30)),
    (datetime(2026, 5, 1, 8, tzinfo=CHINA), date(2026, 5, 1))])
def test_days_are_those_of_utc(moment, day):
    assert day_of(moment) == day
