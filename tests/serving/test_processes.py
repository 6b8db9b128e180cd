"""Child processes end with their parent, however it ends, and stopping leaves none behind."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from serving.processes import start_child

_LIMIT_S = 20
# Starts a child that writes its own process id as the last thing it does before it sleeps.
_PARENT = """
import os, sys, time
from pathlib import Path
from serving.processes import start_child
start_child([sys.executable, "-c", sys.argv[1], str(os.getpid())], None, Path(sys.argv[2]))
time.sleep(60)
"""
_SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
_SLEEP_WITHOUT_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + _SLEEP
_DIES_WITH_PARENT = ("import sys; from serving.processes import die_with_parent; die_with_parent(int(sys.argv[1])); "
                     + _SLEEP)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "child.log"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("child_code", [_SLEEP, _SLEEP_WITHOUT_SIGTERM])
def test_a_started_child_is_killed_when_its_parent_ends(log, end, child_code):
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, child_code, str(log)])
    child = _wait_for_pids(log)[0]
    assert psutil.pid_exists(child)
    parent.send_signal(end)
    parent.wait(_LIMIT_S)
    _assert_gone(child)


def test_die_with_parent_ends_the_process_that_calls_it_when_its_parent_is_killed(log):
    # This parent starts its child without start_child, as another program would start `conch serve`.
    code = ("import os, subprocess, sys, time; "
            "subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())]); time.sleep(60)")
    log.parent.mkdir()
    with log.open("wb") as output:
        parent = subprocess.Popen([sys.executable, "-c", code, _DIES_WITH_PARENT], stdout=output)
    child = _wait_for_pids(log)[0]
    assert psutil.pid_exists(child)
    parent.kill()
    parent.wait(_LIMIT_S)
    _assert_gone(child)


def test_die_with_parent_ends_at_once_when_the_parent_has_gone_already():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(_LIMIT_S)
    run = subprocess.run([sys.executable, "-c", _DIES_WITH_PARENT, str(gone.pid)], capture_output=True,
                         timeout=_LIMIT_S)
    assert run.returncode == 1
    assert run.stdout == b""
    assert f"parent process {gone.pid} has gone" in run.stderr.decode()


def test_a_child_writes_to_its_log_after_what_is_there_and_has_no_input(log):
    log.parent.mkdir()
    log.write_text("earlier\n")
    code = "import sys; print(repr(sys.stdin.read())); print('error', file=sys.stderr)"
    assert start_child([sys.executable, "-u", "-c", code], None, log).wait(_LIMIT_S) == 0
    assert log.read_text() == "earlier\n''\nerror\n"


def test_a_child_has_the_environment_it_was_given_and_a_session_of_its_own(log):
    code = "import os; print(os.environ.get('CONCH_TEST'), os.getsid(0) == os.getppid())"  # the keeper's
    environment = {**os.environ, "CONCH_TEST": "given"}
    assert start_child([sys.executable, "-c", code], environment, log).wait(_LIMIT_S) == 0
    assert log.read_text().split() == ["given", "True"]


# Starts a child with a child of its own, stops everything and prints what is left and how long it took.
_STOPPER = """
import sys, time
from pathlib import Path
import psutil
from serving.processes import adopt_orphans, start_child, stop_children
adopt_orphans()
log, child_code, timeout_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
start_child([sys.executable, "-c", child_code], None, log)
while len(log.read_bytes().split()) < 2:
    time.sleep(0.02)
began = time.monotonic()
stop_children(timeout_s)
left = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
print(len(left), time.monotonic() - began)
"""


@pytest.mark.parametrize(("child", "grandchild", "timeout_s"), [
    (_SLEEP, _SLEEP, 0.5),
    (_SLEEP_WITHOUT_SIGTERM, _SLEEP_WITHOUT_SIGTERM, 0.5),
    (_SLEEP, _SLEEP_WITHOUT_SIGTERM, 0.5),
    (_SLEEP_WITHOUT_SIGTERM, _SLEEP, 0.5),
], ids=["polite", "stubborn", "stubborn grandchild", "stubborn child"])
def test_stopping_leaves_neither_children_nor_their_children(log, child, grandchild, timeout_s):
    child_code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {grandchild!r}]); {child}"
    run = subprocess.run([sys.executable, "-c", _STOPPER, str(log), child_code, str(timeout_s)], capture_output=True,
                         timeout=_LIMIT_S, check=True)
    left, took_s = run.stdout.split()
    assert int(left) == 0
    assert float(took_s) < 10
    for pid in _wait_for_pids(log, count=2):
        _assert_gone(pid)


def test_a_child_that_stops_when_asked_is_not_waited_for_any_longer(log):
    child_code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {'print(1)'!r}]).wait(); {_SLEEP}"
    run = subprocess.run([sys.executable, "-c", _STOPPER, str(log), child_code, "15"], capture_output=True,
                         timeout=_LIMIT_S, check=True)
    assert float(run.stdout.split()[1]) < 10


def test_stopping_without_children_does_nothing():
    code = "from serving.processes import stop_children; stop_children(5)"
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=_LIMIT_S)
    assert time.monotonic() - began < 5


def _wait_for_pids(log, count: int = 1) -> list[int]:
    """Return the process ids that children wrote to the log."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        lines = log.read_text().split() if log.exists() else []
        if len(lines) >= count:
            return [int(line) for line in lines]
        time.sleep(0.02)
    return pytest.fail(f"{log} does not have {count} process ids")


def _assert_gone(pid: int) -> None:
    """A zombie counts as gone: it runs nothing and waits for whoever adopted it."""
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    pytest.fail(f"process {pid} is still there")


def test_a_process_that_watches_its_parent_ends_with_it_though_nobody_signals_it():
    child = ("import time\nfrom serving.processes import exit_when_orphaned\nexit_when_orphaned()\n"
             "print(1, flush=True)\ntime.sleep(60)")
    parent = (f"import subprocess, sys, time\np = subprocess.Popen([sys.executable, '-c', {child!r}], "
              "stdout=subprocess.PIPE)\np.stdout.readline()\nprint(p.pid, flush=True)\ntime.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as started:
        watched = psutil.Process(int(started.stdout.readline()))
        time.sleep(1)  # Twice the interval at which it looks.
        assert watched.is_running()
        started.kill()
        assert not psutil.wait_procs([watched], timeout=10)[1]


def test_a_process_that_is_stuck_in_a_call_that_holds_pythons_lock_is_ended_by_the_kernel():
    child = ("import ctypes\nfrom serving import processes\nprocesses._STUCK_S = 2\nprocesses.exit_when_orphaned()\n"
             "import time; time.sleep(3)\nprint('alive', flush=True)\nctypes.PyDLL(None).sleep(60)")
    ended = subprocess.run([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True)
    assert ended.stdout == "alive\n"  # As long as it could run it was not touched.
    assert ended.returncode == -signal.SIGALRM
