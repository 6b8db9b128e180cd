"""The seed goes into the database once, however often it is begun, and never into somebody's own taxonomy."""

import pytest

from conch import seed
from conch.seed import fill
from control_plane.intents.rule_store import RuleStore
from control_plane.intents.tables import ACTIVE
from control_plane.labelling.taxonomy import Taxonomy
from control_plane.tuning.batch_store import BatchStore
from training.seed.seed_files import read_keyword_rules, read_questions, read_taxonomy

KEY = "a key of the tests"


def _found(database) -> tuple:
    data = BatchStore(database).read_training_data()
    rules = RuleStore(database).load().active
    return data.labels, sorted((example.text, example.labels, example.origin) for example in data.examples), len(rules)


@pytest.fixture
def filled(database):
    fill(database, KEY)
    return database


def test_everything_is_there_and_counts_as_the_seeds(filled):
    labels, examples, rules = _found(filled)
    assert labels == tuple(intent.name for intent in read_taxonomy())
    assert len(examples) > 0.98 * len(read_questions())  # Masking may make two questions one.
    assert {origin for _, _, origin in examples} == {"seed"}
    assert rules == len(read_keyword_rules())


@pytest.fixture
def few_questions(monkeypatch):
    """Fill in a tenth of the questions, which takes a tenth of the time."""
    monkeypatch.setattr(seed, "read_questions", lambda: read_questions()[::10])


def test_filling_again_changes_nothing(database, few_questions):
    fill(database, KEY)
    before = _found(database)
    fill(database, KEY)
    assert _found(database) == before


def test_a_fill_that_was_killed_is_finished(database, few_questions):
    intent = read_taxonomy()[0]
    Taxonomy(database).add(intent.name, intent.display_name, intent.description, "seed")
    rule = read_keyword_rules()[0]
    RuleStore(database).add(rule.keyword, rule.intent, rule.boost, "seed", state=ACTIVE)
    fill(database, KEY)
    assert len(_found(database)[0]) == len(read_taxonomy())


def test_somebodys_own_taxonomy_is_left_alone(database):
    Taxonomy(database).add("billing", "Billing", "", "anna")
    fill(database, KEY)
    assert _found(database) == (("billing",), [], 0)
