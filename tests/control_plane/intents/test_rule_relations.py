"""Which keyword rules overlap and which conflict."""

from control_plane.intents.keyword_rules import KeywordRule
from control_plane.intents.rule_relations import find_relations


def _relations(*rules: tuple[str, str]) -> dict[str, tuple[list[str], list[str]]]:
    """Return by keyword and intent what overlaps it and what it conflicts with."""
    made = [KeywordRule(number, keyword, intent, 0.5) for number, (keyword, intent) in enumerate(rules, start=1)]
    found = find_relations(reversed(made))
    return {f"{rule.keyword} {rule.intent}": tuple(
        [f"{other.keyword} {other.intent}" for other in others]
        for others in (found[rule.id].overlaps, found[rule.id].conflicts)) for rule in made}


def test_a_keyword_within_another_of_its_intent_overlaps_it_both_ways():
    assert _relations(("财运", "wealth"), ("偏财运", "wealth"), ("升职", "wealth"), ("财", "wealth")) == {
        "财运 wealth": (["偏财运 wealth", "财 wealth"], []), "偏财运 wealth": (["财运 wealth", "财 wealth"], []),
        "升职 wealth": ([], []), "财 wealth": (["财运 wealth", "偏财运 wealth"], [])}


def test_the_same_keyword_or_one_within_another_of_another_intent_is_a_conflict():
    assert _relations(("运势", "general"), ("运势", "wealth"), ("今年运势", "career")) == {
        "运势 general": ([], ["运势 wealth", "今年运势 career"]),
        "运势 wealth": ([], ["运势 general", "今年运势 career"]),
        "今年运势 career": ([], ["运势 general", "运势 wealth"])}


def test_words_within_words_are_not_found_and_do_not_conflict():
    assert _relations(("love", "love"), ("glove", "wealth"), ("my love", "wealth")) == {
        "love love": ([], ["my love wealth"]), "glove wealth": ([], []), "my love wealth": ([], ["love love"])}


def test_keywords_that_only_share_an_end_are_no_relation():
    assert _relations(("偏财", "wealth"), ("财运", "general")) == {"偏财 wealth": ([], []), "财运 general": ([], [])}
    assert _relations() == {}
