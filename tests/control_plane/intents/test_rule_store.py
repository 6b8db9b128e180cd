import threading
from itertools import product

import pytest

from control_plane.errors import InvalidRequestError
from control_plane.intents.keyword_rules import KeywordRule
from control_plane.intents.rule_store import NEXT_STATES, LoadedRules, RuleStore
from control_plane.intents.tables import ACTIVE, PROPOSED, RETIRED, RULE_STATES, SHADOW
from control_plane.tuning_errors import RuleExistsError, RuleNotFoundError, RuleStateError


@pytest.fixture
def store(database):
    return RuleStore(database)


def _in_state(store: RuleStore, state: str, keyword: str) -> int:
    """Add a rule and bring it to a state the way that is allowed."""
    rule = store.add(keyword, "wealth", 0.5, "ann")
    for step in (PROPOSED, SHADOW, ACTIVE, RETIRED)[1:RULE_STATES.index(state) + 1]:
        store.update(rule.id, "ann", step)
    return rule.id


def test_an_added_rule_is_found_as_it_is_matched(store):
    rule = store.add(" 财运Ａ", "wealth", 0.8, "ann", origin="extracted", admission={"precision": 0.9})
    found = store.find(rule.id)
    assert (found.keyword, found.intent, found.confidence_boost) == ("财运a", "wealth", 0.8)
    assert (found.state, found.origin, found.admission) == (PROPOSED, "extracted", {"precision": 0.9})
    assert (found.usage_count, found.success_count) == (0, 0)
    assert found.created_at == found.updated_at or found.updated_at > found.created_at


def test_a_keyword_speaks_for_an_intent_once(store):
    store.add("财运", "wealth", 0.8, "ann")
    with pytest.raises(RuleExistsError, match="'财运' speaks for 'wealth'"):
        store.add("财运 ", "wealth", 0.3, "bob")
    store.add("财运", "general", 0.2, "ann")
    assert [rule.confidence_boost for rule in store.page(10)] == [0.8, 0.2]


WRONG = [
    ({"keyword": ""}, "keyword"), ({"intent": ""}, "intent"), ({"intent": "x" * 65}, "intent"),
    ({"boost": 0.0}, "confidence_boost"), ({"boost": 1.0}, "confidence_boost"),
    ({"boost": float("nan")}, "confidence_boost"), ({"state": RETIRED}, "state"), ({"state": "live"}, "state"),
    ({"origin": "guess"}, "origin")]


def test_what_cannot_be_a_rule_names_its_field_and_changes_nothing(store):
    for changed, field in WRONG:
        with pytest.raises(InvalidRequestError) as caught:
            store.add(**{"keyword": "财运", "intent": "wealth", "boost": 0.5, "actor": "ann"} | changed)
        assert caught.value.field == field
    assert (store.page(10), store.revision()) == ([], 0)


def test_a_rule_goes_live_through_the_shadow_only_and_states_that_cannot_follow_are_refused(store):
    for number, (state, wanted) in enumerate(product(RULE_STATES, RULE_STATES)):
        rule_id = _in_state(store, state, f"词{number}")
        if wanted == state or wanted in NEXT_STATES[state]:
            assert store.update(rule_id, "ann", wanted).state == store.find(rule_id).state == wanted
            continue
        before = store.revision()
        with pytest.raises(RuleStateError, match=f"is {state} and cannot become '{wanted}'; it can become"):
            store.update(rule_id, "ann", wanted)
        assert (store.find(rule_id).state, store.revision()) == (state, before)


def test_a_change_leaves_what_it_does_not_name(store):
    rule = store.add("财运", "wealth", 0.5, "ann", admission={"precision": 0.9})
    store.update(rule.id, "bob", boost=0.7)
    changed = store.update(rule.id, "bob", SHADOW, admission={"precision": 0.95})
    assert (changed.confidence_boost, changed.state, changed.admission) == (0.7, SHADOW, {"precision": 0.95})
    with pytest.raises(InvalidRequestError, match="confidence_boost"):
        store.update(rule.id, "bob", boost=2.0)


def test_every_change_is_kept_with_who_and_why(store):
    rule = store.add("财运", "wealth", 0.5, "ann", reason="from the \ud800 list")
    store.update(rule.id, "bob", SHADOW, boost=0.7, reason="looks right")
    assert [(item.actor, item.state, item.confidence_boost, item.reason) for item in store.changes(rule.id, 10)] == [
        ("bob", SHADOW, 0.7, "looks right"), ("ann", PROPOSED, 0.5, "from the ? list")]
    assert len(store.changes(rule.id, 1)) == 1


def test_a_rule_that_is_not_there_is_named(store):
    for ask in (lambda: store.find(7), lambda: store.update(7, "ann", SHADOW)):
        with pytest.raises(RuleNotFoundError, match="no keyword rule 7"):
            ask()


def test_pages_follow_each_other_by_state_and_intent(store):
    ids = [store.add(f"词{number}", ("wealth", "love")[number % 2], 0.5, "ann", (PROPOSED, ACTIVE)[number // 4]).id
           for number in range(8)]
    assert [rule.id for rule in store.page(3)] == ids[:3]
    assert [rule.id for rule in store.page(3, after=ids[2])] == ids[3:6]
    assert [rule.id for rule in store.page(9, state=ACTIVE)] == ids[4:]
    assert [rule.id for rule in store.page(9, state=ACTIVE, intent="love")] == ids[5::2]
    assert store.page(9, after=ids[-1]) == []


def test_load_gives_what_is_matched_with_its_revision(store):
    assert store.load() == LoadedRules(0, (), ())
    for state in RULE_STATES:
        _in_state(store, state, f"词{state}")
    active, shadow = (KeywordRule(rule.id, rule.keyword, "wealth", 0.5) for state in (ACTIVE, SHADOW)
                      for rule in store.page(9, state=state))
    assert store.load() == LoadedRules(store.revision(), (active,), (shadow,))


def test_the_revision_grows_with_every_change_and_not_with_counts(store):
    rule = store.add("财运", "wealth", 0.5, "ann")
    first = store.revision()
    store.add_counts({rule.id: (3, 1)})
    assert store.revision() == first
    store.update(rule.id, "ann", boost=0.6)
    assert store.revision() == first + 1


def test_counts_add_up_and_those_of_unknown_rules_do_not_matter(store):
    rule = store.add("财运", "wealth", 0.5, "ann")
    store.add_counts({rule.id: (3, 1), 999: (1, 1)})
    store.add_counts({rule.id: (2, 0)})
    assert (store.find(rule.id).usage_count, store.find(rule.id).success_count) == (5, 1)


def test_many_who_change_rules_at_once_lose_no_change(store):
    rules = [store.add(f"词{number}", "wealth", 0.5, "ann").id for number in range(4)]
    errors = []

    def work(number: int) -> None:
        try:
            for step in range(5):
                store.update(rules[number], "ann", boost=0.1 + step / 10)
                store.add_counts(dict.fromkeys(rules, (1, 0)))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.revision() == 4 + 20
    assert [rule.usage_count for rule in store.page(9)] == [20] * 4
