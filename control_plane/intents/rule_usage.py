"""Counts in memory which rules matched and were right, and writes it down every few seconds, off the request path."""

from collections.abc import Iterable

from control_plane.database.write_behind import FLUSH_S, WriteBehind
from control_plane.intents.rule_store import RuleStore


class UsageCounter:
    """The counts of one process since they were last written down."""

    def __init__(self, store: RuleStore, flush_s: float = FLUSH_S) -> None:
        self._sums = WriteBehind(store.add_counts, _plus,
                                 "the counts of %d keyword rules are kept until the database takes them", flush_s)
        self.flush, self.close = self._sums.flush, self._sums.close

    def note_use(self, rule_ids: Iterable[int]) -> None:
        """Count one question that these rules matched."""
        self._sums.add(dict.fromkeys(rule_ids, (1, 0)))

    def note_success(self, rule_ids: Iterable[int]) -> None:
        """Count one question, whose use was noted before, as one that had the intents of these rules."""
        self._sums.add(dict.fromkeys(rule_ids, (0, 1)))


def _plus(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]
