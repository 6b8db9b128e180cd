"""Only /health, /ready and the labelling page answer without the right key; refusals and changes are audited."""

import base64
import io
import logging
import re
from datetime import timedelta

import pytest

from control_plane.access.guard import add_audit_detail, hides_body
from control_plane.access.key_format import make_key
from control_plane.access.scopes import ANY, ANYONE, PUBLIC_PATHS, SCOPES, expand_scopes, needs_scope, stated_scope
from control_plane.database.database import Database
from control_plane.errors import DatabaseUnavailableError
from control_plane.observability.logs import JsonFormatter
from control_plane.services import services
from tests.control_plane.problem_assertions import assert_problem

KINDS = ["bearer", "x-api-key", "basic"]
READ = "/v1/models"  # needs infer
CHANGE = "/api/v1/models/unload"  # needs admin; without a Triton it answers 503
LIST_KEYS = "/api/v1/keys"  # needs admin


def _rules(app):
    """Every route of ours that needs a key, with a path that it matches, and one of its methods."""
    for rule in app.url_map.iter_rules():
        is_open = rule.rule in PUBLIC_PATHS or stated_scope(app.view_functions[rule.endpoint]) == ANYONE
        if not is_open and not rule.rule.startswith("/docs"):
            path = re.sub(r"<int:\w+>", "1", rule.rule)
            path = re.sub(r"<string\(length=(\d+)\):\w+>", lambda length: "0" * int(length[1]), path)
            yield rule, re.sub("[<>]", "", path), next(iter(rule.methods - {"HEAD", "OPTIONS"}))


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


def _headers(kind: str, key: str) -> dict[str, str]:
    return {"bearer": {"Authorization": f"Bearer {key}"}, "x-api-key": {"X-API-Key": key},
            "basic": {"Authorization": _basic(key)}}[kind]


def test_every_route_states_one_scope(app):
    stated = {rule.endpoint: stated_scope(app.view_functions[rule.endpoint]) for rule, _, _ in _rules(app)}
    assert len(stated) > 15
    assert {endpoint: scope for endpoint, scope in stated.items() if scope not in SCOPES} == {
        "keys.describe_own_key": ANY}


def test_a_route_that_states_none_is_for_administrators_only(app, keys, admin):
    app.add_url_rule("/forgotten", "forgotten", lambda: "here")
    assert_problem(keys.client("infer", "label", "train", "promote").get("/forgotten"), 403, "insufficient-scope")
    assert admin.get("/forgotten").text == "here"


def test_every_route_refuses_requests_without_key(app, anonymous):
    for _, path, method in _rules(app):
        response = anonymous.open(path, method=method)
        assert_problem(response, 401, "authentication", "Authorization: Bearer <key>")
        assert response.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_route_refuses_a_wrong_key(app, anonymous, root, kind):
    for _, path, method in _rules(app):
        for wrong in (root + "x", make_key()[0]):
            assert_problem(anonymous.open(path, method=method, headers=_headers(kind, wrong)), 401, "authentication")


@pytest.mark.parametrize("scope", SCOPES)
def test_every_route_opens_for_its_scope_and_names_it_to_others(app, keys, scope):
    client, opened = keys.client(scope), expand_scopes([scope])
    for rule, path, method in _rules(app):
        needed = stated_scope(app.view_functions[rule.endpoint])
        response = client.open(path, method=method)
        if needed in opened:
            assert response.status_code not in (401, 403), path
        else:
            assert_problem(response, 403, "insufficient-scope", f"'{needed}'", "someone")


@pytest.mark.parametrize("path", [
    "/docs/", "/docs/openapi.json", "/docs/swagger", "/", "/unknown", "/ready/", "//ready", "/static/x"])
def test_other_paths_refuse_requests_without_key(anonymous, path):
    assert_problem(anonymous.get(path), 401, "authentication")


@pytest.mark.parametrize("scope", SCOPES)
def test_every_key_reads_the_documentation_and_learns_what_does_not_exist(keys, scope):
    client = keys.client(scope)
    assert client.get("/docs/openapi.json").status_code == 200
    assert client.get("/unknown").status_code == 404
    assert client.delete(READ).status_code == 405


