"""`conch keys`: a key that is printed works, is printed once, and every change is in the audit log."""

import pytest
from click.testing import CliRunner

from conch.commands.keys import command
from control_plane.access.audit import AuditLog
from control_plane.access.authenticator import Authenticator
from control_plane.access.key_format import find_key_id
from control_plane.access.keys import KeyStore
from control_plane.errors import KeyNotFoundError, SchemaError


@pytest.fixture
def run(database_url, monkeypatch, tmp_path):
    """Return a function that runs `conch keys` on the database under test."""
    monkeypatch.setenv("CONCH_DATABASE_URL", database_url)
    monkeypatch.setenv("CONCH_HOME", str(tmp_path / "home"))

    def run(*arguments: str):
        return CliRunner().invoke(command, arguments)

    return run


@pytest.fixture
def store(database):
    return KeyStore(database)


def _make(run, *arguments: str) -> str:
    result = run("create", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_the_key_stands_alone_on_standard_output_and_works(run, store):
    key = _make(run, "ci", "--scope", "infer", "--scope", "promote", "--expires", "90d")
    identity = Authenticator(store, "conch_root").identify(key)
    assert (identity.name, identity.scopes) == ("ci", {"any", "infer", "promote"})
    [kept] = store.all()
    assert (kept.expires_at - kept.created_at).days == 90
    assert kept.created_by.startswith("conch keys (")


def test_keys_are_listed_without_their_secrets(run, store):
    key = _make(run, "ci", "--scope", "infer")
    other = _make(run, "Team 4", "--scope", "train", "--expires", "1h")
    run("revoke", find_key_id(other))
    result = run("list")
    assert result.exit_code == 0
    heading, first, second = result.output.splitlines()
    assert heading.split()[:4] == ["ID", "NAME", "SCOPES", "STATE"]
    assert [find_key_id(key), "ci", "infer", "active"] == first.split()[:4]
    assert "revoked" in second
    assert key not in result.output
    assert key.rpartition("_")[2] not in result.output


def test_revoking_and_making_are_audited_without_the_key(run, store, database):
    key = _make(run, "ci", "--scope", "infer")
    assert run("revoke", find_key_id(key)).exit_code == 0
    assert store.find(find_key_id(key)).revoked_at is not None
    revoked, made = AuditLog(database).page(10)
    assert (made.action, made.subject) == ("conch keys create", find_key_id(key))
    assert made.detail == {"name": "ci", "scopes": ["infer"], "expires_at": "-"}
    assert (revoked.action, revoked.subject, revoked.detail) == ("conch keys revoke", find_key_id(key), {"name": "ci"})
    assert revoked.actor == made.actor == store.find(find_key_id(key)).created_by


def test_what_does_not_exist_cannot_be_revoked(run, store, database):
    result = run("revoke", "0123456789ab")
    assert isinstance(result.exception, KeyNotFoundError)
    assert AuditLog(database).page(10) == []


@pytest.mark.parametrize(("arguments", "said"), [
    (["ci"], "--scope"), (["ci", "--scope", "any"], "'any'"), (["ci", "--scope", "infer", "--expires", "soon"], "90d"),
    (["admin", "--scope", "infer"], "another name"), (["", "--scope", "infer"], "is not a name"),
    (["a\nb", "--scope", "infer"], "is not a name")])
def test_wrong_arguments_make_no_key(run, store, arguments, said):
    result = run("create", *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert store.all() == []


def test_a_database_without_its_tables_is_named_with_the_way_out(run, empty_database):
    assert isinstance(run("list").exception, SchemaError)
    assert "conch db upgrade" in str(run("create", "ci", "--scope", "infer").exception)


def test_help_needs_no_database(run):
    assert run("create", "--help").exit_code == 0
    assert run("--help").exit_code == 0
