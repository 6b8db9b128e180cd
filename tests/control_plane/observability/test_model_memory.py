import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from control_plane.observability.model_memory import resident_bytes

PROGRAM = "print('ready', flush=True); input()"


@pytest.fixture
def start(tmp_path):
    """Start a process that looks like a stub of Triton's, and end it with the test."""
    started = []

    def start_stub(home: Path, model_file: Path, name: str = "triton_python_backend_stub") -> psutil.Process:
        model_file.parent.mkdir(parents=True, exist_ok=True)
        model_file.write_text(PROGRAM, encoding="ascii")
        process = subprocess.Popen([str(home / "triton/backends/python" / name), str(model_file), "shm", "1"],
                                   executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return psutil.Process(process.pid)

    yield start_stub
    for process in started:
        process.communicate(b"\n", timeout=20)


def test_the_processes_of_a_model_are_added_up(tmp_path, start):
    home, repository = tmp_path / "home", tmp_path / "repository"
    processes = [start(home, repository / "fast" / version / "model.py") for version in ("1", "2")]
    start(home, repository / "other" / "1" / "model.py")
    found = resident_bytes(home, repository)
    assert set(found) == {"fast", "other"}
    assert found["fast"] == pytest.approx(sum(process.memory_info().rss for process in processes), rel=0.1)


def test_processes_of_other_platforms_and_other_programs_are_left_out(tmp_path, start):
    home, repository = tmp_path / "home", tmp_path / "repository"
    start(tmp_path / "other-home", repository / "fast" / "1" / "model.py")
    start(home, tmp_path / "other-repository" / "fast" / "1" / "model.py")
    start(home, repository / "fast" / "2" / "model.py", name="something-else")
    assert resident_bytes(home, repository) == {}
