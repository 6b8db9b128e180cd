"""The taxonomy changes without losing past labels, every change is one revision, and a snapshot stays what it was."""

import threading

import pytest

from control_plane.errors import BusyError, InvalidRequestError
from control_plane.intents.keyword_rules import KeywordRule
from control_plane.intents.rule_store import RuleStore
from control_plane.intents.tables import RETIRED as RETIRED_RULE
from control_plane.labelling.tables import ACTIVE, MERGED, RETIRED
from control_plane.labelling.taxonomy import Taxonomy
from control_plane.tuning_errors import IntentNotFoundError, TaxonomyStateError, UnknownIntentsError

SENSELESS = [
    lambda taxonomy: taxonomy.add("love", "x", "", "admin"),
    lambda taxonomy: taxonomy.change("wealth", "admin", name="love"),
    lambda taxonomy: taxonomy.merge("wealth", "wealth", "admin"),
    lambda taxonomy: taxonomy.merge("wealth", "retired", "admin"),
    lambda taxonomy: taxonomy.merge("merged", "wealth", "admin"),
    lambda taxonomy: taxonomy.merge("wealth", "merged", "admin"),
    lambda taxonomy: taxonomy.retire("retired", "admin"),
    lambda taxonomy: taxonomy.retire("merged", "admin"),
    lambda taxonomy: taxonomy.restore("wealth", "admin")]


def ids(taxonomy, *names):
    return taxonomy.snapshot().ids_of(names)


def test_an_empty_taxonomy_has_revision_0_and_knows_nothing(database):
    snapshot = Taxonomy(database).snapshot()
    assert (snapshot.revision, snapshot.labels) == (0, ())
    with pytest.raises(UnknownIntentsError, match="'wealth' is no intent; the taxonomy has no intent yet"):
        snapshot.ids_of(["wealth"])


def test_intents_keep_the_order_in_which_they_were_added_and_each_change_is_a_revision(taxonomy):
    snapshot = taxonomy.snapshot()
    assert (snapshot.revision, snapshot.labels) == (3, ("wealth", "love", "health"))
    assert snapshot.by_name["wealth"].display_name == "财运"
    assert snapshot.names_of(snapshot.ids_of(["health", "wealth"])) == ["wealth", "health"]


def test_a_rename_carries_past_labels_along_and_an_older_snapshot_does_not_see_it(taxonomy):
    labels, before = ids(taxonomy, "wealth"), taxonomy.snapshot()
    after = taxonomy.change("wealth", "admin", "clearer", name="money", display_name="钱")
    assert after == taxonomy.snapshot()
    assert after.names_of(labels) == ["money"]
    assert after.by_name["money"].display_name == "钱"
    assert (before.names_of(labels), before.revision, after.revision) == (["wealth"], 3, 4)
    with pytest.raises(IntentNotFoundError, match="'wealth'"):
        taxonomy.change("wealth", "admin", display_name="x")
    assert taxonomy.history(1)[0].detail == {"from": {"name": "wealth", "display_name": "财运"},
                                             "to": {"name": "money", "display_name": "钱"}}


def test_a_merge_makes_past_labels_those_of_the_other_also_through_several(taxonomy):
    labels = ids(taxonomy, "wealth", "love")
    taxonomy.merge("wealth", "love", "admin")
    after = taxonomy.merge("love", "health", "admin")
    assert after.names_of(labels) == ["health"]
    assert (after.labels, after.by_name["wealth"].state) == (("health",), MERGED)
    with pytest.raises(UnknownIntentsError, match="'love' was merged into 'health'; 'wealth' was merged into 'health'"):
        after.ids_of(["wealth", "love", "health"])


def test_keyword_rules_follow_a_rename_and_are_read_anew(database, taxonomy):
    rules = RuleStore(database)
    live = rules.add("财运", "wealth", 0.8, "ann", "active")
    gone = rules.add("发财", "wealth", 0.5, "ann")
    rules.update(gone.id, "ann", RETIRED_RULE)
    rules.add("桃花", "love", 0.7, "ann", "active")
    before = rules.revision()
    taxonomy.change("wealth", "bob", "clearer", name="money")
    assert rules.revision() == before + 1
    assert rules.load().active[0] == KeywordRule(live.id, "财运", "money", 0.8)
    assert [(rule.keyword, rule.intent, rule.state) for rule in rules.page(9)] == [
        ("财运", "money", "active"), ("发财", "money", "retired"), ("桃花", "love", "active")]
    newest = rules.changes(live.id, 1)[0]
    assert (newest.actor, newest.state, newest.reason) == ("bob", "active", "'wealth' became 'money': clearer")


