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


class _Asked(BaseException):
    """The keeper was asked to end its command; the argument is the signal that asked."""


def keep(parent_pid: int, command: Sequence[str]) -> int:
    """Run `command` to its end or until asked to stop, then kill what it leaves; returns the exit status."""
    adopt_orphans()
    for asking in (signal.SIGTERM, _PARENT_DIED):
        signal.signal(asking, _raise_asked)
    child = None
    try:
        die_with_parent(parent_pid, _PARENT_DIED)
        keeper_pid = os.getpid()
        # The keeper has one thread, so that code may run between fork and exec.
        child = subprocess.Popen(command, preexec_fn=lambda: die_with_parent(keeper_pid, signal.SIGKILL))
        status = child.wait()
    except _Asked as asked:
        status = -asked.args[0]
    _heed_nothing()
    if status == -signal.SIGTERM and child is not None:
        _end_politely(child)
    kill_descendants(_REAP_TIMEOUT_S)
    return status if status >= 0 else 128 - status


def _end_politely(child: subprocess.Popen) -> None:
    child.terminate()
    try:
        child.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _raise_asked(signal_number: int, frame: object) -> None:
    _heed_nothing()
    raise _Asked(signal_number)


def _heed_nothing() -> None:
    for asking in (signal.SIGTERM, _PARENT_DIED):
        signal.signal(asking, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), sys.argv[2:]))
