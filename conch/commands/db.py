"""`conch db`: moves the database's schema."""

import click

from control_plane.database import migration
from control_plane.database.database import Database
from control_plane.settings import load_settings


@click.group()
@click.pass_context
def command(ctx: click.Context) -> None:
    """Move the schema of the database that CONCH_DATABASE_URL names."""
    ctx.obj = Database(load_settings().database_address)


@command.command()
@click.argument("revision", default="head")
@click.pass_obj
def upgrade(database: Database, revision: str) -> None:
    """Move the schema up, to the newest revision by default."""
    migration.upgrade(database, revision)
    click.echo(f"the schema is of revision {migration.current_revision(database)}")


@command.command()
@click.argument("revision")
@click.pass_obj
def downgrade(database: Database, revision: str) -> None:
    """Move the schema down to REVISION. Tables that revision does not know are dropped with their rows."""
    migration.downgrade(database, revision)
    click.echo(f"the schema is of revision {migration.current_revision(database) or 'none'}")


@command.command()
@click.pass_obj
def current(database: Database) -> None:
    """Print the schema's revision and the one that this Conch needs."""
    click.echo(f"schema {migration.current_revision(database) or 'none'}, needed {migration.newest_revision()}")
