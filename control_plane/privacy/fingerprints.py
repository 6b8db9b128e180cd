"""Keyed digests: equal questions are found by them, and people are kept as nothing else. Knows no table.

Without the key a digest of a phone number could be guessed, there are so few of them; with it nobody can but who has
the key. Digests made with another key are never equal to these.
"""

import hashlib
import hmac
import re
import unicodedata

from control_plane.privacy.masking import KINDS
from control_plane.privacy.normal_form import normalise
from control_plane.secrets_store import SecretError, read_or_create_secret
from control_plane.settings import Settings

DIGEST_CHARS = 32  # 128 bits: among a billion questions two share one by chance with a probability below 1e-20.
_MIN_KEY_CHARS = 16
_PLACEHOLDER = re.compile(f"(<(?:{'|'.join(KINDS)})>)")
_DROPPED_CATEGORIES = "PZCS"  # punctuation, separators, control characters, symbols (Unicode 4.5)


def read_privacy_key(settings: Settings) -> str:
    """Return the key of all digests: the one given, else the generated one. Raises SecretError for one too short."""
    key = settings.privacy_key or read_or_create_secret(settings.privacy_key_file)
    if len(key) < _MIN_KEY_CHARS:
        raise SecretError(f"the key of CONCH_PRIVACY_KEY or {settings.privacy_key_file} has {len(key)} characters and "
                          f"can be guessed; use at least {_MIN_KEY_CHARS}")
    return key


def fingerprint(masked_text: str, key: str) -> str:
    """Return 32 hex digits that are the same for texts that differ in width, case, punctuation and white space only.

    HMAC-SHA256 of the normal form, cut to 128 bits. Placeholders count as what they are; a text of nothing but
    punctuation counts as it stands.
    """
    return _digest("question", _normal_form(masked_text), key)


def subject_digest(subject: str, key: str) -> str:
    """Return 32 hex digits for a person's id in the calling application; kept instead of the id."""
    return _digest("subject", subject, key)


def _normal_form(masked_text: str) -> str:
    text = normalise(masked_text)
    parts = _PLACEHOLDER.split(text)
    return "".join(part if _PLACEHOLDER.fullmatch(part) else _fold(part) for part in parts) or text


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text.casefold())
    return "".join(char for char in folded if unicodedata.category(char)[0] not in _DROPPED_CATEGORIES)


def _digest(purpose: str, text: str, key: str) -> str:
    """A subject's digest never equals a question's, whatever either says."""
    message = f"{purpose}\0{text}".encode("utf-8", "surrogatepass")
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()[:DIGEST_CHARS]
