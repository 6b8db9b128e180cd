"""Child processes that never outlive their parent. Knows nothing of what they run (source: prctl(2))."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel end this process when its parent ends; ends at once when that parent has gone already."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(f"the parent process {parent_pid} has gone")


def adopt_orphans() -> None:
    """Make this process the parent of its descendants whose own parent dies, so that it can end them."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_child(command: Sequence[str], environment: dict[str, str], log_file: Path) -> subprocess.Popen:
    """Start `command` in a session of its own, its output appended to `log_file`.

    The kernel kills it when this process dies, whatever the reason. Its own session keeps a terminal's Ctrl-C away
    from it: this process decides the order in which children stop.
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as log:
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                start_new_session=True, preexec_fn=_killed_with_parent)


def stop_children(timeout_s: float) -> None:
    """End every descendant: SIGTERM to the children, SIGKILL to whatever is left after `timeout_s`."""
    me = psutil.Process()
    everyone = me.children(recursive=True)
    for child in me.children():
        _ignore_gone(child.terminate)
    _, alive = psutil.wait_procs(everyone, timeout=timeout_s)
    for process in {*alive, *me.children(recursive=True)}:
        _ignore_gone(process.kill)
    psutil.wait_procs(alive, timeout=timeout_s)


def _killed_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _ignore_gone(action) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        action()
