"""Says what a benchmark ran on: processor, memory, versions of the software, commit."""

import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import psutil

from serving.cores import available_cores

PACKAGES = ("nvidia-pytriton", "openvino", "onnxruntime", "numpy", "flask", "gunicorn", "sentence-transformers",
            "transformers", "torch")
PEER_PACKAGES = ("infinity-emb", "optimum", "onnxruntime", "sentence-transformers", "transformers", "torch")
# Runs in the peers' own environment, which has packages of the same names in other versions.
_ASK_VERSIONS = "import importlib.metadata as m, sys; print('\\n'.join(m.version(name) for name in sys.argv[1:]))"
_ADDITIONS, _REPEATS = 1_000_000, 9


def describe_machine() -> dict[str, str]:
    """Return processor, cores, memory and system, ready to print, and how fast one core is at the moment."""
    memory_gib = psutil.virtual_memory().total / 2**30
    return {
        "Processor": processor_name(Path("/proc/cpuinfo")), "Cores": str(available_cores()),
        "Memory": f"{memory_gib:.0f} GiB", "System": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Speed just then": f"{_addition_ns():.0f} ns for an addition in Python",
    }


def _addition_ns() -> float:
    """Return the median time of an addition. A shared machine may be twice as slow an hour later, and not tell."""
    times_s = []
    for _ in range(_REPEATS):
        began, total = time.perf_counter(), 0
        for number in range(_ADDITIONS):
            total += number
        times_s.append(time.perf_counter() - began)
    return statistics.median(times_s) / _ADDITIONS * 1e9


def processor_name(cpuinfo: Path) -> str:
    """Return the model with family and the vector instructions that matter here, from Linux's cpuinfo."""
    try:
        lines = dict(line.split(":", 1) for line in cpuinfo.read_text().splitlines() if ":" in line)
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, value in lines.items()}
    flags = facts.get("flags", "").split()
    features = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if flag in flags]
    family = f"family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
    return f"{facts.get('model name', 'unknown')} ({family}; {', '.join(features)})"


def software_versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return Python's and the packages' versions in this environment, and the commit."""
    return {"Python": platform.python_version(), **{name: _version(name) for name in packages}, "Commit": _commit()}


def peer_versions(python: Path) -> dict[str, str]:
    """Return the packages' versions in the environment of `python`."""
    asked = subprocess.run([str(python), "-c", _ASK_VERSIONS, *PEER_PACKAGES], capture_output=True, text=True,
                           check=True)
    found = zip(PEER_PACKAGES, asked.stdout.split(), strict=True)
    return {"Environment of infinity": ", ".join(f"{name} {version}" for name, version in found)}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False,
                               cwd=Path(__file__).parent)
    return described.stdout.strip() or "unknown"
