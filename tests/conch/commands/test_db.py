"""`conch db` moves the schema of the database that the settings name, and says where it is."""

import pytest
from click.testing import CliRunner

from conch.commands.db import command
from control_plane.database import migration
from control_plane.errors import SchemaError


@pytest.fixture
def conch_db(database_url, monkeypatch):
    """Run `conch db` with arguments; gives what it printed."""
    monkeypatch.setenv("CONCH_DATABASE_URL", database_url)
    return lambda *arguments: CliRunner().invoke(command, arguments, catch_exceptions=False).output


def test_a_schema_goes_up_and_down_and_says_where_it_is(conch_db):
    newest = migration.newest_revision()
    assert conch_db("current") == f"schema none, needed {newest}\n"
    assert conch_db("upgrade") == f"the schema is of revision {newest}\n"
    assert conch_db("current") == f"schema {newest}, needed {newest}\n"
    assert conch_db("downgrade", "0001") == "the schema is of revision 0001\n"
    assert conch_db("downgrade", "base") == "the schema is of revision none\n"
    assert conch_db("upgrade", "0001") == "the schema is of revision 0001\n"


def test_a_revision_that_does_not_exist_is_named(conch_db):
    with pytest.raises(SchemaError, match="cannot move the schema to 'nope'"):
        conch_db("upgrade", "nope")
