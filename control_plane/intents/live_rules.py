"""The rules that a worker matches: a copy of the database's, a second old at most. Knows nothing of requests."""

import logging
import math
import threading
import time
from collections.abc import Callable

from control_plane.errors import DatabaseError
from control_plane.intents.keyword_rules import KeywordMatcher
from control_plane.intents.rule_store import RuleStore

MAX_AGE_S = 1.0
_NOTHING_KNOWN = -1
_LOG = logging.getLogger(__name__)


class LiveRules:
    """The matchers of one worker. They are built anew when a rule changed; while the database is away they stay.

    A worker that has not reached the database yet matches nothing: an answer without rules is better than none.
    """

    def __init__(self, store: RuleStore, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._store = store
        self._clock = clock
        self._checked_at = -math.inf
        self._revision = _NOTHING_KNOWN
        self._matchers = (KeywordMatcher(()), KeywordMatcher(()))
        self._lock = threading.Lock()

    def active(self) -> KeywordMatcher:
        """Return the matcher of the rules that speak for intents."""
        return self._current()[0]

    def shadow(self) -> KeywordMatcher:
        """Return the matcher of the rules that are counted and have no say yet."""
        return self._current()[1]

    def _current(self) -> tuple[KeywordMatcher, KeywordMatcher]:
        # One thread looks; the others go on with what there is, but for the first ones, for whom there is nothing.
        if self._is_old() and self._lock.acquire(blocking=self._checked_at == -math.inf):
            try:
                if self._is_old():
                    self._check()
            finally:
                self._lock.release()
        return self._matchers

    def _is_old(self) -> bool:
        return self._clock() - self._checked_at > MAX_AGE_S

    def _check(self) -> None:
        try:
            if self._store.revision() != self._revision:
                rules = self._store.load()
                self._matchers = (KeywordMatcher(rules.active), KeywordMatcher(rules.shadow))
                self._revision = rules.revision
        except DatabaseError as error:
            _LOG.warning("the keyword rules stay as they are: %s", error)
        finally:
            self._checked_at = self._clock()
