"""A refusal is audited at once, and a flood of them as a few lines that say how many there were."""

import threading

import pytest

from control_plane.access.audit import AuditEntry, AuditLog
from control_plane.access.denials import MAX_SORTS, Denials
from control_plane.errors import DatabaseUnavailableError

HOUR_S = 3600.0


@pytest.fixture
def audit(database):
    return AuditLog(database)


@pytest.fixture
def denials(audit):
    """Denials whose window only the tests end."""
    return Denials(audit, HOUR_S)


def _entry(address: str = "10.0.0.1", key_id: str | None = None) -> AuditEntry:
    return AuditEntry("", "denied", "GET /v1/models", key_id, 401, {"claimed_key_id": None}, address)


def _details(audit) -> list[dict]:
    return [row.detail for row in audit.page(1000)[::-1]]


def test_the_first_is_written_at_once_and_the_others_are_counted(denials, audit):
    for _ in range(1000):
        denials.add(_entry(), "AuthenticationError")
    assert _details(audit) == [{"claimed_key_id": None, "reason": "AuthenticationError"}]
    denials.flush()
    assert _details(audit)[1:] == [{"claimed_key_id": None, "reason": "AuthenticationError", "repeated": 999}]


def test_what_happened_once_is_written_once(denials, audit):
    denials.add(_entry(), "AuthenticationError")
    denials.flush()
    denials.flush()
    assert len(_details(audit)) == 1


def test_every_window_begins_anew(denials, audit):
    for _ in range(2):
        denials.add(_entry(), "AuthenticationError")
        denials.flush()
    assert len(_details(audit)) == 2


def test_addresses_keys_and_reasons_are_told_apart(denials, audit):
    denials.add(_entry(), "AuthenticationError")
    denials.add(_entry("10.0.0.2"), "AuthenticationError")
    denials.add(_entry(key_id="0123456789ab"), "KeyRevokedError")
    denials.add(_entry(key_id="0123456789ab"), "KeyExpiredError")
    denials.add(_entry(key_id="ba9876543210"), "KeyExpiredError")
    assert len(_details(audit)) == 5


def test_a_flood_from_many_addresses_is_counted_as_one(denials, audit):
    for number in range(MAX_SORTS + 500):
        denials.add(_entry(f"10.0.{number // 256}.{number % 256}"), "AuthenticationError")
    assert len(_details(audit)) == MAX_SORTS + 1
    denials.flush()
    assert _details(audit)[-1]["repeated"] == 499
    assert len(_details(audit)) == MAX_SORTS + 2


def test_the_window_ends_by_itself(audit):
    denials = Denials(audit, 0.01)
    flushed = threading.Event()
    denials.flush = flushed.set
    denials.add(_entry(), "AuthenticationError")
    assert flushed.wait(60)


def test_without_a_database_the_log_has_it(denials, audit, caplog, monkeypatch):
    def be_away(entry):
        raise DatabaseUnavailableError("gone")

    monkeypatch.setattr(audit, "append", be_away)
    denials.add(_entry(key_id="0123456789ab"), "KeyRevokedError")
    assert "gone" in caplog.text
    assert "0123456789ab" in caplog.text
    assert "10.0.0.1" in caplog.text
