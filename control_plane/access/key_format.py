"""What an API key looks like: `conch_<id>_<secret>`. Knows nothing of where keys are kept.

The id is public and finds the key; the secret has 256 bits, so that one round of SHA-256 is enough to keep it by: there
is nothing to guess that a slow hash would have to protect.
"""

import hashlib
import re
import secrets

KEY_PREFIX = "conch_"
KEY_ID_CHARS = 12
_SECRET_BYTES = 32  # 43 characters of URL-safe base64
_KEY = re.compile(r"conch_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
# Also the generated key in admin.key, which has no id.
_ANY_KEY = re.compile(r"conch_(?:([0-9a-f]{12})_)?[A-Za-z0-9_-]{43}")


def make_key() -> tuple[str, str]:
    """Return a new key and its id."""
    key_id = secrets.token_hex(KEY_ID_CHARS // 2)
    return f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}", key_id


def find_key_id(key: str) -> str | None:
    """Return the id in `key`, None where it does not look like a key that has one."""
    match = _KEY.fullmatch(key)
    return match.group(1) if match else None


def digest_key(key: str) -> bytes:
    """Return the SHA-256 of a key: equal lengths keep a comparison from telling how long the right key is."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def hide_keys(text: str) -> str:
    """Return `text` with the secret of every key in it replaced, for what is kept or logged."""
    return _ANY_KEY.sub(lambda match: f"{KEY_PREFIX}{match.group(1) or ''}***", text)
