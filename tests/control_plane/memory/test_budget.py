"""A load fits when what it leaves keeps both limits."""

import psutil
import pytest

from control_plane.memory.budget import GIB, MachineMemory, MemoryBudget, read_machine_memory


def budget(available_gib: float, max_usage_percent: float = 90, min_available_gib: float = 0.5) -> MemoryBudget:
    memory = MachineMemory(10 * GIB, int(available_gib * GIB))
    return MemoryBudget(max_usage_percent, int(min_available_gib * GIB), lambda: memory)


@pytest.mark.parametrize(("available", "needed", "short"), [
    (5, 3, 0), (5, 4, 0), (5, 4.5, 0.5),   # 90 % of 10 GiB leave 1 GiB
    (1, 0, 0), (0.5, 0, 0.5),              # in use already
])
def test_usage_stays_below_its_limit(available, needed, short):
    assert budget(available).shortage_bytes(int(needed * GIB)) == pytest.approx(short * GIB, abs=2)


def test_what_must_stay_available_stays():
    assert budget(3, max_usage_percent=100, min_available_gib=2).shortage_bytes(GIB) == 0
    assert budget(3, max_usage_percent=100, min_available_gib=2).shortage_bytes(2 * GIB) == GIB


def test_the_figures_are_named_with_their_settings():
    said = budget(3).describe()
    for part in ("3.00 GiB of 10.00 GiB", "90 %", "MAX_MEMORY_USAGE", "0.5 GiB", "MIN_MEMORY_GB"):
        assert part in said


def test_this_machine_has_memory():
    memory = read_machine_memory()
    assert 0 < memory.available < memory.total == psutil.virtual_memory().total
