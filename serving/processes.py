"""Child processes that never outlive their parent. Knows nothing of what they run (source: prctl(2))."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

_POLL_S = 0.02
_ORPHAN_POLL_S = 0.5
_STUCK_S = 600  # longer than any one call holds Python's lock
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent_pid: int, death_signal: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send this process a signal when its parent ends; ends at once when that has gone already."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(f"the parent process {parent_pid} has gone")


def exit_when_orphaned() -> None:
    """Watch the parent from a thread and end this process, without any farewell, soon after the parent has ended.

    For processes that somebody else starts: the kernel's signal of die_with_parent goes by the thread that started a
    process, and a server may start one from a thread that ends long before the server does. A call that holds Python's
    lock and waits for a parent that has gone would stop the thread, too: the kernel's alarm, which needs no lock, ends
    the process after ten minutes in which the thread could not put it off.
    """
    parent_pid = os.getppid()

    def watch() -> None:
        while os.getppid() == parent_pid:
            signal.alarm(_STUCK_S)
            time.sleep(_ORPHAN_POLL_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def adopt_orphans() -> None:
    """Make this process the parent of its descendants whose own parent dies, so that it can end them."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_child(command: Sequence[str], environment: dict[str, str] | None, log_file: Path) -> subprocess.Popen:
    """Start `command` under a keeper (serving.keeper), its output appended to `log_file`.

    It is killed when this process dies, whatever the reason, and so is whatever it leaves behind when it dies itself.
    A session of its own keeps a terminal's Ctrl-C away from it: this process decides the order in which children stop.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    kept = [sys.executable, "-m", "serving.keeper", str(os.getpid()), *command]
    with log_file.open("ab") as log:
        return subprocess.Popen(kept, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                start_new_session=True)


def stop_children(timeout_s: float) -> None:
    """End every descendant: SIGTERM to the children, then SIGKILL to whatever they leave behind or do not heed.

    What they leave behind was adopted (adopt_orphans) and, like them, is reaped here.
    """
    children = psutil.Process().children()
    for child in children:
        _ignore_gone(child.terminate)
    deadline = time.monotonic() + timeout_s
    # An ended child that nobody has reaped still counts as running.
    while _reap() and any(child.is_running() for child in children) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    kill_descendants(timeout_s)


def kill_descendants(timeout_s: float) -> None:
    """Kill every descendant, also those that appear meanwhile, and wait until all of them have been reaped.

    For processes that adopt orphans: only for them is to be without children to be without descendants.
    """
    me = psutil.Process()
    deadline = time.monotonic() + timeout_s
    while _reap() and time.monotonic() < deadline:
        for process in me.children(recursive=True):
            _ignore_gone(process.kill)
        time.sleep(_POLL_S)


def _reap() -> bool:
    """Reap the children that have ended; returns whether any are left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _ignore_gone(action) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        action()
