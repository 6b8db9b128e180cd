"""Keeps fetched checkpoints: one directory for each source, filled in a staging directory and renamed when complete.

It does not know how files are fetched.
"""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from export.catalog import SourceSpec
from export.sources.checkpoint import Checkpoint, weights_format

MARKER_FILE = ".conch-checkpoint.json"
_STAGING_DIR = ".staging"


@dataclass(frozen=True)
class Staging:
    """Where one source's files are put: `files` becomes the checkpoint, `work` is scratch space that is then removed.

    Both outlive a killed download, so that the next one goes on from there.
    """

    files: Path
    work: Path

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove what an earlier, unfinished download left of files that the source no longer has."""
        names = set(names)
        for file in self.files.rglob("*"):
            if file.is_file() and file.relative_to(self.files).as_posix() not in names:
                file.unlink()


def find_complete(spec: SourceSpec, cache_dir: Path) -> Checkpoint | None:
    """Return the checkpoint that was fetched from this source before, or None. Uses no network."""
    path = cache_dir / _directory_name(spec)
    try:
        marker = json.loads((path / MARKER_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Checkpoint(path, marker["source"], marker["revision"])


@contextmanager
def open_staging(spec: SourceSpec, cache_dir: Path) -> Iterator[Staging]:
    """Yield the staging directory of a source, for this process alone; another process waits its turn."""
    root = cache_dir / _STAGING_DIR / _directory_name(spec)
    staging = Staging(root / "files", root / "work")
    staging.files.mkdir(parents=True, exist_ok=True)
    staging.work.mkdir(exist_ok=True)
    with _lock(root.parent / f"{root.name}.lock", spec):
        # The process that held the lock before may have published, and with that removed, what was made above.
        staging.files.mkdir(parents=True, exist_ok=True)
        staging.work.mkdir(exist_ok=True)
        yield staging


def publish(staging: Staging, spec: SourceSpec, revision: str, cache_dir: Path) -> Checkpoint:
    """Turn the staged files into the checkpoint of this source; the marker is written last, then all is renamed.

    Raises UnsupportedModelError when the files hold no weights.
    """
    weights_format(staging.files)
    marker = {"source": spec.name, "revision": revision, "note": spec.note}
    (staging.files / MARKER_FILE).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")
    target = cache_dir / _directory_name(spec)
    if target.exists():
        shutil.rmtree(target)  # Without a marker, or find_complete would have answered: somebody's leftovers.
    staging.files.rename(target)
    shutil.rmtree(staging.work.parent)
    return Checkpoint(target, spec.name, revision)


def _directory_name(spec: SourceSpec) -> str:
    # The digest covers the whole source, so that a new revision or checksum in the catalog is a new directory.
    digest = hashlib.sha256(json.dumps(asdict(spec), sort_keys=True).encode()).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", spec.name).strip("-")[:80]
    return f"{readable}-{digest}"


@contextmanager
def _lock(file: Path, spec: SourceSpec) -> Iterator[None]:
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tqdm.write(f"{spec.name}: another process is fetching it; waiting", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
