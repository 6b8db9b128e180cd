"""The audit log over REST: newest first, page by page."""

import pytest

from tests.control_plane.access.clients import Keys
from tests.control_plane.problem_assertions import assert_problem

AUDIT = "/api/v1/audit"


def _revoke_nothing(client, *numbers: int) -> None:
    """Make one line for each number."""
    for number in numbers:
        assert client.delete(f"/api/v1/keys/{number:012x}").status_code == 404


def _subjects(page: dict) -> list[str]:
    return [line["subject"].rpartition("/")[2] for line in page["audit"]]


def test_lines_say_who_did_what_from_where(client):
    client.delete("/api/v1/keys/0123456789ab", headers={"X-Request-Id": "request-7"})
    page = client.get(AUDIT).json
    [line] = page["audit"]
    assert page["next_cursor"] is None
    assert line.pop("at").endswith("+00:00")
    assert line.pop("id") >= 1
    assert line == {"actor": "admin", "key_id": None, "action": "keys.revoke_key",
                    "subject": "DELETE /api/v1/keys/0123456789ab", "status": 404, "detail": None,
                    "remote_address": "127.0.0.1", "request_id": "request-7"}


def test_pages_lead_through_everything(client):
    _revoke_nothing(client, *range(5))
    first = client.get(f"{AUDIT}?limit=2").json
    second = client.get(f"{AUDIT}?limit=2&cursor={first['next_cursor']}").json
    _revoke_nothing(client, 9)  # What is added meanwhile moves nothing.
    last = client.get(f"{AUDIT}?limit=2&cursor={second['next_cursor']}").json
    assert [int(subject, 16) for page in (first, second, last) for subject in _subjects(page)] == [4, 3, 2, 1, 0]
    assert last["next_cursor"] is None


def test_a_page_that_ends_with_the_log_is_the_last(client):
    _revoke_nothing(client, 1, 2)
    assert client.get(f"{AUDIT}?limit=2").json["next_cursor"] is None


def test_lines_of_one_actor(client, app, key):
    _revoke_nothing(client, 1)
    _revoke_nothing(Keys(app, key).client("admin", name="operator"), 2)
    assert [int(subject, 16) for subject in _subjects(client.get(f"{AUDIT}?actor=operator").json)] == [2]


def test_refusals_are_in_it(client, anonymous):
    anonymous.get("/v1/models")
    [line] = client.get(AUDIT).json["audit"]
    assert (line["actor"], line["action"], line["status"]) == ("", "denied", 401)


@pytest.mark.parametrize(("query", "field"), [
    ("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=0", "cursor"), ("cursor=x", "cursor"),
    (f"cursor={2**31}", "cursor"), ("before=1", "before")])
def test_bad_queries_are_refused(client, query, field):
    assert_problem(client.get(f"{AUDIT}?{query}"), 422, "invalid-request", field=field)