def test_where_the_other_intent_has_the_keyword_already_its_own_rule_decides(database, taxonomy):
    rules = RuleStore(database)
    double = rules.add("运气", "wealth", 0.8, "ann", "active")
    moving = rules.add("财运", "wealth", 0.6, "ann", "active")
    own = rules.add("运气", "health", 0.3, "ann", "shadow")
    taxonomy.merge("wealth", "health", "bob")
    assert [(rule.id, rule.intent, rule.state, rule.confidence_boost) for rule in rules.page(9)] == [
        (double.id, "wealth", "retired", 0.8), (moving.id, "health", "active", 0.6), (own.id, "health", "shadow", 0.3)]
    assert rules.changes(double.id, 1)[0].reason == (
        f"rule {own.id} says the same of 'health', which 'wealth' became")


def test_a_change_that_fails_or_leaves_the_name_leaves_the_rules(database, taxonomy):
    rules = RuleStore(database)
    rule = rules.add("财运", "wealth", 0.8, "ann", "active")
    before = rules.revision()
    taxonomy.change("wealth", "bob", display_name="钱")
    with pytest.raises(TaxonomyStateError):
        taxonomy.change("wealth", "bob", name="love")
    with pytest.raises(TaxonomyStateError):
        taxonomy.merge("wealth", "wealth", "bob")
    assert (rules.revision(), rules.find(rule.id).intent, len(rules.changes(rule.id, 9))) == (before, "wealth", 1)


def test_a_retired_intent_keeps_its_labels_takes_no_new_ones_and_can_come_back(taxonomy):
    labels = ids(taxonomy, "wealth", "love")
    after = taxonomy.retire("love", "admin")
    assert (after.labels, after.names_of(labels)) == (("wealth", "health"), ["wealth", "love"])
    assert [intent.state for intent in after.current(labels)] == [ACTIVE, RETIRED]
    with pytest.raises(UnknownIntentsError, match="'love' is retired"):
        after.ids_of(["love"])
    assert taxonomy.restore("love", "admin").labels == ("wealth", "love", "health")


def test_a_name_that_is_none_is_refused(taxonomy):
    for name in ("", "Wealth", "1st", "財運", "a b", "a" * 65, "wealth\n", "out_of_scope", "a-b"):
        with pytest.raises(TaxonomyStateError, match="cannot be an intent"):
            taxonomy.add(name, "x", "", "admin")
        with pytest.raises(TaxonomyStateError, match="cannot be an intent"):
            taxonomy.change("wealth", "admin", name=name)
    assert taxonomy.snapshot().revision == 3


def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(taxonomy):
    taxonomy.add("retired", "", "", "admin")
    taxonomy.add("merged", "", "", "admin")
    taxonomy.retire("retired", "admin")
    before = taxonomy.merge("merged", "love", "admin")
    for change in SENSELESS:
        with pytest.raises(TaxonomyStateError):
            change(taxonomy)
    assert taxonomy.snapshot() == before


def test_an_intent_that_does_not_exist_is_not_found(taxonomy):
    for change in (lambda: taxonomy.retire("nope", "admin"), lambda: taxonomy.merge("nope", "love", "admin"),
                   lambda: taxonomy.restore("nope", "admin")):
        with pytest.raises(IntentNotFoundError, match="'nope'"):
            change()
    with pytest.raises(InvalidRequestError, match="into: the taxonomy has no intent 'nope'"):
        taxonomy.merge("love", "nope", "admin")


def test_the_history_tells_who_did_what_and_why_newest_first(taxonomy):
    taxonomy.merge("love", "health", "某人", "因为")
    newest, before = taxonomy.history(2)
    assert (newest.revision, newest.actor, newest.action, newest.intent, newest.detail, newest.reason) == (
        4, "某人", "merge", "love", {"into": "health"}, "因为")
    assert (before.revision, before.action) == (3, "add")
    assert [row.revision for row in taxonomy.history(9, before=3)] == [2, 1]


def test_of_two_changes_at_once_none_is_lost(taxonomy):
    barrier, outcomes = threading.Barrier(4), []

    def add(name: str) -> None:
        barrier.wait(30)
        try:
            outcomes.append(taxonomy.add(name, "", "", "admin"))
        except BusyError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=add, args=(f"new{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    added = [outcome for outcome in outcomes if not isinstance(outcome, BusyError)]
    snapshot = taxonomy.snapshot()
    assert added
    assert len(snapshot.labels) == 3 + len(added) == snapshot.revision
