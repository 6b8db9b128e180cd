"""Desired states: every change is one revision and one line of history, and nobody overwrites what he has not seen."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.database.schema import utc_now
from control_plane.errors import StaleRevisionError
from control_plane.lifecycle.store import DRAIN_S, Change, ModelState, ModelStore
from control_plane.lifecycle.tables import ON_DEMAND, PRELOAD

TEST = Change("tester", "because")
NOW = utc_now()


@pytest.fixture
def store(database):
    return ModelStore(database)


def test_a_model_that_nobody_touched_wants_nothing_and_has_no_row(store):
    assert store.find("tiny") == ModelState("tiny")
    assert not store.has("tiny")
    assert store.all() == {}
    assert store.history("tiny", 10) == []


def test_a_change_is_kept_with_a_new_revision_and_a_line_of_history(store):
    values = {"is_wanted": True, "policy": ON_DEMAND, "is_resident": True, "active_version": 3, "previous_version": 2,
              "keeps_previous_warm": True, "targets": ("one:1",), "configuration": {"instances": 2},
              "activated_at": NOW, "last_used_at": NOW}
    after = store.change(store.find("tiny"), "activate", Change("某人", "因为 🙂"), {"a": 1}, **values)
    assert store.has("tiny")
    assert after == ModelState("tiny", revision=1, **values)
    assert store.find("tiny") == after
    assert store.all() == {"tiny": after}
    line, = store.history("tiny", 10)
    assert (line.model, line.action, line.actor, line.reason, line.from_version, line.to_version, line.detail) == (
        "tiny", "activate", "某人", "因为 🙂", None, 3, {"a": 1})


def test_a_change_of_what_another_changed_meanwhile_is_refused_and_writes_nothing(store):
    before = store.find("tiny")
    first = store.change(before, "load", TEST, active_version=1, configuration={})
    with pytest.raises(StaleRevisionError, match="'tiny' was changed meanwhile and is of revision 1 now"):
        store.change(before, "load", TEST, active_version=2)
    with pytest.raises(StaleRevisionError):
        store.note(before, active_version=2)
    assert store.find("tiny") == first
    assert len(store.history("tiny", 10)) == 1


def test_of_many_who_change_the_same_revision_at_once_one_wins(store):
    before = store.change(store.find("tiny"), "load", TEST, active_version=1, configuration={})
    barrier, outcomes = threading.Barrier(5), []

    def change(version: int) -> None:
        barrier.wait(30)
        try:
            outcomes.append(store.change(before, "activate", TEST, active_version=version))
        except StaleRevisionError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=change, args=(version,)) for version in range(2, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    winner, = [outcome for outcome in outcomes if isinstance(outcome, ModelState)]
    assert len(outcomes) == 5
    assert store.find("tiny") == winner
    assert len(store.history("tiny", 10)) == 2


def test_a_note_is_no_change_of_anybodys(store):
    before = store.change(store.find("tiny"), "load", TEST, is_wanted=True, configuration={})
    after = store.note(before, is_resident=True, last_used_at=NOW)
    assert after == replace(before, is_resident=True, last_used_at=NOW)
    assert store.find("tiny") == after
    assert len(store.history("tiny", 10)) == 1


def test_history_comes_newest_first_no_more_than_asked_for_and_of_this_model_alone(store):
    state = store.find("tiny")
    for version in range(1, 6):
        state = store.change(state, "activate", TEST, active_version=version)
    store.change(store.find("other"), "load", TEST, active_version=9)
    lines = store.history("tiny", 3)
    assert [(line.from_version, line.to_version) for line in lines] == [(4, 5), (3, 4), (2, 3)]


def test_what_was_seen_is_kept_by_model_and_target(store):
    store.observe("tiny", "one:1", (1, 2))
    store.observe("tiny", "two:1", (), "it is too large")
    store.observe("other", "one:1", (1,))
    store.observe("tiny", "two:1", (2,))
    seen = {key: (tuple(row.versions), row.error) for key, row in store.observations().items()}
    assert seen == {("tiny", "one:1"): ((1, 2), None), ("tiny", "two:1"): ((2,), None),
                    ("other", "one:1"): ((1,), None)}


def test_seeing_the_same_again_writes_nothing(store):
    store.observe("tiny", "one:1", (1,), "an error")
    before = store.observations()["tiny", "one:1"].checked_at
    store.observe("tiny", "one:1", (1,), "an error")
    assert store.observations()["tiny", "one:1"].checked_at == before


def test_how_long_a_load_took_outlasts_what_is_seen_later(store):
    store.observe("tiny", "one:1", (1,), load_s=2.5)
    store.observe("tiny", "one:1", (), "gone")
    assert store.observations()["tiny", "one:1"].load_s == 2.5


def test_an_error_of_any_length_is_kept(store):
    """What a model's process says when it dies may be long; a text column of MariaDB holds 65,535 bytes."""
    for _ in range(2):
        store.observe("tiny", "one:1", (), "长" * 40_000)
    assert store.observations()["tiny", "one:1"].error.startswith("长长长")


