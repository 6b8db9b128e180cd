"""Which keyword rules get in each other's way: one keyword is another or lies within it. Pure; knows no database.

Between rules of one intent that is an overlap: where the longer keyword is found the shorter one adds nothing. Between
rules of different intents it is a conflict: one passage of a question speaks for both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from control_plane.intents.keyword_rules import KeywordMatcher, KeywordRule


@dataclass
class RuleRelations:
    """The rules that get in the way of one rule, by id."""

    overlaps: list[KeywordRule] = field(default_factory=list)   # of the same intent
    conflicts: list[KeywordRule] = field(default_factory=list)  # of other intents


def find_relations(rules: Iterable[KeywordRule]) -> Mapping[int, RuleRelations]:
    """Return the relations of every rule, by its id. What is within what is decided as KeywordMatcher finds keywords.

    Takes time with the length of all keywords and the number of relations.
    """
    by_id = {rule.id: rule for rule in sorted(rules, key=lambda rule: rule.id)}
    # The matcher keeps only the longest keyword of an intent, so that each rule stands for an intent of its own here.
    matcher = KeywordMatcher(replace(rule, intent=str(rule.id)) for rule in by_id.values())
    related = {(rule.id, match.rule.id) for rule in by_id.values() for match in matcher.match(rule.keyword)}
    found = {rule_id: RuleRelations() for rule_id in by_id}
    for one, other in sorted(related | {(inner, outer) for outer, inner in related}):
        if one != other:
            is_overlap = by_id[one].intent == by_id[other].intent
            (found[one].overlaps if is_overlap else found[one].conflicts).append(by_id[other])
    return found
