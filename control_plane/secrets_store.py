"""Generated secrets in files that only their owner can read. Knows nothing of what they open."""

import os
import secrets
from pathlib import Path


def read_or_create_secret(path: Path, prefix: str = "") -> str:
    """Return the secret in `path`, made with 256 bits of entropy and mode 0600 when the file does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        secret = prefix + secrets.token_urlsafe(32)
        file.write(secret + "\n")
    return secret
