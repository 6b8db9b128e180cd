"""How many processor cores this process may use, container limits included."""

import os
from math import ceil
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota_file: Path = _CGROUP_QUOTA) -> int:
    """Return the cores, at least 1, that affinity and the cgroup v2 quota leave (source: kernel page cgroup-v2)."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = quota_file.read_text().split()
    except (OSError, ValueError):
        return cores
    if quota == "max":
        return cores
    return max(1, min(cores, ceil(int(quota) / int(period))))
