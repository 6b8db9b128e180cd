"""Keys over REST: shown once, listed without their secrets, revoked for good."""

from datetime import datetime, timedelta

import pytest

from control_plane.access import authenticator
from control_plane.access.key_format import find_key_id
from tests.control_plane.access.clients import Keys
from tests.control_plane.problem_assertions import assert_problem

KEYS = "/api/v1/keys"


@pytest.fixture
def keys(app, key):
    return Keys(app, key)


def _make(client, **body) -> dict:
    response = client.post(KEYS, json={"name": "ci", "scopes": ["infer"], **body})
    assert response.status_code == 201, response.text
    return response.json


def test_a_new_key_opens_what_it_was_made_for(client, keys):
    made = _make(client, scopes=["promote", "infer"], expires="90d")
    assert made["id"] == find_key_id(made["key"])
    assert (made["name"], made["scopes"], made["state"], made["created_by"]) == (
        "ci", ["infer", "promote"], "active", "admin")
    lifetime = datetime.fromisoformat(made["expires_at"]) - datetime.fromisoformat(made["created_at"])
    assert lifetime == timedelta(days=90)
    user = keys.client_with(made["key"])
    assert user.get("/v1/models").status_code == 200
    assert_problem(user.get(KEYS), 403, "insufficient-scope", "admin")


def test_a_key_is_shown_once(client):
    made = _make(client)
    listed = client.get(KEYS)
    assert made["key"] not in listed.text
    assert listed.json["keys"] == [{name: value for name, value in made.items() if name != "key"}]


def test_its_maker_is_kept(keys):
    assert _make(keys.client("admin", name="operator"))["created_by"] == "operator"


def test_the_audit_log_has_its_id_and_not_the_key(client, keys):
    made = _make(client)
    [row] = keys.audited()
    assert row.detail == {"key_id": made["id"], "body": {"name": "ci", "scopes": ["infer"]}}
    assert (row.action, row.status) == ("keys.create_key", 201)


def test_a_revoked_key_is_refused_and_stays_listed(client, keys, monkeypatch):
    made = _make(client)
    user = keys.client_with(made["key"])
    assert user.get("/v1/models").status_code == 200
    monkeypatch.setattr(authenticator, "MAX_AGE_S", 0.0)  # As after the few seconds for which it is still known.
    revoked = client.delete(f"{KEYS}/{made['id']}")
    assert (revoked.status_code, revoked.json["state"], revoked.json["revoked_by"]) == (200, "revoked", "admin")
    assert_problem(user.get("/v1/models"), 401, "key-revoked")
    assert client.delete(f"{KEYS}/{made['id']}").json["revoked_at"] == revoked.json["revoked_at"]
    assert [key["state"] for key in client.get(KEYS).json["keys"]] == ["revoked"]


def test_unknown_keys_cannot_be_revoked(client):
    assert_problem(client.delete(f"{KEYS}/0123456789ab"), 404, "key-not-found", "conch keys list")


@pytest.mark.parametrize("key_id", ["x", "0123456789AB", "0123456789ab0", "conch_0123456789ab_" + "x" * 43])
def test_what_is_no_id_is_refused(client, key_id):
    assert_problem(client.delete(f"{KEYS}/{key_id}"), 422, "invalid-request", field="key_id")


@pytest.mark.parametrize(("body", "field"), [
    ({"name": ""}, "name"), ({"name": "admin"}, "name"), ({"name": "conch serve"}, "name"), ({"name": None}, "name"),
    ({"name": "a\nb"}, "name"), ({"scopes": []}, "scopes"), ({"scopes": ["any"]}, "scopes.0"),
    ({"scopes": "infer"}, "scopes"), ({"scopes": ["infer"] * 6}, "scopes"), ({"expires": "soon"}, "expires"),
    ({"expires": "4000d"}, "expires"), ({"expires": ""}, "expires"), ({"expires": 90}, "expires"),
    ({"lifetime": "1d"}, "lifetime")])
def test_bad_requests_make_no_key(client, body, field):
    response = client.post(KEYS, json={"name": "ci", "scopes": ["infer"], **body})
    assert_problem(response, 422, "invalid-request", field=field)
    assert client.get(KEYS).json["keys"] == []


def test_a_key_learns_what_it_opens(client, keys):
    made = _make(client, scopes=["train", "promote"], expires="1d")
    assert keys.client_with(made["key"]).get(f"{KEYS}/self/scopes").json == {
        "name": "ci", "scopes": ["infer", "label", "train", "promote"], "expires_at": made["expires_at"]}
    assert client.get(f"{KEYS}/self/scopes").json == {
        "name": "admin", "scopes": ["infer", "label", "train", "promote", "admin"], "expires_at": None}
