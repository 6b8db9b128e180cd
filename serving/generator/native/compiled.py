"""Keeps the machine code of our functions on the disk for the next process: to compile them takes seconds.

numba's own cache looks at the file of the function that Python calls, and at no other. Ours is another folder whenever
any of our files is another.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numba

_HERE = Path(__file__).parent
_BASE = Path(numba.config.CACHE_DIR or _HERE / "__pycache__")   # NUMBA_CACHE_DIR, where it is set


def compiled(function: Callable) -> Callable:
    """Compile a function that Python calls when it is called first; it runs without Python's lock."""
    folder = _folder()
    if folder is None:
        return numba.njit(nogil=True)(function)
    numba.config.CACHE_DIR = str(folder)
    return numba.njit(nogil=True, cache=True)(function)


def _folder() -> Path | None:
    """Return where the machine code of these sources is kept, None where nothing may be written."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_HERE.glob("*.py"))))
    folder = _BASE / f"conch-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
