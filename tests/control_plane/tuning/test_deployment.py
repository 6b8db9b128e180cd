"""Versions go through the lifecycle; one that did not pass needs a reason."""

import pytest

from control_plane.errors import VersionNotFoundError
from control_plane.lifecycle.store import Change, ModelState
from control_plane.tuning.deployment import Deployment
from control_plane.tuning_errors import ModelVersionNotFoundError, PromotionError
from tests.control_plane.tuning.test_batch_store import version


class Lifecycle:
    """Stands in for the lifecycle, which has tests of its own; keeps which version is active."""

    def __init__(self) -> None:
        self.state = ModelState("intent")

    def activate(self, name: str, number: int, change: Change, keep_warm: bool | None = None) -> ModelState:
        self.state = ModelState(name, active_version=number, previous_version=self.state.active_version,
                                keeps_previous_warm=self.state.keeps_previous_warm if keep_warm is None else keep_warm)
        return self.state

    def require_version(self, name: str, number: int) -> None:
        if number != 4:
            raise VersionNotFoundError(name, number, (1, 2, 3, 4))

    def roll_back(self, name: str, change: Change) -> ModelState:
        return self.activate(name, self.state.previous_version, change)

    def find(self, name: str) -> ModelState:
        return self.state


@pytest.fixture
def deployment(store, taxonomy):
    """Three versions, one of each verdict."""
    for number, verdict in enumerate(("pass", "fail", "inconclusive"), start=1):
        batch = store.add(verdict, "head", "anna")
        store.finish(batch.batch_id, version(batch.batch_id, number, verdict), {}, {}, [])
    lifecycle = Lifecycle()
    return Deployment(store, lifecycle, lifecycle, "intent")


def _active(deployment) -> list[int]:
    return [row.triton_version for row in deployment.versions(10) if row.is_active]


def test_a_version_that_passed_is_activated_and_rolled_back(deployment):
    deployment.activate("intent-1", Change("anna"))
    assert _active(deployment) == [1]
    deployment.activate("intent-2", Change("anna", "the old one fails worse"))
    assert _active(deployment) == [2]
    assert deployment.roll_back(Change("anna")).active_version == 1
    assert _active(deployment) == [1]


@pytest.mark.parametrize(("options", "is_kept"), [({}, True), ({"keep_warm": False}, False)])
def test_the_version_before_is_kept_for_a_rollback_unless_that_is_not_wanted(deployment, options, is_kept):
    assert deployment.activate("intent-1", Change("anna"), **options).keeps_previous_warm is is_kept


@pytest.mark.parametrize(("name", "verdict"), [("intent-2", "fail"), ("intent-3", "inconclusive")])
def test_a_version_that_did_not_pass_needs_a_reason(deployment, name, verdict):
    with pytest.raises(PromotionError, match=f"{name} is '{verdict}'"):
        deployment.activate(name, Change("anna"))
    assert _active(deployment) == []


def test_a_version_that_was_exported_by_hand_needs_a_reason_for_no_gate_has_judged_it(deployment):
    with pytest.raises(PromotionError, match=r"no batch brought forth intent-4, .*give a reason"):
        deployment.activate("intent-4", Change("anna"))
    assert deployment.activate("intent-4", Change("anna", "from another platform")).active_version == 4
    assert _active(deployment) == []


@pytest.mark.parametrize(("name", "error"), [
    ("intent-9", VersionNotFoundError), ("intent-04", ModelVersionNotFoundError), ("4", ModelVersionNotFoundError),
    ("intent-", ModelVersionNotFoundError), ("other-4", ModelVersionNotFoundError)])
def test_what_is_no_version_is_not_found(deployment, name, error):
    with pytest.raises(error):
        deployment.activate(name, Change("anna", "because"))


def test_what_was_activated_over_other_routes_is_shown_as_active(deployment):
    deployment._lifecycle.activate("intent", 3, Change("ben"))
    assert _active(deployment) == [3]
