"""Runs one command so that nothing of it is left behind, whatever is killed: `serving.keeper PARENT_PID COMMAND…`.

Triton starts a process for each model that notices the server's death only while it can run. The keeper adopts what a
killed command leaves behind and kills it. SIGTERM ends the command politely; the death of the keeper's parent ends it
at once. The keeper's status is the command's, as a shell would give it. Knows nothing of Triton.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from serving.processes import adopt_orphans, die_with_parent, kill_descendants

_STOP_TIMEOUT_S = 12  # Triton gives requests under way 10.
_REAP_TIMEOUT_S = 5
_PARENT_DIED = signal.SIGUSR1


# Blocked and waited for, never handled: a handler could strike between any two steps.
_AWAITED = {signal.SIGTERM, signal.SIGCHLD, _PARENT_DIED}


def keep(parent_pid: int, command: Sequence[str]) -> int:
    """Run `command` to its end or until asked to stop, then kill what it leaves; returns the exit status."""
    adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    die_with_parent(parent_pid, _PARENT_DIED)
    keeper_pid = os.getpid()
    # The keeper has one thread, so that code may run between fork and exec.
    child = subprocess.Popen(command, preexec_fn=lambda: _begin(keeper_pid))
    asked = _wait(child)
    if asked == signal.SIGTERM:
        _end_politely(child)
    kill_descendants(_REAP_TIMEOUT_S)
    status = -asked if asked else child.returncode
    return status if status >= 0 else 128 - status


def _begin(keeper_pid: int) -> None:
    die_with_parent(keeper_pid, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)


def _wait(child: subprocess.Popen) -> signal.Signals | None:
    """Return the signal that asks to end, None when the command has ended by itself."""
    while child.poll() is None:
        signal_number = signal.sigwait(_AWAITED)
        if signal_number != signal.SIGCHLD:
            return signal_number
    return None


def _end_politely(child: subprocess.Popen) -> None:
    child.terminate()
    try:
        child.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), sys.argv[2:]))
