"""Publishes a version atomically: staged beside its target, made durable, renamed into place.

A crash at any moment leaves either no version or a whole one, plus a staging folder that the next export of the same
model removes. Knows nothing of what is in a version.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from export.contract import CONFIG_FILE, version_numbers

_STAGING_PREFIX = ".staging-"
_HIGHEST_FILE = ".highest"  # the highest number ever given, so that a deleted version's number never comes back


@contextlib.contextmanager
def stage_version(repository: Path, name: str) -> Iterator[tuple[Path, int]]:
    """Yield (staging directory, version number); the caller fills the directory and calls publish_version.

    One export of a model at a time: a second one waits here. Without publish_version nothing of it stays.
    """
    model_dir = repository / name
    repository.mkdir(parents=True, exist_ok=True)
    with (repository / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_new = not model_dir.exists()
        model_dir.mkdir(exist_ok=True)
        for stale in model_dir.glob(f"{_STAGING_PREFIX}*"):
            shutil.rmtree(stale)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=model_dir))
        try:
            yield staging, _next_version(model_dir)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if is_new and not version_numbers(model_dir):
                shutil.rmtree(model_dir)


def publish_version(staging: Path, version: int, config: str) -> Path:
    """Move a filled staging directory to its version number and return it; writes config.pbtxt where none is."""
    model_dir = staging.parent
    config_file = model_dir / CONFIG_FILE
    if not config_file.exists():
        _replace_durably(config_file, config)
    _replace_durably(model_dir / _HIGHEST_FILE, f"{version}\n")
    staging.chmod(0o755)  # mkdtemp makes it private, but a Triton in a container reads it as another user.
    for path in staging.iterdir():
        _sync(path)
    _sync(staging)
    target = model_dir / str(version)
    staging.rename(target)
    _sync(model_dir)
    return target


def _next_version(model_dir: Path) -> int:
    highest_file = model_dir / _HIGHEST_FILE
    highest = int(highest_file.read_text()) if highest_file.exists() else 0
    return max([highest, *version_numbers(model_dir)]) + 1


def _replace_durably(path: Path, text: str) -> None:
    """Replace `path` in one step."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    _sync(partial)
    partial.replace(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
