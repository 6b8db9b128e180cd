"""Wakes controllers when a job was submitted: Huey's storages carry job ids, in a SQLite file or in Redis.

Losing an id loses nothing but a few seconds, because controllers look at the jobs table from time to time anyway. So
nothing here ever fails: a storage that is away is logged. Only the storages of Huey are used, since its tasks travel as
pickles, which whoever can write to the storage could make into anything.
"""

import logging
import threading
import time
from pathlib import Path
from sqlite3 import Error as SqliteError

from huey.storage import BaseStorage, RedisStorage, SqliteStorage
from redis import ConnectionPool, RedisError

from control_plane.settings import SettingsError

_NAME = "conch"
_POLL_S = 0.5             # SQLite cannot wait for a row; each look wakes a processor
_BUSY_TIMEOUT_S = 2
_CONNECT_TIMEOUT_S = 1
_BLOCK_S = 1              # how long one question to Redis waits for an answer
_ANSWER_TIMEOUT_S = 3     # above _BLOCK_S
_ERRORS = (RedisError, SqliteError, OSError)
_LOG = logging.getLogger(__name__)


class WakeQueue:
    """Job ids on their way to a controller; opened on first use, so that it survives gunicorn's fork."""

    def __init__(self, url: str | None, file: Path) -> None:
        self._url, self._file = url, file
        self._pool = None if url is None else _redis_pool(url)
        self._storage: BaseStorage | None = None
        self._lock = threading.Lock()

    def wake(self, job_id: str) -> None:
        """Wake one controller."""
        try:
            self._open().enqueue(job_id.encode())
        except _ERRORS as error:
            _LOG.warning("no controller was woken for job %s, one will find it by itself: %s", job_id, error)

    def wait(self, timeout_s: float, stop: threading.Event) -> None:
        """Return when woken, asked to stop, or after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        try:
            while time.monotonic() < deadline and not stop.is_set() and self._open().dequeue() is None:
                stop.wait(0 if self._pool else _POLL_S)  # A question to Redis has waited already.
        except _ERRORS as error:
            _LOG.warning("the queue cannot be read, jobs are found a little later: %s", error)
            stop.wait(max(deadline - time.monotonic(), _POLL_S))

    def _open(self) -> BaseStorage:
        with self._lock:
            if self._storage is None:
                self._storage = self._new_storage()
            return self._storage

    def _new_storage(self) -> BaseStorage:
        if self._pool is not None:
            return RedisStorage(_NAME, read_timeout=_BLOCK_S, connection_pool=self._pool)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        return SqliteStorage(_NAME, filename=str(self._file), timeout=_BUSY_TIMEOUT_S)


def _redis_pool(url: str) -> ConnectionPool:
    """Redis clients wait for ever unless told otherwise; a request that submits a job must not."""
    try:
        return ConnectionPool.from_url(url, socket_connect_timeout=_CONNECT_TIMEOUT_S,
                                       socket_timeout=_ANSWER_TIMEOUT_S)
    except ValueError as error:
        raise SettingsError(f"CONCH_QUEUE_URL is not a Redis URL that works here ({error}); for example "
                            "redis://host:6379/0") from error