states = st.builds(
    ModelState, st.just("tiny"), is_wanted=st.booleans(), policy=st.sampled_from([PRELOAD, ON_DEMAND]),
    is_resident=st.booleans(), active_version=st.none() | st.integers(1, 3),
    previous_version=st.none() | st.integers(1, 3), keeps_previous_warm=st.booleans(),
    activated_at=st.none() | st.floats(0, 3 * DRAIN_S).map(lambda age_s: NOW - timedelta(seconds=age_s)))


@given(states)
def test_a_placement_has_the_active_version_exactly_when_the_model_should_hold_memory(state):
    placement = state.placement(NOW)
    assert (state.active_version in placement.versions) == state.should_be_loaded
    assert bool(placement.versions) == state.should_be_loaded
    assert list(placement.versions) == sorted(set(placement.versions))
    assert set(placement.versions) <= {state.active_version, state.previous_version}


@given(states)
def test_after_the_drain_only_a_lower_version_stays_warm_and_the_highest_one_is_the_active_one(state):
    versions = state.placement(NOW + timedelta(seconds=DRAIN_S)).versions
    if versions:
        assert versions[-1] == state.active_version  # Triton gives it to requests without a version.
        assert len(versions) == 1 or state.keeps_previous_warm


@pytest.mark.parametrize(("age_s", "versions"), [(0, (1, 2)), (DRAIN_S - 0.001, (1, 2)), (DRAIN_S, (1,))])
def test_the_version_before_stays_until_it_has_drained(age_s, versions):
    state = ModelState("tiny", is_wanted=True, active_version=1, previous_version=2, activated_at=NOW)
    assert state.placement(NOW + timedelta(seconds=age_s)).versions == versions


def test_an_on_demand_model_holds_memory_only_while_it_is_resident():
    state = ModelState("tiny", is_wanted=True, policy=ON_DEMAND, active_version=1)
    assert state.placement(NOW).versions == ()
    assert replace(state, is_resident=True).placement(NOW).versions == (1,)


def test_a_model_is_placed_on_every_target_unless_it_names_some():
    assert ModelState("tiny").is_placed_on("one:1")
    assert ModelState("tiny", targets=("one:1",)).is_placed_on("one:1")
    assert not ModelState("tiny", targets=()).is_placed_on("one:1")


def test_extra_versions_are_placed_beside_the_active_one_while_it_is_loaded(store):
    state = store.change(store.find("tiny"), "keep", TEST, is_wanted=True, active_version=2, extra_versions=(1, 3))
    assert store.find("tiny") == state
    assert state.placement(utc_now()).versions == (1, 2, 3)
    assert replace(state, is_wanted=False).placement(utc_now()).versions == ()
