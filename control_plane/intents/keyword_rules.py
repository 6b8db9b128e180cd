"""Finds the keywords of rules in a text with one automaton, and scores intents by them. Knows no database.

A keyword is found as it is written, after NFKC and case folding on both sides. Where keywords of one intent overlap the
longest holds (财运 within 偏财运 counts once, as 偏财运). An end of a keyword that is an ASCII letter or digit must be
the end of a word: "love" is not in "glove".
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import ahocorasick

from control_plane.errors import InvalidRequestError

KEYWORD_MAX_CHARS = 64


@dataclass(frozen=True)
class KeywordRule:
    """One rule: its keyword speaks for its intent, with a boost above 0 and below 1."""

    id: int
    keyword: str  # as normalise_keyword returns it
    intent: str
    boost: float


@dataclass(frozen=True)
class RuleMatch:
    """A rule, and where its keyword stands in the normalised text."""

    rule: KeywordRule
    start: int
    end: int  # behind its last character


def normalise_keyword(keyword: str) -> str:
    """Return a keyword in the form in which rules keep it.

    Raises InvalidRequestError for one that is empty, too long, or has characters that no question shows.
    """
    normalised = _normalise(keyword).strip()
    if not normalised or len(normalised) > KEYWORD_MAX_CHARS:
        raise InvalidRequestError("keyword", f"must have 1 to {KEYWORD_MAX_CHARS} characters, has {len(normalised)}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in normalised):
        raise InvalidRequestError("keyword", f"{keyword!r} has control characters or broken ones; leave them out")
    return normalised


class KeywordMatcher:
    """An automaton over rules (Aho and Corasick, CACM 18(6), 1975); matching takes time with the text's length."""

    def __init__(self, rules: Iterable[KeywordRule]) -> None:
        """`rules` may share keywords, for several intents."""
        by_keyword: dict[str, list[KeywordRule]] = {}
        for rule in rules:
            by_keyword.setdefault(rule.keyword, []).append(rule)
        self._automaton = ahocorasick.Automaton() if by_keyword else None
        for keyword, sharing in by_keyword.items():
            self._automaton.add_word(keyword, tuple(sharing))
        if self._automaton:
            self._automaton.make_automaton()

    def match(self, text: str) -> list[RuleMatch]:
        """Return what holds in `text`, in its order; a rule appears as often as its keyword does."""
        if self._automaton is None:
            return []
        normalised = _normalise(text)
        found = [RuleMatch(rule, last + 1 - len(rule.keyword), last + 1)
                 for last, sharing in self._automaton.iter(normalised) for rule in sharing]
        found = [match for match in found if _ends_with_words(normalised, match)]
        return sorted(_longest(found), key=lambda match: (match.start, match.end, match.rule.id))


def score_intents(matches: Iterable[RuleMatch]) -> dict[str, float]:
    """Return a score in (0, 1) for each intent that rules speak for: 1 − Π(1 − boost), each rule counted once."""
    boosts: dict[str, dict[int, float]] = {}
    for match in matches:
        boosts.setdefault(match.rule.intent, {})[match.rule.id] = match.rule.boost
    return {intent: 1 - prod(1 - boost for boost in of_rules.values()) for intent, of_rules in boosts.items()}


def _normalise(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _ends_with_words(text: str, match: RuleMatch) -> bool:
    """Return whether neither end of the match cuts an ASCII word in two."""
    return not (_is_inside_word(text, match.start) or _is_inside_word(text, match.end))


def _is_inside_word(text: str, border: int) -> bool:
    around = text[max(border - 1, 0):border + 1]
    return 0 < border < len(text) and around.isascii() and around.isalnum()


def _longest(matches: list[RuleMatch]) -> list[RuleMatch]:
    """Return the matches that no longer one of their intent overlaps."""
    taken: dict[str, set[int]] = {}
    kept = []
    for match in sorted(matches, key=lambda item: (item.start - item.end, item.start)):
        characters = taken.setdefault(match.rule.intent, set())
        if characters.isdisjoint(range(match.start, match.end)):
            characters.update(range(match.start, match.end))
            kept.append(match)
    return kept
