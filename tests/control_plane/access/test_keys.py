"""Keys are kept without their secrets, listed, found and revoked, on every database."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from control_plane.access.key_format import digest_key, make_key
from control_plane.access.keys import USE_STEP_S, KeyStore, check_key_name
from control_plane.access.tables import ApiKeyRow
from control_plane.database.schema import utc_now
from control_plane.errors import KeyNotFoundError


@pytest.fixture
def store(database):
    return KeyStore(database)


def test_a_key_is_kept_as_its_sha256_only(store, database):
    key, kept = store.create("ci", ("train", "infer", "infer"), timedelta(days=90), "admin")
    assert kept == store.find(kept.id)
    assert kept.sha256 == digest_key(key).hex()
    assert (kept.name, kept.scopes, kept.created_by) == ("ci", ("infer", "train"), "admin")
    assert kept.expires_at - kept.created_at == timedelta(days=90)
    with database.read() as session:
        row = session.execute(text("SELECT * FROM api_keys")).one()
    assert key.rpartition("_")[2] not in str(row)
    assert key not in str(row)


def test_a_key_without_a_lifetime_never_expires(store):
    _, kept = store.create("ci", ("infer",), None, "admin")
    assert kept.expires_at is None
    assert not kept.is_expired(utc_now() + timedelta(days=100_000))


def test_states(store):
    _, kept = store.create("ci", ("infer",), timedelta(hours=1), "admin")
    assert kept.state(kept.created_at) == kept.state(kept.expires_at - timedelta(microseconds=1)) == "active"
    assert kept.state(kept.expires_at) == "expired"
    assert store.revoke(kept.id, "admin").state(kept.expires_at) == "revoked"


def test_keys_are_listed_oldest_first_with_those_that_are_over(store):
    made = [store.create(name, ("infer",), None, "admin")[1] for name in ("b", "a", "c")]
    store.revoke(made[0].id, "admin")
    assert [key.id for key in store.all()] == [key.id for key in made]


def test_the_first_revocation_stays(store):
    _, kept = store.create("ci", ("infer",), None, "admin")
    first = store.revoke(kept.id, "one")
    assert store.revoke(kept.id, "two") == store.find(kept.id) == first
    assert first.revoked_by == "one"


def test_what_does_not_exist_is_named_but_a_key_is_not_repeated(store):
    with pytest.raises(KeyNotFoundError, match=r"'0123456789ab'.*conch keys list"):
        store.revoke("0123456789ab", "admin")
    key, _ = make_key()
    with pytest.raises(KeyNotFoundError) as raised:
        store.revoke(key, "admin")
    assert key not in str(raised.value)
    assert store.find("0123456789ab") is None


def test_use_is_noted_once_in_a_while(store, database):
    _, kept = store.create("ci", ("infer",), None, "admin")
    store.note_use(kept.id)
    first = store.find(kept.id).last_used_at
    assert first is not None
    store.note_use(kept.id)
    assert store.find(kept.id).last_used_at == first
    with database.write() as session:
        session.get(ApiKeyRow, kept.id).last_used_at = first - timedelta(seconds=USE_STEP_S + 1)
    store.note_use(kept.id)
    assert store.find(kept.id).last_used_at >= first


@pytest.mark.parametrize("name", ["ci", "Team 4", "grafana@host-1", "a" * 64, "0"])
def test_names_are_taken(name):
    assert check_key_name(name) == name


@pytest.mark.parametrize("name", ["", " ", "-x", "a" * 65, "a\n", "ü", "a;b", "<b>",
                                  pytest.param(make_key()[0], id="a key")])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match=r"is not a name|another name"):
        check_key_name(name)


@pytest.mark.parametrize("name", ["admin", "conch serve", "conch keys (root)"])
def test_nobody_can_go_by_the_names_of_the_platform(name):
    with pytest.raises(ValueError, match=r"another name|is not a name"):
        check_key_name(name)
