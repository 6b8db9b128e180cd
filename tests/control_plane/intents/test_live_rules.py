import threading

import pytest

from control_plane.errors import DatabaseUnavailableError
from control_plane.intents.live_rules import LiveRules
from control_plane.intents.rule_store import LoadedRules, RuleStore
from control_plane.intents.tables import ACTIVE, RETIRED, SHADOW
from tests.clock import Clock


class WatchedStore(RuleStore):
    """The real store; counts what it is asked, and fails while `is_away`."""

    is_away = False

    def __init__(self, database) -> None:
        super().__init__(database)
        self.asked: list[str] = []

    def revision(self) -> int:
        self._note("revision")
        return super().revision()

    def load(self) -> LoadedRules:
        self._note("load")
        return super().load()

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.is_away:
            raise DatabaseUnavailableError("away")


@pytest.fixture
def store(database):
    return WatchedStore(database)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def live(store, clock):
    return LiveRules(store, clock)


def _intents(matcher) -> list[str]:
    return [match.rule.intent for match in matcher.match("财运")]


def test_a_rule_that_goes_live_is_matched_within_a_second(store, clock, live):
    rule = store.add("财运", "wealth", 0.5, "ann", SHADOW)
    assert (_intents(live.active()), _intents(live.shadow())) == ([], ["wealth"])
    store.update(rule.id, "ann", ACTIVE)
    assert _intents(live.active()) == []
    clock.pass_second()
    assert (_intents(live.active()), _intents(live.shadow())) == (["wealth"], [])
    store.update(rule.id, "ann", RETIRED)
    clock.pass_second()
    assert _intents(live.active()) == []


def test_it_looks_once_a_second_and_reads_only_what_changed(store, clock, live):
    store.add("财运", "wealth", 0.5, "ann", ACTIVE)
    for _ in range(5):
        live.active()
    assert store.asked == ["revision", "load"]
    first = live.active()
    clock.pass_second()
    assert live.active() is first
    assert store.asked == ["revision", "load", "revision"]


def test_while_the_database_is_away_the_last_rules_stay(store, clock, live, caplog):
    store.add("财运", "wealth", 0.5, "ann", ACTIVE)
    live.active()
    store.is_away = True
    clock.pass_second()
    assert _intents(live.active()) == ["wealth"]
    assert "the keyword rules: what was known before holds on" in caplog.text
    asked = len(store.asked)
    live.active()
    assert len(store.asked) == asked
    store.is_away = False
    store.add("财运", "general", 0.5, "ann", ACTIVE)
    clock.pass_second()
    assert _intents(live.active()) == ["wealth", "general"]


def test_a_worker_that_never_reached_the_database_matches_nothing_until_it_does(store, clock, live):
    store.add("财运", "wealth", 0.5, "ann", ACTIVE)
    store.is_away = True
    assert _intents(live.active()) == []
    store.is_away = False
    clock.pass_second()
    assert _intents(live.active()) == ["wealth"]


def test_while_one_thread_reads_the_others_go_on(store, clock, live):
    store.add("财运", "wealth", 0.5, "ann", ACTIVE)
    live.active()
    reading, may_go_on = threading.Event(), threading.Event()

    def stay(*_) -> int:
        reading.set()
        assert may_go_on.wait(10)
        return 1

    store.revision = stay
    clock.pass_second()
    thread = threading.Thread(target=live.active)
    thread.start()
    assert reading.wait(10)
    assert _intents(live.active()) == ["wealth"]
    may_go_on.set()
    thread.join()
