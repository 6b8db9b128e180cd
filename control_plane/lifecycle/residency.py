"""Who holds memory: makes room for a load, and unloads the on-demand models that nobody has used for a while.

Versions that are only kept for a rollback give way first, and models that are to be preloaded never. Knows nothing of
who asked.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from control_plane.database.leases import Leases
from control_plane.database.schema import utc_now
from control_plane.errors import ControlPlaneError, InsufficientMemoryError
from control_plane.fleet import Fleet
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


@dataclass(frozen=True)
class _Candidate:
    """What may give way: a version of a model, and how."""

    state: ModelState
    version: int
    release: Callable[[str], bool]  # of the model's name; False when it is being worked on


class Residency:
    """Makes room and clears up; without a budget (Triton runs elsewhere) there is always room."""

    def __init__(self, store: ModelStore, leases: Leases, fleet: Fleet, rollout: Rollout, registry: ModelRegistry,
                 budget: MemoryBudget | None) -> None:
        self._store, self._leases, self._fleet, self._rollout = store, leases, fleet, rollout
        self._registry, self._budget = registry, budget

    def make_room(self, model: str, version: int) -> None:
        """Unload spare versions, then on-demand models, the least recently used first, until one more version fits.

        Raises InsufficientMemoryError with the figures when it cannot fit; nothing is unloaded then.
        """
        if self._budget is None:
            return
        needed = self.estimate_bytes(model, version)
        if self._budget.shortage_bytes(needed) == 0:
            return
        candidates = [*self._spares(model), *self._on_demand(model)]
        releasable = sum(self.estimate_bytes(item.state.name, item.version) for item in candidates)
        if self._budget.shortage_bytes(needed) > releasable:
            raise InsufficientMemoryError(
                model, f"about {needed / GIB:.2f} GiB are needed; {self._budget.describe()}, and unloading every "
                       f"on-demand model and spare version would free {releasable / GIB:.2f} GiB")
        for item in candidates:
            if self._budget.shortage_bytes(needed) == 0:
                return
            item.release(item.state.name)
        if self._budget.shortage_bytes(needed):
            raise InsufficientMemoryError(model, f"about {needed / GIB:.2f} GiB are needed; {self._budget.describe()}")

    def is_short(self, model: str, versions: Iterable[int] = ()) -> bool:
        """Return whether loading `versions` of a model now would break the budget, or it is broken already."""
        needed = sum(self.estimate_bytes(model, version) for version in versions)
        return self._budget is not None and self._budget.shortage_bytes(needed) > 0

    def unload_idle(self, idle: timedelta, now: datetime) -> list[str]:
        """Unload the on-demand models that nobody has used for `idle`; returns their names."""
        return [state.name for state in self._least_recently_used()
                if (state.last_used_at or _NEVER) < now - idle and self.evict(state.name)]

    def relieve(self, model: str) -> list[str]:
        """Unload the others' spare versions and idle on-demand models, after `model` ran out of memory.

        Returns their names.
        """
        last = utc_now() - _IDLE
        idle = [item for item in self._on_demand(model) if (item.state.last_used_at or _NEVER) < last]
        return [item.state.name for item in (*self._spares(model), *idle) if item.release(item.state.name)]

    def evict(self, model: str) -> bool:
        """Take an on-demand model out of memory; the next request brings it back. False when it is being worked on."""
        def may_go(state: ModelState) -> bool:
            return state.policy == ON_DEMAND and state.is_resident

        return self._give_up(model, may_go, is_resident=False)

    def cool(self, model: str) -> bool:
        """Unload the version that a model keeps for a rollback alone. False when the model is being worked on."""
        def may_go(state: ModelState) -> bool:
            return state.spare_version(utc_now()) is not None

        return self._give_up(model, may_go, keeps_previous_warm=False)

    def _give_up(self, model: str, may_go: Callable[[ModelState], bool], **values: object) -> bool:
        lease = self._leases.try_acquire(f"model:{model}")
        if lease is None:
            return False
        try:
            state = self._store.find(model)
            if not may_go(state):
                return False
            placement = self._store.note(state, **values).placement(utc_now())
            targets = [target for target in self._fleet.names if state.is_placed_on(target)]
            self._rollout.apply(placement, self._rollout.reachable(targets), placement)
        except ControlPlaneError as error:  # The reconciler sees to the rest.
            _LOG.warning("model %s could not be unloaded: %s", model, error)
            return False
        finally:
            lease.release()
        return True

    def estimate_bytes(self, model: str, version: int) -> int:
        """Return about how much memory a version takes when it is loaded."""
        return _BASE_BYTES + _COPIES * self._registry.size_bytes(model, version)

    def _spares(self, besides: str) -> list[_Candidate]:
        now = utc_now()
        return [_Candidate(state, version, self.cool) for state in self._store.all().values()
                if state.name != besides and (version := state.spare_version(now)) is not None]

    def _on_demand(self, besides: str) -> list[_Candidate]:
        return [_Candidate(state, state.active_version, self.evict) for state in self._least_recently_used()
                if state.name != besides]

    def _least_recently_used(self) -> list[ModelState]:
        resident = [state for state in self._store.all().values()
                    if state.policy == ON_DEMAND and state.is_wanted and state.is_resident]
        return sorted(resident, key=lambda state: state.last_used_at or _NEVER)
