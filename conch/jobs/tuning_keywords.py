"""Proposes keyword rules from labelled questions: what the extraction is sure of becomes a rule without a say."""

from collections.abc import Sequence
from dataclasses import asdict

from control_plane.intents.rule_store import RuleStore
from control_plane.intents.tables import EXTRACTED, PROPOSED
from control_plane.tuning_errors import RuleExistsError
from training.keyword_extraction import LabelledQuestion, extract_keywords

DEFAULT_CONFIDENCE = 0.8
_ACTOR = "conch"
_MOST_BOOST = 0.99


def propose_keywords(rules: RuleStore, questions: Sequence[LabelledQuestion],
                     min_confidence: float = DEFAULT_CONFIDENCE) -> int:
    """Add the keywords that are not rules yet, in state proposed; returns how many."""
    added = 0
    for found in extract_keywords(questions, min_confidence):
        try:
            rules.add(found.keyword, found.intent, min(found.precision_lower_bound, _MOST_BOOST), _ACTOR,
                      state=PROPOSED, origin=EXTRACTED, admission=asdict(found))
            added += 1
        except RuleExistsError:  # It was proposed before; whatever became of it stays.
            pass
    return added
