"""The spool: files that hold what was asked until it is in the database. Knows nothing of what a line means.

A process appends to a segment of its own that it has locked (flock). The kernel unlocks it when the process closes it
or dies, however it dies, and a segment that nobody has locked is finished: any process may take it. A line has been
handed to the kernel when `append` returns, so that it survives a SIGKILL of this process, but not a power failure.
"""

import errno
import fcntl
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SEGMENT_BYTES = 1024 * 1024  # a segment becomes one transaction
CLOSE_AFTER_S = 1.0
_SUFFIX = ".jsonl"
_REFUSED_SUFFIX = ".refused"


class Spool:
    """The segments that this process writes. The first is made with the first line, so that it survives a fork."""

    def __init__(self, folder: Path, close_after_s: float = CLOSE_AFTER_S) -> None:
        self._folder = folder
        self._close_after_s = close_after_s
        self._descriptor: int | None = None
        self._timer: threading.Timer | None = None
        self._size = 0
        self._lock = threading.Lock()

    def append(self, line: bytes) -> None:
        """Hand a line, with its end, to the kernel; raises OSError when the disk does not take all of it."""
        with self._lock:
            if self._descriptor is None:
                self._open()
            written = 0
            try:
                written = os.write(self._descriptor, line)
                if written < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                self._size += written
                # After half a line nothing may follow it in that segment.
                if written < len(line) or self._size >= SEGMENT_BYTES:
                    self._close()

    def close(self) -> None:
        """Finish the segment, if there is one; the next line begins another."""
        with self._lock:
            self._close()

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor, self._size = _create_locked(self._folder), 0
        # Lines are not to wait in the segment of a process that is asked nothing any more.
        self._timer = threading.Timer(self._close_after_s, self.close)
        self._timer.daemon = True
        self._timer.start()

    def _close(self) -> None:
        if self._descriptor is not None:
            self._timer.cancel()
            os.close(self._descriptor)
            self._descriptor = None


class Segment:
    """A finished segment that this process has taken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.stem

    def lines(self) -> list[bytes]:
        """Return its lines without their ends; the last one may not be whole."""
        return self._path.read_bytes().splitlines()

    def remove(self) -> None:
        """Delete it: everything in it is in the database."""
        self._path.unlink()

    def set_aside(self) -> Path:
        """Rename it, so that nobody takes it again and a person can look; returns its new path."""
        return self._path.rename(self._path.with_suffix(_REFUSED_SUFFIX))


def segment_names(folder: Path) -> list[str]:
    """Return the names of all segments, oldest first; some may still be written to."""
    return sorted(path.stem for path in folder.glob(f"*{_SUFFIX}"))


@contextmanager
def taken(folder: Path, name: str) -> Iterator[Segment | None]:
    """Have the segment to ourselves; None when another process writes to it, has taken it, or is done with it."""
    path = folder / f"{name}{_SUFFIX}"
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield Segment(path) if _try_lock(descriptor) else None
    finally:
        os.close(descriptor)


def _create_locked(folder: Path) -> int:
    while True:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        if _try_lock(descriptor):
            return descriptor
        os.close(descriptor)  # Somebody took it for a finished one in the moment between the two.


def _try_lock(descriptor: int) -> bool:
    """Return whether the file is ours now and has a name still: whoever had it before may have deleted it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0
