"""Makes every Triton hold what should be live, again and again. One process of a deployment does it at a time.

Each pass compares what the indexes say with the desired state; what differs is repaired under the model's lease, in a
thread of its own, so that a slow load keeps no other model waiting.
"""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from control_plane.database.leases import Lease, Leases
from control_plane.database.schema import utc_now
from control_plane.errors import InferenceTimeoutError, TritonUnavailableError
from control_plane.fleet import Fleet
from control_plane.lifecycle.placement import Placement
from control_plane.lifecycle.residency import Residency
from control_plane.lifecycle.rollout import Rollout
from control_plane.lifecycle.store import ModelState, ModelStore
from export.contract import ConchError

PASS_S = 1.0
CANARY_S = 4.0          # a model whose process has died is noticed within this time
_BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # after the first, second… failure in a row to repair a model
UNREACHABLE = "the target cannot be reached"  # what is kept of one while it is away
_LEASE = "controller"
_THREADS = 4
_LOG = logging.getLogger(__name__)

Index = dict[str, list[int]]  # model -> ready versions


class Reconciler:
    """The loop; `run` returns when it is asked to stop."""

    def __init__(self, store: ModelStore, leases: Leases, fleet: Fleet, rollout: Rollout, residency: Residency,
                 idle: timedelta) -> None:
        self._residency, self._idle = residency, idle
        self._store, self._leases, self._fleet, self._rollout = store, leases, fleet, rollout
        self._lease: Lease | None = None
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="repair")
        self._under_way: set[str] = set()
        self._failures: dict[str, tuple[int, float]] = {}  # model -> failures in a row, time of the next attempt
        self._proven_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Pass after pass, PASS_S apart; an error of one pass is logged and the next one tries again."""
        while not stop.is_set():
            try:
                if self._leads():
                    self.run_pass()
            except ConchError as error:
                _LOG.warning("pass failed: %s", error)
            except Exception:
                _LOG.exception("pass failed")
            stop.wait(PASS_S)
        self._pool.shutdown()
        if self._lease is not None:
            self._lease.release()

    def run_pass(self) -> None:
        """Compare once and set repairs going."""
        indexes = self._indexes()
        states = self._store.all()
        loaded = {model for index in indexes.values() if index is not None for model in index}
        proves = time.monotonic() - self._proven_at > CANARY_S
        if proves:
            self._proven_at = time.monotonic()
            self._residency.unload_idle(self._idle, utc_now())
        self._forget_unreachable([target for target, index in indexes.items() if index is None])
        seen = {key: tuple(row.versions) for key, row in self._store.observations().items()}
        for model in sorted(states.keys() | loaded | {model for model, _ in seen}):
            if model not in self._under_way and self._may_try(model):
                state = states.get(model, ModelState(model))
                wrong = self._targets_that_differ(state, indexes, seen)
                if wrong or (proves and state.should_be_loaded):
                    self._under_way.add(model)
                    self._pool.submit(self._repair, model, wrong or self._reachable(state, indexes))

    def _leads(self) -> bool:
        if self._lease is not None and not self._lease.is_held:
            self._lease.release()  # A renewal that came late would keep it from everybody, us included.
            self._lease = None
        if self._lease is None:
            self._lease = self._leases.try_acquire(_LEASE)
        return self._lease is not None

    def _indexes(self) -> dict[str, Index | None]:
        """Return the ready versions on every target, None for one that does not answer."""
        outcomes = self._fleet.on_each(self._fleet.names, lambda gateway: gateway.ready_versions())
        return {target: None if isinstance(outcome, Exception) else outcome for target, outcome in outcomes.items()}

    def _forget_unreachable(self, targets: list[str]) -> None:
        """Nothing is sent to a target that is away until it has been brought up to date again."""
        if not targets:
            return
        for (model, target), seen in self._store.observations().items():
            if target in targets and seen.versions:
                self._store.observe(model, target, (), UNREACHABLE)

    def _targets_that_differ(self, state: ModelState, indexes: dict[str, Index | None],
                             seen: dict[tuple[str, str], tuple[int, ...]]) -> list[str]:
        differing = []
        for target in self._reachable(state, indexes, placed_only=False):
            placement = self._placement(state, target)
            ready = indexes[target].get(state.name, [])
            # What is written down may be behind: the target was away, or a process died before it wrote.
            is_known = seen.get((state.name, target), ()) == placement.versions
            if not is_known or not self._is_placed(target, placement, ready):
                differing.append(target)
        return differing

    def _is_placed(self, target: str, placement: Placement, ready: list[int]) -> bool:
        try:
            return self._rollout.is_placed(self._fleet.gateway(target), placement, ready)
        except TritonUnavailableError:
            return True  # It has gone since; the next pass sees it.
        except ConchError:
            return False  # Its config.pbtxt cannot be read, say; the repair reports it.

    def _reachable(self, state: ModelState, indexes: dict[str, Index | None], placed_only: bool = True) -> list[str]:
        return [target for target, index in indexes.items()
                if index is not None and (state.is_placed_on(target) or not placed_only)]

    def _placement(self, state: ModelState, target: str) -> Placement:
        return state.placement(utc_now()) if state.is_placed_on(target) else Placement(state.name)

    def _repair(self, model: str, targets: list[str]) -> None:
        """Bring targets to what is wanted now, and prove it; never together with an administrator's operation."""
        try:
            lease = self._leases.try_acquire(f"model:{model}")
            if lease is None:
                return
            try:
                state = self._store.find(model)
                errors = self._place(state, targets)
                if state.spare_version(utc_now()) is not None and not _pass_by_themselves(errors):
                    # A version that nobody asks must not keep the active one from being loaded.
                    errors = self._place(self._store.note(state, keeps_previous_warm=False), targets)
            finally:
                lease.release()
            self._judge(model, errors)
        except ConchError as error:
            self._judge(model, {"database": error})
        except Exception:
            _LOG.exception("repairing model %s", model)
        finally:
            self._under_way.discard(model)

    def _place(self, state: ModelState, targets: list[str]) -> dict[str, Exception]:
        """Bring targets to what a state wants of them; returns the errors, by target."""
        outcomes = self._fleet.on_each(targets, lambda gateway: self._rollout.place(
            gateway, self._placement(state, gateway.address)))
        return {target: error for target, error in outcomes.items() if error is not None}

    def _judge(self, model: str, errors: dict[str, Exception]) -> None:
        """Log what could not be repaired and leave it alone for a while, longer each time."""
        if not errors:
            self._failures.pop(model, None)
            return
        failures = self._failures.get(model, (0, 0.0))[0]
        pause_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
        self._failures[model] = (failures + 1, time.monotonic() + pause_s)
        for target, error in errors.items():
            _LOG.warning("model %s on %s is not as it should be, next attempt in %g s: %s",
                         model, target, pause_s, error)

    def _may_try(self, model: str) -> bool:
        return time.monotonic() >= self._failures.get(model, (0, 0.0))[1]


def _pass_by_themselves(errors: dict[str, Exception]) -> bool:
    """Return whether nothing is wrong but that targets are away or busy."""
    return all(isinstance(error, TritonUnavailableError | InferenceTimeoutError) for error in errors.values())
