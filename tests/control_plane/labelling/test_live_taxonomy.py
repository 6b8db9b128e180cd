"""The labels of a version lead to what its intents are called now, whatever names were given, taken and given again."""

from datetime import datetime, timedelta, timezone

import pytest

from control_plane.database.live_copy import MAX_AGE_S
from control_plane.database.schema import utc_now
from control_plane.errors import DatabaseUnavailableError
from control_plane.labelling import live_taxonomy
from control_plane.labelling.live_taxonomy import LiveTaxonomy
from tests.clock import Clock

LABELS = ("wealth", "love", "health")
LONG_AGO = datetime(2000, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def names(database, clock):
    """Give the names of LABELS, or of others, as a worker knows them a second later."""
    live = LiveTaxonomy(database, clock)

    def now(made_at=LONG_AGO, labels=LABELS) -> list[str]:
        clock.now_s += MAX_AGE_S + 0.1
        found = live.names_now(labels, made_at)
        return [found[label] for label in labels]

    return now


def rename(taxonomy, before: str, after: str) -> None:
    taxonomy.change(before, "ann", name=after)


def test_labels_keep_their_names_where_nothing_was_renamed_and_where_nothing_is_known(taxonomy, names):
    taxonomy.retire("health", "ann")
    taxonomy.change("love", "ann", display_name="感情")
    assert names() == list(LABELS)
    assert names(labels=("of_another_taxonomy",)) == ["of_another_taxonomy"]


def test_a_rename_is_followed_within_a_second_and_one_after_the_other(taxonomy, names):
    assert names() == list(LABELS)
    rename(taxonomy, "wealth", "money")
    assert names() == ["money", "love", "health"]
    rename(taxonomy, "money", "fortune")
    assert names() == ["fortune", "love", "health"]


def test_a_merged_intent_is_the_one_that_took_it_in_under_its_present_name(taxonomy, names):
    rename(taxonomy, "wealth", "money")
    taxonomy.merge("money", "love", "ann")
    taxonomy.merge("love", "health", "ann")
    rename(taxonomy, "health", "body")
    assert names() == ["body", "body", "body"]


def test_a_name_that_was_given_to_another_intent_leads_to_whom_it_meant_when_the_version_was_made(taxonomy, names):
    before = utc_now() - timedelta(seconds=1)
    rename(taxonomy, "wealth", "money")
    rename(taxonomy, "love", "wealth")
    assert names(made_at=before) == ["money", "wealth", "health"]
    assert names(made_at=utc_now() + timedelta(seconds=1)) == ["wealth", "wealth", "health"]


def test_a_rename_during_the_training_of_a_version_is_followed_too(taxonomy, names):
    rename(taxonomy, "wealth", "money")
    assert names(made_at=utc_now() + timedelta(seconds=1)) == ["money", "love", "health"]


def test_the_taxonomy_is_read_only_when_it_has_changed(taxonomy, names, monkeypatch):
    names()
    monkeypatch.setattr(live_taxonomy, "read_taxonomy", None)  # Reading it would fail.
    assert names() == list(LABELS)


def test_while_the_database_is_away_the_last_names_stay(taxonomy, names, database, monkeypatch):
    rename(taxonomy, "wealth", "money")
    assert names() == ["money", "love", "health"]

    def fail():
        raise DatabaseUnavailableError("away")

    monkeypatch.setattr(database, "read", fail)
    assert names() == ["money", "love", "health"]
