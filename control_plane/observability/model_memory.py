"""Finds how much memory and processor time each model takes. Knows nothing of models of a Triton elsewhere: it sees the
processes of this machine only.

A model is a process of Triton's Python backend for each instance: `<backends>/python/triton_python_backend_stub
<repository>/<model>/<version>/model.py …`.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

_STUB = "triton_python_backend_stub"


def resident_bytes(home: Path, repository: Path) -> dict[str, int]:
    """Return the resident memory of each model's processes, added up, that run on the backends under `home`."""
    return _sums(home, repository, "memory_info", lambda memory: memory.rss)


def processor_s(home: Path, repository: Path) -> dict[str, float]:
    """Return the processor seconds that each model's processes have used since they began, added up."""
    return _sums(home, repository, "cpu_times", lambda times: times.user + times.system)


def _sums(home: Path, repository: Path, attribute: str, read: Callable) -> dict[str, float]:
    found: Counter[str] = Counter()
    for process in psutil.process_iter(["cmdline", attribute]):
        command, value = process.info["cmdline"] or [], process.info[attribute]
        model = _model_of(command, home.resolve(), repository.resolve())
        if model is not None and value is not None:
            found[model] += read(value)
    return dict(found)


def _model_of(command: list[str], home: Path, repository: Path) -> str | None:
    if len(command) < 2 or not command[0].endswith(_STUB) or not Path(command[0]).is_relative_to(home):
        return None
    model_file = Path(command[1])
    return model_file.relative_to(repository).parts[0] if model_file.is_relative_to(repository) else None
