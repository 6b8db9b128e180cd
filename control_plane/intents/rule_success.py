"""Counts a keyword rule's success when people confirm its intent. Knows no label's table and no request.

A success is a label that a person gave first to a question that somebody asked; a model's opinion is none, a second
opinion and a review of the same question count nothing more, and a label that is undone takes nothing back.
"""

from collections.abc import Collection

from control_plane.intents.live_rules import LiveRules
from control_plane.intents.rule_usage import UsageCounter


class RuleSuccess:
    """The successes of the rules that a process matches, those in the shadow included."""

    def __init__(self, rules: LiveRules, usage: UsageCounter) -> None:
        self._rules, self._usage = rules, usage

    def note_label(self, question: str, intents: Collection[str]) -> None:
        """Count the rules whose keyword is in the masked question and whose intent is among those of its label."""
        matches = (*self._rules.active().match(question), *self._rules.shadow().match(question))
        self._usage.note_success({match.rule.id for match in matches if match.rule.intent in intents})
