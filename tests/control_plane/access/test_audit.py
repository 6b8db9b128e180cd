"""The audit log takes what callers wrote without breaking and without secrets, and is read page by page."""

import pytest
from sqlalchemy import event

from control_plane.access.audit import AuditEntry, AuditLog
from control_plane.access.key_format import make_key


@pytest.fixture
def audit(database):
    return AuditLog(database)


def _entry(number: int, actor: str = "ci") -> AuditEntry:
    return AuditEntry(actor, "models.load_model", f"POST /{number}")


def test_a_line_holds_everything(audit):
    audit.append(AuditEntry("ci", "keys.create_key", "POST /api/v1/keys", "0123456789ab", 201, {"body": {"a": [1]}},
                            "::1", "request-1"))
    [row] = audit.page(10)
    assert (row.actor, row.action, row.subject, row.key_id, row.status, row.detail, row.remote_address,
            row.request_id) == ("ci", "keys.create_key", "POST /api/v1/keys", "0123456789ab", 201, {"body": {"a": [1]}},
                                "::1", "request-1")
    assert row.at.tzinfo is not None


def test_pages_follow_one_another_without_gap_or_overlap(audit):
    for number in range(7):
        audit.append(_entry(number))
    seen, before = [], None
    for _ in range(3):
        page = audit.page(3, before)
        seen += [row.subject for row in page]
        before = page[-1].id
    assert audit.page(3, before) == []
    assert seen == [f"POST /{number}" for number in reversed(range(7))]


def test_lines_of_one_actor(audit):
    for number, actor in enumerate(["ci", "Ci", "admin", "ci"]):
        audit.append(_entry(number, actor))
    assert [row.subject for row in audit.page(10, actor="ci")] == ["POST /3", "POST /0"]


@pytest.mark.parametrize("subject", [
    "GET /" + "长" * 1000, "GET /\ud800", "GET /'; DROP TABLE audit_log; --", "GET /\x00\n\U0001f41a"])
def test_strange_subjects_are_kept(audit, subject):
    audit.append(AuditEntry("", "denied", subject))
    [row] = audit.page(10)
    assert row.subject == subject.replace("\ud800", "?")[:255]


def test_keys_are_hidden_wherever_a_caller_writes_them(audit):
    key, key_id = make_key()
    audit.append(AuditEntry("ci", "keys.revoke_key", f"DELETE /api/v1/keys/{key}", request_id=key))
    [row] = audit.page(10)
    assert row.subject == f"DELETE /api/v1/keys/conch_{key_id}***"
    assert row.request_id == f"conch_{key_id}***"


def test_lines_are_only_ever_added(audit, database):
    statements = []
    event.listen(database.engine, "before_cursor_execute",
                 lambda connection, cursor, statement, *_: statements.append(statement.split()[0]))
    audit.append(_entry(1))
    audit.page(10)
    assert set(statements) & {"INSERT", "UPDATE", "DELETE", "REPLACE"} == {"INSERT"}
    assert [name for name in vars(AuditLog) if not name.startswith("_")] == ["append", "page"]
