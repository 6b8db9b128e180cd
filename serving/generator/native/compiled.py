"""How our functions are compiled, and where the machine code is kept for the next process: it takes seconds.

numba's own cache looks at the file of the function that Python calls, and at no other. Ours is another folder whenever
any of our files is another.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numba

# Our functions allocate nothing, so nobody need count who uses an array: threads would wait for each other's counts. No
# checks of zeros either, which would keep divisions out of vectors.
OPTIONS = {"nogil": True, "_nrt": False, "error_model": "numpy"}
_HERE = Path(__file__).parent
_BASE = Path(numba.config.CACHE_DIR or _HERE / "__pycache__")   # NUMBA_CACHE_DIR, where it is set


def compiled(function: Callable) -> Callable:
    """Compile a function that Python calls when it is called first; it runs without Python's lock."""
    folder = _folder()
    if folder is None:
        return numba.njit(**OPTIONS)(function)
    numba.config.CACHE_DIR = str(folder)
    return numba.njit(cache=True, **OPTIONS)(function)


def call_first(function: Callable, *arguments) -> None:
    """Call a compiled function for the first time; where what is kept of it is damaged, it is compiled again."""
    folder = _folder()
    with _alone_in(folder):
        try:
            function(*arguments)
        except Exception:  # Of pickle, LLVM or the disk. Whatever remains is raised by the second call.
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            function(*arguments)


@contextmanager
def _alone_in(folder: Path | None) -> Iterator[None]:
    """Wait for a process that compiles the same: what it compiled is in the folder then."""
    if folder is None:
        yield
        return
    with (folder / "lock").open("w") as lock:
        with suppress(OSError):  # Of a file system that knows no locks: then both compile.
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _folder() -> Path | None:
    """Return where the machine code of these sources is kept, None where nothing may be written."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_HERE.glob("*.py"))))
    folder = _BASE / f"conch-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
