"""Moves the schema between revisions (Alembic), and judges whether this program fits the schema it finds."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from control_plane.database.database import Database
from control_plane.errors import DatabaseUnavailableError, SchemaError

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(database: Database, revision: str = "head") -> None:
    """Move the schema up to `revision`."""
    _run(database, command.upgrade, revision)


def downgrade(database: Database, revision: str) -> None:
    """Move the schema down to `revision`, "base" for an empty database."""
    _run(database, command.downgrade, revision)


def current_revision(database: Database) -> str | None:
    """Return the schema's revision, None for a database without one."""
    try:
        with database.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except Exception as error:  # Every driver has its own.
        raise DatabaseUnavailableError(f"the database does not answer: {error}") from error


def newest_revision() -> str:
    """Return the revision that this program was written for."""
    return _scripts().get_current_head()


def is_older(database: Database) -> bool:
    """Return whether the schema can be moved up to what this program was written for."""
    current = current_revision(database)
    return current is None or (current != newest_revision() and current in _known_revisions())


def check_schema(database: Database) -> None:
    """Raise SchemaError unless the schema is the one that this program was written for; says what to do."""
    current, newest = current_revision(database), newest_revision()
    if current == newest:
        return
    if current is not None and current not in _known_revisions():
        raise SchemaError(f"the database's schema is of revision {current}, which this Conch does not know: it belongs "
                          "to a newer one; install that, or move the schema down with it (`conch db downgrade`)")
    raise SchemaError(f"the database's schema is of revision {current or 'none'} and this Conch needs {newest}; run "
                      "`conch db upgrade`")


def _run(database: Database, action, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    try:
        with database.engine.begin() as connection:
            config.attributes["connection"] = connection
            action(config, revision)
    except CommandError as error:
        raise SchemaError(f"cannot move the schema to {revision!r}: {error}") from error
    except DBAPIError as error:
        raise DatabaseUnavailableError(f"the database does not answer: {error.orig}") from error


def _known_revisions() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_SCRIPTS))