def test_only_the_labelling_page_is_for_anyone(app):
    assert {rule.rule for rule in app.url_map.iter_rules()
            if stated_scope(app.view_functions[rule.endpoint]) == ANYONE} == {"/label", "/label/<string:name>"}


def test_health_and_ready_answer_without_key(anonymous):
    assert {"/health", "/ready"} == PUBLIC_PATHS
    assert {anonymous.get(path).status_code for path in PUBLIC_PATHS} <= {200, 503}
    assert anonymous.get("/health").status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_keys_are_accepted(anonymous, keys, root, kind):
    for key in (root, keys.make("infer")[0]):
        assert anonymous.get(READ, headers=_headers(kind, key)).status_code == 200


def test_scheme_is_compared_without_case(anonymous, root):
    assert anonymous.get(READ, headers={"Authorization": f"bEARER {root}"}).status_code == 200


@pytest.mark.parametrize("headers", [
    {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": "Basic"},
    {"Authorization": "Basic !!!"}, {"Authorization": _basic("")}, {"Authorization": ""}, {"X-API-Key": ""},
    {"Authorization": "Bearer schlüssel"}, {"X-API-Key": "schlüssel"}, {"Authorization": _basic("钥匙")},
    {"Authorization": "Digest a=b"}, {"Authorization": "Bearer " + "x" * 8000},
], ids=lambda headers: ascii(headers)[:40])
def test_strange_credentials_are_refused_and_do_not_crash(anonymous, headers):
    assert_problem(anonymous.get(READ, headers={name: value.encode().decode("latin-1")
                                                for name, value in headers.items()}), 401, "authentication")


def test_a_key_in_the_url_is_no_key(anonymous, root):
    assert_problem(anonymous.get(f"{READ}?api_key={root}"), 401, "authentication")


def test_who_has_an_expired_or_revoked_key_learns_it(keys):
    expired, _ = keys.make("infer", lifetime=timedelta(0))
    revoked, kept = keys.make("infer")
    keys.revoke(kept)
    assert_problem(keys.client_with(expired).get(READ), 401, "key-expired", "conch keys create")
    assert_problem(keys.client_with(revoked).get(READ), 401, "key-revoked", "conch keys create")
    assert [(row.actor, row.key_id is not None, row.status, row.detail["reason"]) for row in keys.audited()] == [
        ("someone", True, 401, "KeyExpiredError"), ("someone", True, 401, "KeyRevokedError")]


def test_refusals_are_audited_once_each(keys, anonymous):
    unknown, unknown_id = make_key()
    client = keys.client("infer", name="reader")
    for _ in range(20):
        anonymous.get(READ)
        keys.client_with(unknown).get(LIST_KEYS)
        client.get(LIST_KEYS)
    without, under_scoped = keys.audited()  # No key and an unknown one are one sort: they come from one address.
    assert (without.actor, without.action, without.subject, without.status) == ("", "denied", f"GET {READ}", 401)
    assert without.detail == {"claimed_key_id": None, "reason": "AuthenticationError"}
    assert (under_scoped.actor, under_scoped.status) == ("reader", 403)
    assert under_scoped.detail == {"reason": "InsufficientScopeError: admin"}
    assert under_scoped.remote_address == "127.0.0.1"
    assert unknown_id not in str(without.detail)


def test_changes_are_audited_with_their_outcome(keys, admin):
    client = keys.client("admin", name="operator")
    client.post(CHANGE, json={"model_type": "fast", "reason": "tidy"}, headers={"X-Request-Id": "request-7"})
    admin.post(CHANGE, json={"model_type": "../x"})
    admin.post(CHANGE, data="{", content_type="application/json")
    rows = keys.audited()
    assert [(row.actor, row.action, row.subject, row.status) for row in rows] == [
        ("operator", "models.unload_model", f"POST {CHANGE}", 503),
        ("admin", "models.unload_model", f"POST {CHANGE}", 422),
        ("admin", "models.unload_model", f"POST {CHANGE}", 400)]
    assert rows[0].detail == {"body": {"model_type": "fast", "reason": "tidy"}}
    assert rows[0].request_id == "request-7"
    assert rows[0].key_id is not None
    assert rows[1].key_id is None
    assert rows[2].detail is None


@pytest.mark.parametrize("send", [
    lambda client: client.get("/api/v1/models/list"), lambda client: client.post("/v1/embeddings", json={}),
    lambda client: client.post("/unknown", json={}), lambda client: client.delete("/health")])
def test_what_changes_nothing_is_not_audited(keys, admin, send):
    send(admin)
    assert keys.audited() == []


def test_long_bodies_are_audited_without_them(keys, admin):
    admin.post(CHANGE, json={"model_type": "fast", "reason": "x" * 3000})
    assert admin.post(CHANGE, json={"model_type": "fast", "reason": "x" * 5000}).status_code == 413
    assert [(row.status, row.detail) for row in keys.audited()] == [(422, None), (413, None)]


def test_without_a_database_the_admin_key_and_known_keys_go_on(keys, admin, caplog, monkeypatch):
    known, unknown = keys.client("infer", "admin"), keys.client("infer")
    assert known.get(READ).status_code == 200

    def be_away(*_):
        raise DatabaseUnavailableError("gone")

    monkeypatch.setattr(Database, "read", be_away)
    monkeypatch.setattr(Database, "write", be_away)
    for client in (admin, known):
        assert client.get("/docs/openapi.json").status_code == 200
        assert_problem(client.post(CHANGE, json={"model_type": "fast"}), 503, "database-unavailable")
    assert "a change is not in the audit log: gone" in caplog.text
    assert_problem(unknown.get(READ), 503, "database-unavailable", "admin.key")
    assert_problem(keys.client_with("wrong").get(READ), 401, "authentication")
    assert "a refusal is not in the audit log: gone" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_keys_are_neither_logged_nor_answered_nor_audited(app, anonymous, keys, root, kind, caplog, monkeypatch):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    monkeypatch.setattr(logging.root, "handlers", [handler])
    caplog.set_level(logging.DEBUG)
    secrets = [root, keys.make("infer", "admin")[0], make_key()[0], "another-secret"]
    answers = []
    for key in secrets:
        for path in ("/api/v1/models/list", "/api/v1/models/info?type=nope", "/unknown", "/docs/openapi.json",
                     f"/{secrets[1]}"):
            answers.append(anonymous.get(path, headers=_headers(kind, key)))
        answers.append(anonymous.delete(f"/api/v1/keys/{secrets[1]}", headers=_headers(kind, key)))
        answers.append(anonymous.post("/api/v1/keys", json={"name": secrets[1], "scopes": ["infer"]},
                                      headers=_headers(kind, key)))
    monkeypatch.setattr(services(app).models, "versions", lambda name: 1 / 0)  # Its trace goes to the log.
    answers += [anonymous.get(f"/api/v1/models/{secrets[1]}/versions", headers=_headers(kind, key)) for key in secrets]
    shown = written.getvalue() + str([vars(row) for row in keys.audited()])
    assert "ZeroDivisionError" in shown
    assert '"path": "/conch_' in shown  # The line of a request whose path is a key.
    for answer in answers:
        assert _basic(secrets[0]) not in answer.text + str(answer.headers)
        assert all(key not in str(answer.headers) for key in secrets)
        # What a caller wrote into a field may come back to that caller; nothing else does.
        assert secrets[0] not in answer.text
    for key in secrets:
        assert key not in shown
        assert key.removeprefix("conch_") not in shown
        assert _basic(key) not in shown


def test_a_body_that_names_a_person_is_not_audited_whatever_comes_of_it(app, keys, admin):
    @app.post("/forget")
    @hides_body
    @needs_scope("admin")
    def forget():
        add_audit_detail(erased="3")
        return "done"

    admin.post("/forget", json={"subject": "user-7"})
    keys.client("infer").post("/forget", json={"subject": "user-7"})
    assert [(row.status, row.detail) for row in keys.audited()] == [
        (200, {"erased": "3"}), (403, {"reason": "InsufficientScopeError: admin"})]
