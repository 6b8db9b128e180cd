import random
from collections.abc import Iterable
from datetime import date

import pytest

from control_plane.questions.daily_figures import add_to_days
from control_plane.questions.spool_entry import SpoolEntry
from control_plane.questions.statistics import Figures, read_statistics
from tests.control_plane.questions.questions import days_before_noon, entry, kept

TODAY, YESTERDAY, LONG_AGO = (days_before_noon(days).date() for days in (0, 1, 400))


def add(database, entries: Iterable[SpoolEntry]) -> None:
    with database.write() as session:
        add_to_days(session, entries)


def test_nothing_was_asked(database):
    statistics = read_statistics(database, LONG_AGO, TODAY)
    assert statistics.total == Figures()
    assert (statistics.days, statistics.intents, statistics.methods, statistics.model_versions) == ({}, {}, {}, {})
    total = statistics.total
    assert (total.labeled_share, total.llm_call_share, total.mean_latency_ms, total.p95_latency_ms) == (None, ) * 4


def test_a_day_with_everything(database):
    add(database, [
        entry(kept(), latency_ms=10.0), entry(kept(), intents=("wealth", "career"), latency_ms=20.0),
        entry(None, intents=(), model_version="intent:4", latency_ms=30.0),
        entry(kept(), method="llm_fallback", model_version="", called_llm=True, latency_ms=940.0),
        entry(kept(), method="keyword_fallback", model_version="", called_llm=True, latency_ms=1000.0)])
    statistics = read_statistics(database, TODAY, TODAY)
    total = statistics.total
    assert (total.questions, total.logged, total.labeled, total.llm_calls) == (5, 4, 0, 2)
    assert (total.labeled_share, total.llm_call_share, total.mean_latency_ms) == (0.0, 0.4, 400.0)
    assert total.p95_latency_ms == pytest.approx(1000.0, rel=0.0906)
    assert statistics.intents == {"wealth": 0.8, "career": 0.2, "out_of_scope": 0.2}
    assert statistics.methods == {"local_model": 0.6, "keyword_fallback": 0.2, "llm_fallback": 0.2}
    assert statistics.model_versions == {"": 0.4, "intent:3": 0.4, "intent:4": 0.2}
    assert statistics.days == {TODAY: total}


def test_days_add_up_and_those_outside_do_not_count(database):
    for asked_at in (days_before_noon(0), days_before_noon(1), days_before_noon(1), days_before_noon(400)):
        add(database, [entry(kept(asked_at=asked_at))])
    statistics = read_statistics(database, YESTERDAY, TODAY)
    assert statistics.total.questions == 3
    assert {day: figures.questions for day, figures in statistics.days.items()} == {YESTERDAY: 2, TODAY: 1}
    assert list(statistics.days) == [YESTERDAY, TODAY]
    assert read_statistics(database, LONG_AGO, LONG_AGO).total.questions == 1
    assert read_statistics(database, date(2000, 1, 1), date(2000, 1, 2)).total.questions == 0


def test_one_version_among_others(database):
    add(database, [entry(None), entry(None, model_version="intent:4", intents=(), latency_ms=500.0)])
    statistics = read_statistics(database, TODAY, TODAY, "intent:4")
    assert (statistics.total.questions, statistics.intents) == (1, {"out_of_scope": 1.0})
    assert statistics.total.p95_latency_ms == pytest.approx(500.0, rel=0.0906)
    assert statistics.model_versions == {"intent:4": 1.0}


def test_an_intent_that_is_named_twice_counts_once(database):
    add(database, [entry(None, intents=("wealth", "wealth"))])
    assert read_statistics(database, TODAY, TODAY).intents == {"wealth": 1.0}


def test_the_percentile_is_that_of_the_latencies_themselves(database):
    chance = random.Random(5)  # noqa: S311 - the same in every run
    latencies = [chance.lognormvariate(3, 1) for _ in range(400)]
    for begin in range(0, 400, 100):
        add(database, [entry(None, latency_ms=latency) for latency in latencies[begin:begin + 100]])
    total = read_statistics(database, TODAY, TODAY).total
    assert total.p95_latency_ms == pytest.approx(sorted(latencies)[379], rel=0.0906)
    assert total.mean_latency_ms == pytest.approx(sum(latencies) / 400)


def test_nothing_is_added_for_nothing(database):
    add(database, [])
    assert read_statistics(database, TODAY, TODAY).days == {}
