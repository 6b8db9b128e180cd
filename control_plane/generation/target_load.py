"""How many slots of one target are free, as far as this process can know. Reads nothing, and is for one thread.

Its own sequences it counts itself; those of other processes are what the target's figures say beyond its own.
"""

import math
from collections import Counter
from collections.abc import Mapping

from control_plane.triton_metrics import GeneratorLoad

Served = tuple[str, int]  # a model and its version

# Figures are asked for once a second, which is how often the generator tells them.
LOOK_S = 1.0
# Older ones say nothing about the sequences of others any more.
FRESH_S = 5.0
# Of a generator that has told none: the backend's default (docs/generation.md).
_USUAL_SLOTS = 8


class TargetLoad:
    """The sequences on one target. Times are seconds of one clock that only goes forward."""

    def __init__(self) -> None:
        self._own: Counter[Served] = Counter()
        self._peak: Counter[Served] = Counter()  # most of our own since the last look
        self._others: Counter[Served] = Counter()
        self._slots: dict[Served, int] = {}
        self._looked_at_s = self._told_at_s = -math.inf

    def enter(self, served: Served, sequences: int) -> None:
        """Count sequences that are about to begin."""
        self._own[served] += sequences
        self._peak[served] = max(self._peak[served], self._own[served])

    def leave(self, served: Served, sequences: int) -> None:
        """Count sequences that are over."""
        self._own[served] -= sequences

    def free_slots(self, served: Served, now_s: float) -> int:
        """Return how many slots are free; below 0, how many sequences wait for one."""
        others = self._others[served] if self.is_fresh(now_s) else 0
        return self._slots.get(served, _USUAL_SLOTS) - self._own[served] - others

    def is_fresh(self, now_s: float) -> bool:
        """Return whether the last figures still say something."""
        return now_s - self._told_at_s <= FRESH_S

    def begin_look(self, now_s: float) -> Counter[Served] | None:
        """Return our own sequences that new figures may contain, for `tell`; None where it is too early to look again.

        The generator's figures may be a second old, so that what has left since the look before still counts.
        """
        if now_s - self._looked_at_s < LOOK_S:
            return None
        own = (self._peak if now_s - self._looked_at_s <= FRESH_S else self._own).copy()
        self._looked_at_s, self._peak = now_s, self._own.copy()
        return own

    def tell(self, loads: Mapping[Served, GeneratorLoad], own: Mapping[Served, int], now_s: float) -> None:
        """Take in the figures of a look that began with `own`."""
        self._others = Counter({served: max(0, load.running + load.waiting - own.get(served, 0))
                                for served, load in loads.items()})
        self._slots.update({served: load.slots for served, load in loads.items()})
        self._told_at_s = now_s
