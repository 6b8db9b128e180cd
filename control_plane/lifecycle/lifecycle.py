"""What an administrator does to a model: load, unload, activate, roll back, configure, keep. Knows nothing of HTTP.

Every operation holds the model's lease, so that they never overlap, whichever process runs them. A change is written
down in one transaction; what a crash leaves half done in Triton, the reconciler brings back to what is written.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from control_plane.database.leases import Lease, Leases
from control_plane.database.schema import utc_now
from control_plane.errors import (
    BusyError,
    InsufficientMemoryError,
    ModelLoadError,
    StaleRevisionError,
    VersionNotFoundError,
    VersionRefusedError,
)
from control_plane.fleet import Fleet
from control_plane.lifecycle.configuration import ModelConfiguration
from control_plane.lifecycle.placement import Placement
from control_plane.lifecycle.residency import Residency
from control_plane.lifecycle.rollout import Rollout
from control_plane.lifecycle.store import Change, ModelState, ModelStore
from control_plane.model_registry import KnownModel, ModelRegistry
from export.contract import EMBEDDING
from export.manifest import ManifestError


class Lifecycle:
    """The operations, over one Triton or a fleet."""

    def __init__(self, registry: ModelRegistry, store: ModelStore, leases: Leases, fleet: Fleet, rollout: Rollout,
                 residency: Residency, wait_s: float) -> None:
        self._registry, self._store, self._leases, self._fleet, self._rollout = registry, store, leases, fleet, rollout
        self._residency, self._wait_s = residency, wait_s

    def load(self, name: str, change: Change, policy: str | None = None) -> ModelState:
        """Make a model live: its active version, the newest one where none was ever active.

        Raises ModelLoadError with Triton's reason; what was live before still is, on every target.
        """
        model = self._registry.servable(name)
        with self._hold(model):
            before = self._store.find(model.name)
            after = self._placed(replace(
                before, is_wanted=True, is_resident=True, policy=policy or before.policy,
                active_version=before.active_version or model.versions[-1], last_used_at=_last_use(before)))
            self._require_version(model, after.active_version)
            after = self._apply(after, before)
            return before if after == before else self._record(before, after, "load", change)

    def unload(self, name: str, change: Change) -> ModelState:
        """Take a model out of every target; over when no index has it any more."""
        model = self._registry.find(name)
        with self._hold(model):
            before = self._store.find(model.name)
            after = self._record(before, replace(before, is_wanted=False, is_resident=False), "unload", change)
            self._rollout.apply(Placement(model.name), self._rollout.reachable(self._targets(before)),
                                Placement(model.name))
            return after

    def wake(self, name: str) -> ModelState:
        """Load an on-demand model that is not resident; returns at once when somebody else has just done it."""
        model = self._registry.servable(name)
        with self._hold(model):
            before = self._store.find(model.name)
            if not before.is_wanted or before.should_be_loaded:
                return before
            after = self._apply(replace(before, is_resident=True, last_used_at=utc_now()), before)
            return self._store.note(before, is_resident=True, last_used_at=after.last_used_at,
                                    keeps_previous_warm=after.keeps_previous_warm)

    def require_version(self, name: str, version: int) -> None:
        """Raise what `activate` raises of a version that is not there or cannot be served."""
        self._require_version(self._registry.servable(name), version)

    def activate(self, name: str, version: int, change: Change, expected_revision: int | None = None,
                 force: bool = False, keep_warm: bool | None = None) -> ModelState:
        """Load `version` beside the active one, prove it on every target, and switch.

        The version that was active stays loaded until everybody has learnt of the switch, or with `keep_warm` until its
        memory is needed.
        Raises StaleRevisionError, VersionNotFoundError, VersionRefusedError or ModelLoadError; the active version then
        still is.
        """
        return self._switch(name, version, "activate", change, expected_revision, force, keep_warm)

    def roll_back(self, name: str, change: Change, expected_revision: int | None = None) -> ModelState:
        """Activate the version that was active before."""
        model = self._registry.servable(name)
        previous = self._store.find(model.name).previous_version
        if previous is None:
            raise VersionRefusedError(model.name, 0, "no version was active before the present one")
        return self._switch(name, previous, "rollback", change, expected_revision, force=True, keep_warm=None)

    def keep_beside(self, name: str, versions: Collection[int], change: Change) -> ModelState:
        """Keep `versions` loaded beside the active one, proven on every target, for requests that name them.

        They take the place of those that were kept so far. Raises VersionNotFoundError, VersionRefusedError or
        ModelLoadError; nothing is changed then.
        """
        model = self._registry.servable(name)
        for version in versions:
            self._require_version(model, version)
        with self._hold(model):
            before = self._store.find(model.name)
            after = replace(before, extra_versions=tuple(sorted(set(versions))))
            if after.should_be_loaded:
                after = self._apply(after, before)
            return before if after == before else self._record(before, after, "keep", change, _extra(after))

    def let_go(self, name: str, change: Change) -> ModelState:
        """Keep no versions beside the active one any more; the reconciler unloads them."""
        model = self._registry.find(name)
        with self._hold(model):
            before = self._store.find(model.name)
            if not before.extra_versions:
                return before
            return self._record(before, replace(before, extra_versions=()), "let_go", change, _extra(before))

    def configure(self, name: str, configuration: ModelConfiguration, change: Change,
                  expected_revision: int | None = None) -> ModelState:
        """Serve a model with other values than config.pbtxt's; raises ModelLoadError when Triton refuses them."""
        model = self._registry.servable(name)
        with self._hold(model):
            before = self._store.find(model.name)
            _check_revision(before, expected_revision)
            after = replace(before, configuration=configuration.stated())
            if after.should_be_loaded:
                after = self._apply(after, before)
            return self._record(before, after, "configure", change, detail=after.configuration)

    def relieve(self, name: str) -> list[str]:
        """Unload idle on-demand models, after `name` ran out of memory; returns which."""
        return self._residency.relieve(name)

    def _switch(self, name: str, version: int, action: str, change: Change, expected_revision: int | None, force: bool,
                keep_warm: bool | None) -> ModelState:
        model = self._registry.servable(name)
        self._require_version(model, version)
        with self._hold(model) as lease:
            before = self._store.find(model.name)
            _check_revision(before, expected_revision)
            if not force:
                self._require_same_dimension(model, before.active_version, version)
            after = self._placed(_switched(before, version, keep_warm))
            if after == before:
                return before
            after = self._apply(replace(after, activated_at=utc_now()), before)
            if self._residency.is_short(model.name):  # It was loaded for the switch, and its memory is needed.
                after = replace(after, keeps_previous_warm=False)
            _require_held(lease, model)
            return self._record(before, replace(after, activated_at=utc_now()), action, change)

    def _apply(self, after: ModelState, before: ModelState) -> ModelState:
        """Bring every target to `after` and return it; where memory is short, without what is only kept warm."""
        placement = after.placement(utc_now())
        # Triton loads all of a model's versions anew when there is one more or less of them.
        if placement != before.placement(utc_now()) and self._residency.is_short(after.name, placement.versions):
            after, before = self._let_spares_go(after, before)
        for version in _new_versions(after, before):
            self._residency.make_room(after.name, version)
        try:
            self._bring(after, before)
        except InsufficientMemoryError:  # The room was estimated, or belongs to a machine that cannot be seen.
            lean = self._let_spares_go(after, before)
            if lean == (after, before) and not self.relieve(after.name):
                raise
            after, before = lean
            self._bring(after, before)
        return after

    def _let_spares_go(self, after: ModelState, before: ModelState) -> tuple[ModelState, ModelState]:
        """Return both states without the version that is loaded for a rollback alone; it is unloaded at once."""
        if after.spare_version(utc_now()) is not None:
            after = replace(after, keeps_previous_warm=False)
        if before.spare_version(utc_now()) is not None:
            lean = self._store.note(before, keeps_previous_warm=False)
            self._bring(lean, before)
            before = lean
        return after, before

    def _bring(self, after: ModelState, before: ModelState) -> None:
        now = utc_now()
        self._rollout.apply(after.placement(now), self._rollout.reachable(self._targets(after)), before.placement(now))

    def _record(self, before: ModelState, after: ModelState, action: str, change: Change,
                detail: dict | None = None) -> ModelState:
        changed = {name: value for name, value in vars(after).items() if name != "revision"}
        del changed["name"]
        return self._store.change(before, action, change, detail, **changed)

    def _placed(self, state: ModelState) -> ModelState:
        """Say which targets a model belongs on: those with the backend that it was exported for."""
        of_vllm = self._registry.is_for_vllm(state.name)
        targets = self._fleet.holders(of_vllm)
        if targets == ():
            has = "has the vLLM backend, for which it was exported" if of_vllm else "has Conch's own backends"
            raise ModelLoadError(state.name, f"no Triton of CONCH_TRITON_URLS {has} (CONCH_VLLM_TRITONS); add one")
        return replace(state, targets=targets)

    def _targets(self, state: ModelState) -> list[str]:
        return [target for target in self._fleet.names if state.is_placed_on(target)]

    def _hold(self, model: KnownModel):
        return self._leases.hold(f"model:{model.name}", self._wait_s)

    def _require_version(self, model: KnownModel, version: int) -> None:
        if version not in model.versions:
            raise VersionNotFoundError(model.name, version, model.versions)
        try:
            self._registry.manifest(model, version)
        except ManifestError as error:
            raise VersionRefusedError(model.name, version, str(error)) from error

    def _require_same_dimension(self, model: KnownModel, active: int | None, version: int) -> None:
        if active is None or active not in model.versions:
            return
        old, new = (self._registry.manifest(model, number) for number in (active, version))
        # Only embeddings are stored and compared; the labels of an intent model may change, and its encoder with them.
        if old.task == new.task == EMBEDDING and old.dimension != new.dimension:
            raise VersionRefusedError(model.name, version, f"it has {new.dimension} dimensions and the active version "
                                      f"{old.dimension}: stored vectors would no longer compare; force it if that is "
                                      "meant")


def _switched(before: ModelState, version: int, keep_warm: bool | None) -> ModelState:
    is_active = before.active_version == version
    return replace(
        before, is_wanted=True, is_resident=True, active_version=version,
        previous_version=before.previous_version if is_active else before.active_version,
        keeps_previous_warm=before.keeps_previous_warm if keep_warm is None else keep_warm,
        last_used_at=_last_use(before))


def _new_versions(after: ModelState, before: ModelState) -> set[int]:
    now = utc_now()
    return set(after.placement(now).versions) - set(before.placement(now).versions)


def _extra(state: ModelState) -> dict[str, list[int]]:
    return {"versions": list(state.extra_versions)}


def _last_use(before: ModelState) -> datetime | None:
    """A model that is being loaded counts as used: it would be idle at once otherwise."""
    return before.last_used_at if before.should_be_loaded else utc_now()


def _check_revision(state: ModelState, expected: int | None) -> None:
    if expected is not None and expected != state.revision:
        raise StaleRevisionError(state.name, state.revision)


def _require_held(lease: Lease, model: KnownModel) -> None:
    if not lease.is_held:
        raise BusyError(f"model {model.name!r}: the database was away for too long to be sure that nobody else changes "
                        "it; nothing was changed")
