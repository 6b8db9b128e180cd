"""Free loopback ports for servers that are started a moment later.

Each process of a parallel run has a range of its own, below the ports that the kernel gives to outgoing connections
(Linux: 32768 and up), so that nobody takes a port between its choice and its server's start, or while a server is away.
"""

import itertools
import os
import random
import socket

_FIRST, _PER_PROCESS, _PROCESSES = 10_000, 2_500, 9
# Where pytest-xdist runs no processes there is one, which leaves the first range to parallel runs beside it.
_NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw8").removeprefix("gw")) % _PROCESSES
_RANGE = range(_FIRST + _NUMBER * _PER_PROCESS, _FIRST + (_NUMBER + 1) * _PER_PROCESS)
_BEGINNING = random.randrange(_PER_PROCESS)  # noqa: S311 - two runs on one machine should begin apart
_CANDIDATES = itertools.cycle([*_RANGE[_BEGINNING:], *_RANGE[:_BEGINNING]])


def free_ports(count: int) -> list[int]:
    """Return different ports that are free, and are not given again for a long time."""
    return list(itertools.islice(filter(_is_free, _CANDIDATES), count))


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
