"""Says whose key a request brings. Keeps what it read of a key for a few seconds; knows nothing of HTTP.

A worker asks the database about a key once in MAX_AGE_S, so that a request costs no query and a revocation holds
everywhere within that time. While the database is away, what was read within the last MAX_STALE_S goes on, and the key
in admin.key always does.
"""

import hmac
import logging
import time
from dataclasses import dataclass
from datetime import datetime

from control_plane.access.key_format import digest_key, find_key_id
from control_plane.access.keys import USE_STEP_S, ApiKey, KeyStore
from control_plane.access.scopes import ADMIN, expand_scopes
from control_plane.database.schema import utc_now
from control_plane.errors import (
    AuthenticationError,
    DatabaseError,
    DatabaseUnavailableError,
    InsufficientScopeError,
    KeyExpiredError,
    KeyRevokedError,
)

MAX_AGE_S = 5.0
MAX_STALE_S = 3600.0
_RETRY_S = 5.0
_NO_DIGEST = bytes(32)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """Who has the key of a request, and what it opens."""

    name: str
    key_id: str | None      # None: the key in admin.key
    scopes: frozenset[str]  # with what they include
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def check(self, scope: str, now: datetime) -> None:
        """Raise KeyRevokedError, KeyExpiredError or InsufficientScopeError where the key does not open `scope` now."""
        if self.revoked_at is not None:
            raise KeyRevokedError(self.revoked_at)
        if self.expires_at is not None and now >= self.expires_at:
            raise KeyExpiredError(self.expires_at)
        if scope not in self.scopes:
            raise InsufficientScopeError(self.name, scope)


ROOT = Identity("admin", None, expand_scopes((ADMIN,)))


@dataclass
class _Known:
    """What was read of one key, when (on the monotonic clock)."""

    identity: Identity
    digest: bytes
    read_at: float
    is_use_noted: bool


class Authenticator:
    """The identities behind the keys, as one worker knows them."""

    def __init__(self, keys: KeyStore, root_key: str, clock=time.monotonic) -> None:
        self._keys, self._clock = keys, clock
        self._root_digest = digest_key(root_key)
        self._known: dict[str, _Known] = {}
        self._is_away = False    # the database, when it was last asked
        self._retry_at = 0.0

    def identify(self, key: str) -> Identity:
        """Return whose key this is, also when it has expired or was revoked.

        Raises AuthenticationError for a key that was never made, the same whether its id exists or not, and
        DatabaseUnavailableError for one that cannot be looked up now.
        """
        digest, key_id = digest_key(key), find_key_id(key)
        if hmac.compare_digest(digest, self._root_digest):
            return ROOT
        known = None if key_id is None else self._look_up(key_id)
        if not hmac.compare_digest(digest, _NO_DIGEST if known is None else known.digest) or known is None:
            raise AuthenticationError
        if not known.is_use_noted:
            known.is_use_noted = True
            self._note_use(known.identity)
        return known.identity

    def _look_up(self, key_id: str) -> _Known | None:
        known, now = self._known.get(key_id), self._clock()
        if known is not None and now - known.read_at < MAX_AGE_S:
            return known
        # While the database is away one request asks it, and the others go on with what is known.
        if self._is_away and now < self._retry_at:
            return _outlive(known, now)
        self._retry_at = now + _RETRY_S
        try:
            api_key = self._keys.find(key_id)
        except DatabaseError as error:
            _LOG.warning("keys stay as they are known: %s", error)
            self._is_away, self._retry_at = True, self._clock() + _RETRY_S
            return _outlive(known, now)
        self._is_away = False
        return self._remember(key_id, api_key, now)

    def _remember(self, key_id: str, api_key: ApiKey | None, now: float) -> _Known | None:
        """Only keys that exist are kept: ids that somebody makes up must not fill the memory."""
        if api_key is None:
            self._known.pop(key_id, None)
            return None
        moment = utc_now()
        used_at = api_key.last_used_at
        is_noted = api_key.state(moment) != "active" or (
            used_at is not None and (moment - used_at).total_seconds() < USE_STEP_S)
        known = self._known[key_id] = _Known(_identity(api_key), bytes.fromhex(api_key.sha256), now, is_noted)
        return known

    def _note_use(self, identity: Identity) -> None:
        try:
            self._keys.note_use(identity.key_id)
        except DatabaseError as error:
            _LOG.warning("the use of key %s is not noted: %s", identity.key_id, error)


def _identity(api_key: ApiKey) -> Identity:
    return Identity(api_key.name, api_key.id, expand_scopes(api_key.scopes), api_key.expires_at, api_key.revoked_at)


def _outlive(known: _Known | None, now: float) -> _Known:
    if known is None or now - known.read_at > MAX_STALE_S:
        raise DatabaseUnavailableError("the database does not answer, and this API key was not used here lately, so it "
                                       "cannot be checked; try again, or use the key in admin.key")
    return known
