"""A keeper leaves nothing of its command behind, whichever of the processes is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

_LIMIT_S = 20
# A command with a child that heeds no SIGTERM; both write their process ids.
_COMMAND = """
import os, signal, subprocess, sys, time
child = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); " \\
        "time.sleep(60)"
print(os.getpid(), flush=True)
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
time.sleep(60)
"""
_PARENT = """
import sys, time
from pathlib import Path
from serving.processes import start_child
print(start_child([sys.executable, "-c", sys.argv[1]], None, Path(sys.argv[2])).pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def family(tmp_path):
    """A parent, its keeper, the kept command and the command's child."""
    log = tmp_path / "kept.log"
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, _COMMAND, str(log)], stdout=subprocess.PIPE, text=True)
    keeper = psutil.Process(int(parent.stdout.readline()))
    command, child = (psutil.Process(pid) for pid in _pids(log))
    yield {"parent": psutil.Process(parent.pid), "keeper": keeper, "command": command, "child": child}
    parent.kill()
    parent.wait(_LIMIT_S)
    parent.stdout.close()


@pytest.mark.parametrize("killed", [["command"], ["parent"], ["parent", "command"], ["command", "parent"]])
def test_nothing_is_left_when_others_are_killed(family, killed):
    for name in killed:
        family[name].kill()
    for name in ("keeper", "command", "child"):
        _assert_ends(family[name])


def test_sigterm_ends_the_command_and_what_it_started(family):
    family["keeper"].terminate()
    for name in ("keeper", "command", "child"):
        _assert_ends(family[name])


@pytest.mark.parametrize(("code", "status"), [
    ("pass", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 128 + signal.SIGKILL)])
def test_the_commands_status_is_the_keepers(code, status):
    assert subprocess.run([sys.executable, "-m", "serving.keeper", str(os.getpid()), sys.executable, "-c", code],
                          timeout=_LIMIT_S).returncode == status


def _pids(log: Path) -> list[int]:
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        if log.exists() and len(lines := log.read_text().split()) == 2:
            return [int(line) for line in lines]
        time.sleep(0.02)
    return pytest.fail(f"{log} does not have two process ids")


def _assert_ends(process: psutil.Process) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            os.kill(process.pid, signal.SIGKILL)
            pytest.fail(f"process {process.pid} is still there")
        time.sleep(0.02)
