"""Whose key it is: found, kept for a few seconds, and outliving a database that is away."""

from datetime import timedelta

import pytest

from control_plane.access.authenticator import MAX_AGE_S, MAX_STALE_S, ROOT, Authenticator
from control_plane.access.key_format import make_key
from control_plane.access.keys import KeyStore
from control_plane.access.scopes import SCOPES
from control_plane.database.schema import utc_now
from control_plane.errors import (
    AuthenticationError,
    DatabaseUnavailableError,
    InsufficientScopeError,
    KeyExpiredError,
    KeyRevokedError,
)
from tests.clock import Clock

ROOT_KEY = "conch_the-root-key"


class CountingStore(KeyStore):
    """The real store, which counts what it is asked and can be away."""

    def __init__(self, database) -> None:
        super().__init__(database)
        self.finds = self.uses = 0
        self.is_away = False

    def find(self, key_id):
        self.finds += 1
        self._be_there()
        return super().find(key_id)

    def note_use(self, key_id):
        self.uses += 1
        self._be_there()
        super().note_use(key_id)

    def _be_there(self) -> None:
        if self.is_away:
            raise DatabaseUnavailableError("gone")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(database):
    return CountingStore(database)


@pytest.fixture
def authenticator(store, clock):
    return Authenticator(store, ROOT_KEY, clock)


def test_the_root_key_needs_no_database_and_opens_everything(authenticator, store):
    store.is_away = True
    identity = authenticator.identify(ROOT_KEY)
    assert identity is ROOT
    assert store.finds == 0
    for scope in SCOPES:
        identity.check(scope, utc_now())


def test_a_key_is_known_by_its_name_and_scopes(authenticator, store):
    key, kept = store.create("ci", ("promote",), None, "admin")
    identity = authenticator.identify(key)
    assert (identity.name, identity.key_id) == ("ci", kept.id)
    identity.check("infer", utc_now())
    with pytest.raises(InsufficientScopeError, match="'ci' lacks the scope 'admin'"):
        identity.check("admin", utc_now())


def test_unknown_keys_get_one_message_whether_their_id_exists_or_not(authenticator, store):
    key, kept = store.create("ci", ("infer",), None, "admin")
    messages = set()
    for wrong in ("", "x", make_key()[0], key[:-1] + ("A" if key[-1] != "A" else "B"), ROOT_KEY + "x", kept.sha256):
        with pytest.raises(AuthenticationError) as raised:
            authenticator.identify(wrong)
        assert type(raised.value) is AuthenticationError
        messages.add(str(raised.value))
    assert len(messages) == 1


def test_a_key_is_read_once_in_a_few_seconds(authenticator, store, clock):
    key, _ = store.create("ci", ("infer",), None, "admin")
    for _ in range(100):
        authenticator.identify(key)
    assert (store.finds, store.uses) == (1, 1)
    clock.now_s += MAX_AGE_S
    authenticator.identify(key)
    assert (store.finds, store.uses) == (2, 1)


def test_a_revocation_holds_within_the_age_of_what_is_known(authenticator, store, clock):
    key, kept = store.create("ci", ("infer",), None, "admin")
    authenticator.identify(key).check("infer", utc_now())
    store.revoke(kept.id, "admin")
    clock.now_s += MAX_AGE_S
    with pytest.raises(KeyRevokedError, match=r"revoked at .* UTC"):
        authenticator.identify(key).check("infer", utc_now())


def test_a_key_that_is_known_still_expires(authenticator, store):
    key, kept = store.create("ci", ("infer",), timedelta(hours=1), "admin")
    identity = authenticator.identify(key)
    identity.check("infer", kept.expires_at - timedelta(microseconds=1))
    with pytest.raises(KeyExpiredError, match=r"expired at .* UTC"):
        identity.check("infer", kept.expires_at)


def test_the_use_of_a_key_that_is_over_is_not_noted(authenticator, store):
    key, kept = store.create("ci", ("infer",), None, "admin")
    store.revoke(kept.id, "admin")
    authenticator.identify(key)
    assert store.uses == 0


def test_a_use_that_cannot_be_noted_is_no_reason_to_refuse(authenticator, store, monkeypatch):
    key, _ = store.create("ci", ("infer",), None, "admin")
    find = store.find

    def find_and_go_away(key_id):
        found = find(key_id)
        store.is_away = True
        return found

    monkeypatch.setattr(store, "find", find_and_go_away)
    assert authenticator.identify(key).name == "ci"
    assert store.uses == 1


def test_known_keys_go_on_while_the_database_is_away_and_others_are_told_so(authenticator, store, clock):
    key, kept = store.create("ci", ("infer",), None, "admin")
    other, _ = store.create("other", ("infer",), None, "admin")
    authenticator.identify(key)
    store.is_away = True
    clock.now_s += MAX_AGE_S
    for _ in range(10):
        assert authenticator.identify(key).name == "ci"
    assert store.finds == 2, "a database that is away is not asked for every request"
    with pytest.raises(DatabaseUnavailableError, match=r"not used here lately.*admin\.key"):
        authenticator.identify(other)
    store.revoke(kept.id, "admin")
    store.is_away = False
    clock.now_s += MAX_AGE_S
    with pytest.raises(KeyRevokedError):
        authenticator.identify(key).check("infer", utc_now())
    assert authenticator.identify(other).name == "other"


def test_known_keys_do_not_outlive_the_database_for_ever(authenticator, store, clock):
    key, _ = store.create("ci", ("infer",), None, "admin")
    authenticator.identify(key)
    store.is_away = True
    clock.now_s += MAX_STALE_S
    assert authenticator.identify(key).name == "ci"
    clock.now_s += 1
    with pytest.raises(DatabaseUnavailableError):
        authenticator.identify(key)


def test_ids_that_somebody_makes_up_fill_no_memory(authenticator):
    for _ in range(50):
        with pytest.raises(AuthenticationError):
            authenticator.identify(make_key()[0])
    assert authenticator._known == {}
