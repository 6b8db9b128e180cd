"""Versions over REST: switch, return, configure, history, and ETags that keep two administrators apart."""

import pytest

from tests.control_plane.fakes import publish
from tests.control_plane.problem_assertions import assert_problem

BASE = "/api/v1/models/tiny"
VERSIONS = f"{BASE}/versions"


@pytest.fixture
def versions(settings, loaded):
    """Version 1 is live, version 2 exported."""
    publish(settings.model_repository, "tiny", version=2)


def _activate(client, version: object, etag: str | None = None, **body: object):
    return client.post(f"{VERSIONS}/{version}/activate", json=body, headers={"If-Match": etag} if etag else None)


def test_versions_are_listed_with_the_revision_as_etag(client, versions):
    response = client.get(VERSIONS)
    assert response.status_code == 200
    assert response.headers["ETag"] == '"1"'
    assert (response.json["name"], response.json["active_version"], response.json["revision"]) == ("tiny", 1, 1)
    assert [version["version"] for version in response.json["versions"]] == [1, 2]


def test_a_model_that_nobody_touched_has_an_etag_too(client):
    response = client.get(VERSIONS)
    assert (response.headers["ETag"], response.json["active_version"]) == ('"0"', None)
    assert _activate(client, 1, '"0"').status_code == 200


def test_a_switch_and_a_return_answer_with_the_new_state(client, versions):
    switched = _activate(client, 2, reason="better")
    assert (switched.status_code, switched.json["active_version"], switched.json["previous_version"]) == (200, 2, 1)
    assert switched.headers["ETag"] == '"2"'
    embedded = client.post("/api/v1/models/embedding", json={"text": "a", "model_type": "tiny"})
    assert embedded.json["model_version"] == "2"
    returned = client.post(f"{BASE}/rollback", json={})
    assert (returned.status_code, returned.json["active_version"], returned.json["previous_version"]) == (200, 1, 2)


def test_history_tells_of_every_change_newest_first(client, versions):
    _activate(client, 2, reason="better")
    client.put(f"{BASE}/configuration", json={"configuration": {"max_queue_size": 7}, "reason": "因为"})
    lines = client.get(f"{BASE}/history").json["history"]
    assert [(line["action"], line["reason"], line["actor"]) for line in lines] == [
        ("configure", "因为", "admin"), ("activate", "better", "admin"), ("load", "", "test")]
    assert lines[0]["detail"] == {"max_queue_size": 7}
    assert client.get(f"{BASE}/history?limit=1").json["history"] == lines[:1]


def test_of_two_who_saw_the_same_state_one_gets_412(client, versions):
    etag = client.get(VERSIONS).headers["ETag"]
    assert _activate(client, 2, etag).status_code == 200
    for response in (
            _activate(client, 1, etag),
            client.post(f"{BASE}/rollback", json={}, headers={"If-Match": etag}),
            client.put(f"{BASE}/configuration", json={"configuration": {}}, headers={"If-Match": etag})):
        assert_problem(response, 412, "stale-revision", "is of revision 2 now; look at it again")
    assert client.get(VERSIONS).json["active_version"] == 2


@pytest.mark.parametrize("etag", ["*", 'W/"1"', '"1"'])
def test_any_revision_and_weak_tags_are_understood(client, versions, etag):
    assert _activate(client, 2, etag).status_code == 200


@pytest.mark.parametrize("etag", ['"abc"', '"1", "2"', '"-1"', '"²"', '"1.0"', '""', '"' + "9" * 5000 + '"'])
def test_an_etag_that_is_none_of_ours_is_named(client, versions, etag):
    response = client.post(f"{VERSIONS}/2/activate", json={},
                           headers={"If-Match": etag.encode().decode("latin-1")})
    assert_problem(response, 422, "invalid-request", "is no ETag of this API", field="If-Match")
    assert client.get(VERSIONS).json["active_version"] == 1


