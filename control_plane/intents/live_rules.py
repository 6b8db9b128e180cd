"""The rules that a worker matches: a copy of the database's, a second old at most. Knows nothing of requests."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from control_plane.database.live_copy import LiveCopy
from control_plane.intents.keyword_rules import KeywordMatcher
from control_plane.intents.rule_store import RuleStore

_NOTHING_KNOWN = -1


@dataclass(frozen=True)
class _Matchers:
    revision: int
    active: KeywordMatcher
    shadow: KeywordMatcher


class LiveRules:
    """The matchers of one worker. Each second it asks for the revision, and reads the rules when that has changed.

    A worker that has not reached the database yet matches nothing: an answer without rules is better than none.
    """

    def __init__(self, store: RuleStore, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._store = store
        nothing = _Matchers(_NOTHING_KNOWN, KeywordMatcher(()), KeywordMatcher(()))
        self._matchers = LiveCopy(nothing, self._look, "the keyword rules", clock)

    def active(self) -> KeywordMatcher:
        """Return the matcher of the rules that speak for intents."""
        return self._matchers.get().active

    def shadow(self) -> KeywordMatcher:
        """Return the matcher of the rules that are counted and have no say yet."""
        return self._matchers.get().shadow

    def _look(self, known: _Matchers) -> _Matchers:
        if self._store.revision() == known.revision:
            return known
        rules = self._store.load()
        return _Matchers(rules.revision, KeywordMatcher(rules.active), KeywordMatcher(rules.shadow))
