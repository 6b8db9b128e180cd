"""How much memory this machine has left for models. Decides nothing; knows no model.

It sees this machine only, so it is of use where Triton runs beside the control plane.
"""

from collections.abc import Callable
from dataclasses import dataclass

import psutil

GIB = 1 << 30


@dataclass(frozen=True)
class MachineMemory:
    """The memory of a machine, in bytes."""

    total: int
    available: int  # without anything being swapped out

    @property
    def used(self) -> int:
        """What is in use and could not be had at once."""
        return self.total - self.available

    @property
    def used_percent(self) -> float:
        """What is in use, in percent."""
        return round(100 * self.used / self.total, 1)


def read_machine_memory() -> MachineMemory:
    """Return the memory of this machine."""
    memory = psutil.virtual_memory()
    return MachineMemory(memory.total, memory.available)


@dataclass(frozen=True)
class MemoryBudget:
    """What models may use: so much of the machine at most, and so much must stay available."""

    max_usage_percent: float
    min_available_bytes: int
    read: Callable[[], MachineMemory] = read_machine_memory

    def shortage_bytes(self, needed_bytes: int) -> int:
        """Return by how much a load that needs `needed_bytes` would break the budget, 0 where it fits."""
        machine = self.read()
        over_usage = machine.used + needed_bytes - int(machine.total * self.max_usage_percent / 100)
        under_available = self.min_available_bytes - (machine.available - needed_bytes)
        return max(0, over_usage, under_available)

    def describe(self) -> str:
        """Return the figures, for the message of a load that does not fit."""
        machine = self.read()
        return (f"{machine.available / GIB:.2f} GiB of {machine.total / GIB:.2f} GiB are available, at most "
                f"{self.max_usage_percent:g} % may be used (MAX_MEMORY_USAGE) and "
                f"{self.min_available_bytes / GIB:g} GiB must stay available (MIN_MEMORY_GB)")
