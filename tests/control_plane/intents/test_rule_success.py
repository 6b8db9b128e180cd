"""Rules that were right are counted when people say so."""

import pytest

from control_plane.intents.live_rules import LiveRules
from control_plane.intents.rule_store import RuleStore
from control_plane.intents.rule_success import RuleSuccess
from control_plane.intents.rule_usage import UsageCounter
from control_plane.intents.tables import ACTIVE, PROPOSED, SHADOW


@pytest.fixture
def store(database):
    return RuleStore(database)


@pytest.fixture
def usage(store):
    usage = UsageCounter(store, flush_s=3600.0)
    yield usage
    usage.close()


def test_rules_that_are_matched_and_named_by_the_label_succeed_once_a_question(store, usage):
    for keyword, intent, state in (("财运", "wealth", ACTIVE), ("升职", "career", SHADOW), ("财运", "general", ACTIVE),
                                   ("运", "wealth", PROPOSED), ("爱情", "wealth", ACTIVE)):
        store.add(keyword, intent, 0.5, "ann", state)
    success = RuleSuccess(LiveRules(store), usage)
    success.note_label("财运怎么样，财运好会升职吗", ["wealth", "career"])
    success.note_label("财运怎么样", [])
    success.note_label("随便问问", ["wealth"])
    usage.flush()
    assert [row.success_count for row in store.page(10)] == [1, 1, 0, 0, 0]
    assert {row.usage_count for row in store.page(10)} == {0}
