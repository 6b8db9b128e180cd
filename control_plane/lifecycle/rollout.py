"""Brings targets to a placement: all of them or none. Knows nothing of who wanted it, nor of the desired state."""

import time
from collections.abc import Mapping, Sequence

from control_plane.errors import (
    BrokenModelError,
    ControlPlaneError,
    InsufficientMemoryError,
    ModelLoadError,
    TritonUnavailableError,
    WrongAnswerError,
)
from control_plane.fleet import Fleet
from control_plane.lifecycle.golden import prove
from control_plane.lifecycle.placement import Placement
from control_plane.lifecycle.store import ModelStore
from control_plane.model_registry import ModelRegistry
from control_plane.triton_config import load_config, placement_digest
from control_plane.triton_gateway import TritonGateway
from export.contract import ConchError
from export.manifest import Manifest

_POLL_S = 0.05
_PROOF_PAUSES_S = (0.05, 0.2, 0.5)


class Rollout:
    """Loads, unloads and proves on the targets of a fleet, and keeps what it saw."""

    def __init__(self, fleet: Fleet, registry: ModelRegistry, store: ModelStore, unload_timeout_s: float,
                 parameters: Mapping[str, str]) -> None:
        """`parameters` hold for every model whose config.pbtxt does not state them."""
        self._fleet, self._registry, self._store = fleet, registry, store
        self._unload_timeout_s, self._parameters = unload_timeout_s, parameters

    def reachable(self, targets: Sequence[str]) -> list[str]:
        """Return the targets that answer; raises TritonUnavailableError when none does.

        The others are brought up to date when they come back, before anything is sent to them.
        """
        live = self._fleet.on_each(targets, lambda gateway: gateway.is_live())
        found = [target for target, answers in live.items() if answers is True]
        if not found:
            raise TritonUnavailableError(f"no Triton can be reached: {', '.join(targets)}")
        return found

    def apply(self, placement: Placement, targets: Sequence[str], before: Placement) -> None:
        """Bring every target to `placement`, or leave all of them at `before`.

        Raises the first target's error, naming the target.
        """
        # A target that refuses keeps what it served, and requests go on being sent there: so that it failed is not
        # written down before it is known how the way back went.
        outcomes = self._fleet.on_each(targets, lambda gateway: self._bring(gateway, placement))
        failures = {target: outcome for target, outcome in outcomes.items() if isinstance(outcome, Exception)}
        if not failures:
            return
        self._fleet.on_each(targets, lambda gateway: self.place(gateway, before))
        target, error = next(iter(failures.items()))
        if not isinstance(error, ControlPlaneError) or isinstance(error, InsufficientMemoryError) or len(targets) == 1:
            raise error
        raise ModelLoadError(placement.model, f"on {target}: {error}; all {len(targets)} targets are as they were")

    def place(self, gateway: TritonGateway, placement: Placement) -> None:
        """Bring one target to `placement` and prove every version on it; what was seen is kept either way."""
        try:
            self._bring(gateway, placement)
        except ConchError as error:
            self._store.observe(placement.model, gateway.address, self._still_good(gateway, placement.model, error),
                                str(error))
            raise

    def is_placed(self, gateway: TritonGateway, placement: Placement, ready: Sequence[int]) -> bool:
        """Return whether a target whose ready versions are `ready` holds exactly `placement`."""
        if tuple(ready) != placement.versions:
            return False
        return not placement.versions or gateway.placement_digest(placement.model) == self._digest(placement)

    def prove(self, gateway: TritonGateway, placement: Placement) -> None:
        """Ask every version of `placement` for its golden text; raises when one does not answer right."""
        for version in placement.versions:
            _prove_patiently(gateway, self._registry.manifest(self._registry.find(placement.model), version))

    def _still_good(self, gateway: TritonGateway, model: str, error: ConchError) -> tuple[int, ...]:
        """Return which proven versions a target goes on serving after a change that failed: mostly those of before.

        A Triton whose queue is full refuses as one that is away does, but it still answers what it holds.
        """
        if isinstance(error, BrokenModelError):
            return ()
        seen = self._store.observations().get((model, gateway.address))
        try:
            ready = gateway.ready_versions().get(model, [])
        except TritonUnavailableError:
            return ()
        wrong = error.version if isinstance(error, WrongAnswerError) else None
        return tuple(version for version in (seen.versions if seen else ()) if version in ready and version != wrong)

    def _bring(self, gateway: TritonGateway, placement: Placement) -> None:
        load_s = None
        if placement.versions:
            load_s = self._load(gateway, placement)
        else:
            self._unload(gateway, placement.model)
        self._store.observe(placement.model, gateway.address, placement.versions, load_s=load_s)

    def _load(self, gateway: TritonGateway, placement: Placement) -> float | None:
        """Load and prove; returns how many seconds that took, None where it was loaded already."""
        started = time.monotonic()
        model, text = self._registry.find(placement.model), self._config_text(placement.model)
        ready = gateway.ready_versions().get(placement.model, [])
        is_placed = self.is_placed(gateway, placement, ready)
        if not is_placed:
            # The backend checks this too, but now and then tritonserver 2.51 crashes over a load that fails while
            # another version of the model loads.
            for version in set(placement.versions).difference(ready):
                self._registry.verify(model, version)
            gateway.load(placement.model, load_config(text, placement))
        try:
            self.prove(gateway, placement)
        except BrokenModelError:
            # Triton takes a load of what it believes to be loaded for done, so it must be unloaded first. The end of
            # that is not waited for: tritonserver 2.51 never lets go of a request that a dead stub has failed.
            gateway.unload(placement.model)
            gateway.load(placement.model, load_config(text, placement))
            self.prove(gateway, placement)
            is_placed = False
        return None if is_placed else time.monotonic() - started

    def _unload(self, gateway: TritonGateway, model: str) -> None:
        """Unload every version; over when Triton's index says so."""
        deadline = time.monotonic() + self._unload_timeout_s
        if gateway.holds(model):
            gateway.unload(model)
        while gateway.holds(model):
            if time.monotonic() > deadline:
                raise ModelLoadError(model, f"Triton at {gateway.address} did not finish unloading within "
                                            f"{self._unload_timeout_s:g} s; it goes on")
            time.sleep(_POLL_S)

    def _digest(self, placement: Placement) -> str:
        return placement_digest(self._config_text(placement.model), placement)

    def _config_text(self, model: str) -> str:
        """Return the model's config.pbtxt after the parameters for all models; the last of a name counts."""
        stated = "".join(f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}\n'
                         for name, value in self._parameters.items())
        return stated + self._registry.triton_config(self._registry.find(model))


def _prove_patiently(gateway: TritonGateway, manifest: Manifest) -> None:
    """Prove a version, asking a few times where Triton is there and refuses to take the request.

    It does so while its queue is full, and right after a reload to a request that met the queue of before.
    """
    for pause_s in _PROOF_PAUSES_S:
        try:
            return prove(gateway, manifest)
        except TritonUnavailableError:
            if not gateway.is_live():
                raise
            time.sleep(pause_s)
    return prove(gateway, manifest)
