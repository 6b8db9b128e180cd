"""Generated secrets in files that only their owner can read. Knows nothing of what they open."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from export.contract import ConchError


class SecretError(ConchError):
    """A secret's file holds nothing that can be used as one."""


def read_or_create_secret(path: Path, prefix: str = "") -> str:
    """Return the secret in `path`, made with 256 bits of entropy and mode 0600 when the file does not exist.

    Processes that start together all return the same one. Raises SecretError for a file without a secret: an empty
    one must never come to mean that no key is needed.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, prefix + secrets.token_urlsafe(32))
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path} cannot be read as ASCII text: {error}") from error
    if not secret:
        raise SecretError(f"{path} is empty; delete it to have a new secret generated")
    return secret


def _create(path: Path, secret: str) -> None:
    """Write a complete file and only then give it its name, so that no process reads half of it; the first one wins."""
    descriptor, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes mode 0600.
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secret + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(staged, path)
    finally:
        Path(staged).unlink()