def test_a_version_that_does_not_exist_is_404_with_those_that_do(client, versions):
    assert_problem(_activate(client, 9), 404, "version-not-found", "it has 1, 2")
    assert_problem(_activate(client, 10 ** 30), 404, "version-not-found")


@pytest.mark.parametrize("version", ["0", "-1", "1.5", "x", "..", "%2e%2e", "1/2"])
def test_what_is_no_version_is_refused(client, versions, version):
    response = _activate(client, version)
    assert response.status_code in (404, 405, 422)
    assert response.content_type == "application/problem+json"


def test_a_version_that_triton_refuses_leaves_the_active_one(client, gateway, versions):
    gateway.refused["tiny", 2] = "sha256 differs"
    assert_problem(_activate(client, 2), 409, "model-load", "sha256 differs")
    assert client.get(VERSIONS).json["active_version"] == 1
    assert client.post("/api/v1/models/embedding", json={"text": "a", "model_type": "tiny"}).status_code == 200


def test_another_dimension_is_409_unless_forced(client, settings, versions):
    publish(settings.model_repository, "tiny", version=3, dimension=16)
    assert_problem(_activate(client, 3), 409, "version-refused", "force it")
    assert _activate(client, 3, force=True).status_code == 200


def test_nothing_to_return_to_is_409(client, versions):
    assert_problem(client.post(f"{BASE}/rollback", json={}), 409, "version-refused", "no version was active before")


@pytest.mark.parametrize(("configuration", "field"), [
    ({"instances": 0}, "configuration.instances"), ({"instances": "2"}, "configuration.instances"),
    ({"max_batch_size": 10 ** 9}, "configuration.max_batch_size"), ({"colour": 1}, "configuration.colour"),
    ([], "configuration"), (None, "configuration")])
def test_a_wrong_configuration_names_the_field_and_changes_nothing(client, services, versions, configuration, field):
    response = client.put(f"{BASE}/configuration", json={"configuration": configuration})
    assert_problem(response, 422, "invalid-request", field=field)
    assert services.store.find("tiny").revision == 1


def test_a_configuration_is_whole_and_its_absence_is_no_configuration(client, services, versions):
    assert client.put(f"{BASE}/configuration", json={"configuration": {"instances": 4}}).status_code == 200
    assert client.put(f"{BASE}/configuration", json={"configuration": {"max_queue_size": 7}}).status_code == 200
    assert services.store.find("tiny").configuration == {"max_queue_size": 7}
    assert_problem(client.put(f"{BASE}/configuration", json={}), 422, "invalid-request", field="configuration")


def test_larger_requests_than_the_configured_limit_are_cut_up(client, gateway, versions):
    client.put(f"{BASE}/configuration", json={"configuration": {"max_batch_size": 2}})
    client.post("/api/v1/models/embedding", json={"texts": ["a", "b", "c"], "model_type": "tiny"})
    assert gateway.request_sizes[-1] == 2


@pytest.mark.parametrize(("path", "method"), [
    ("versions", "GET"), ("history", "GET"), ("versions/1/activate", "POST"), ("rollback", "POST")])
def test_an_unknown_model_is_404_and_a_name_that_none_can_have_422(client, path, method):
    body = {"json": {}} if method == "POST" else {}
    assert_problem(client.open(f"/api/v1/models/nope/{path}", method=method, **body), 404, "model-not-found", "'nope'")
    assert_problem(client.open(f"/api/v1/models/a..b/{path}", method=method, **body), 422, "invalid-request",
                   field="name")


@pytest.mark.parametrize("limit", ["0", "1001", "x", ""])
def test_a_limit_that_is_none_is_named(client, limit):
    assert_problem(client.get(f"{BASE}/history?limit={limit}"), 422, "invalid-request", field="limit")


def test_who_is_refused_while_another_works_is_told_so(client, services, versions, monkeypatch):
    monkeypatch.setattr(services.lifecycle, "_wait_s", 0.0)
    with services.leases.hold("model:tiny"):
        assert_problem(_activate(client, 2), 409, "busy", "another operation on tiny is under way")
