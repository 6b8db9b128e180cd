"""Which on-demand models hold memory: makes room for a load, and unloads what nobody has used for a while.

Models that are to be preloaded never give way. Knows nothing of who asked.
"""

import logging
from datetime import datetime, timedelta, timezone

from control_plane.database.leases import Leases
from control_plane.database.schema import utc_now
from control_plane.errors import ControlPlaneError, InsufficientMemoryError
from control_plane.fleet import Fleet
from control_plane.lifecycle.placement import Placement
from control_plane.lifecycle.rollout import Rollout
from control_plane.lifecycle.store import ModelState, ModelStore
from control_plane.lifecycle.tables import ON_DEMAND
from control_plane.memory.budget import GIB, MemoryBudget
from control_plane.model_registry import ModelRegistry

# What a loaded encoder holds beyond its weights (interpreter, engine, work buffers), and how often it holds the weights
# (docs/operations.md, "Memory and cores").
_BASE_BYTES = 200 << 20
_COPIES = 3
# What nobody has used for so long gives way to what has just run out of memory.
_IDLE = timedelta(minutes=1)
_NEVER = datetime.min.replace(tzinfo=timezone.utc)
_LOG = logging.getLogger(__name__)


class Residency:
    """Makes room and clears up; without a budget (Triton runs elsewhere) there is always room."""

    def __init__(self, store: ModelStore, leases: Leases, fleet: Fleet, rollout: Rollout, registry: ModelRegistry,
                 budget: MemoryBudget | None) -> None:
        self._store, self._leases, self._fleet, self._rollout = store, leases, fleet, rollout
        self._registry, self._budget = registry, budget

    def make_room(self, model: str, version: int) -> None:
        """Unload on-demand models, the least recently used first, until one more version fits.

        Raises InsufficientMemoryError with the figures when it cannot fit; nothing is unloaded then.
        """
        if self._budget is None:
            return
        needed = self.estimate_bytes(model, version)
        if self._budget.shortage_bytes(needed) == 0:
            return
        candidates = [state for state in self._least_recently_used() if state.name != model]
        releasable = sum(self.estimate_bytes(state.name, state.active_version) for state in candidates)
        if self._budget.shortage_bytes(needed) > releasable:
            raise InsufficientMemoryError(
                model, f"about {needed / GIB:.2f} GiB are needed; {self._budget.describe()}, and unloading every "
                       f"on-demand model would free {releasable / GIB:.2f} GiB")
        for state in candidates:
            if self._budget.shortage_bytes(needed) == 0:
                return
            self.evict(state.name)
        if self._budget.shortage_bytes(needed):
            raise InsufficientMemoryError(model, f"about {needed / GIB:.2f} GiB are needed; {self._budget.describe()}")

    def unload_idle(self, idle: timedelta, now: datetime) -> list[str]:
        """Unload the on-demand models that nobody has used for `idle`; returns their names."""
        return [state.name for state in self._least_recently_used()
                if (state.last_used_at or _NEVER) < now - idle and self.evict(state.name)]

    def relieve(self, model: str) -> list[str]:
        """Unload the other on-demand models that are idle, after `model` ran out of memory; returns their names."""
        last = utc_now() - _IDLE
        return [state.name for state in self._least_recently_used()
                if state.name != model and (state.last_used_at or _NEVER) < last and self.evict(state.name)]

    def evict(self, model: str) -> bool:
        """Take an on-demand model out of memory; the next request brings it back. False when it is being worked on."""
        lease = self._leases.try_acquire(f"model:{model}")
        if lease is None:
            return False
        try:
            state = self._store.find(model)
            if state.policy != ON_DEMAND or not state.is_resident:
                return False
            self._store.note(state, is_resident=False)
            targets = [target for target in self._fleet.names if state.is_placed_on(target)]
            self._rollout.apply(Placement(model), self._rollout.reachable(targets), Placement(model))
        except ControlPlaneError as error:  # The reconciler sees to the rest.
            _LOG.warning("model %s could not be unloaded: %s", model, error)
            return False
        finally:
            lease.release()
        return True

    def estimate_bytes(self, model: str, version: int) -> int:
        """Return about how much memory a version takes when it is loaded."""
        return _BASE_BYTES + _COPIES * self._registry.size_bytes(model, version)

    def _least_recently_used(self) -> list[ModelState]:
        resident = [state for state in self._store.all().values()
                    if state.policy == ON_DEMAND and state.is_wanted and state.is_resident]
        return sorted(resident, key=lambda state: state.last_used_at or _NEVER)
