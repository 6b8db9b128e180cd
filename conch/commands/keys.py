"""`conch keys`: makes, lists and revokes API keys, in the database itself: also before there is a key to call with."""

import os
import pwd
from dataclasses import dataclass

import click

from control_plane.access.audit import AuditEntry, AuditLog
from control_plane.access.keys import ApiKey, KeyStore, check_key_name
from control_plane.access.lifetimes import parse_lifetime
from control_plane.access.scopes import SCOPES
from control_plane.database import migration
from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.settings import load_settings

HEADINGS = ("ID", "NAME", "SCOPES", "STATE", "CREATED", "EXPIRES", "LAST USED")


@dataclass(frozen=True)
class _Access:
    keys: KeyStore
    audit: AuditLog


@click.group()
def command() -> None:
    """Make, list and revoke API keys."""


def _check(check):
    """Return a click callback that turns the ValueError of `check` into a wrong argument."""
    def callback(ctx: click.Context, parameter: click.Parameter, value: str | None):
        try:
            return None if value is None else check(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, parameter) from error

    return callback


@command.command()
@click.argument("name", callback=_check(check_key_name))
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES),
              help="What the key opens; may be given several times.")
@click.option("--expires", "lifetime", callback=_check(parse_lifetime),
              help="How long it is valid, like 90d, 12h or 30m. Default: until it is revoked.")
def create(name: str, scopes: tuple[str, ...], lifetime) -> None:
    """Make a key for NAME and print it, this once: only its SHA-256 is kept."""
    access, actor = _open_access(), _actor()
    key, kept = access.keys.create(name, scopes, lifetime, actor)
    detail = {"name": kept.name, "scopes": list(kept.scopes), "expires_at": _day(kept.expires_at)}
    access.audit.append(AuditEntry(actor, "conch keys create", kept.id, detail=detail))
    click.echo(key)
    click.echo(f"The key {kept.id} of {kept.name!r} is shown this once; keep it where only its user can read it.",
               err=True)


@command.command("list")
def list_keys() -> None:
    """List every key that was ever made; never the keys themselves."""
    rows = [HEADINGS, *map(_row, _open_access().keys.all())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Revoke the key ID for good. Within five seconds nothing accepts it."""
    access, actor = _open_access(), _actor()
    key = access.keys.revoke(key_id, actor)
    access.audit.append(AuditEntry(actor, "conch keys revoke", key.id, detail={"name": key.name}))
    click.echo(f"the key {key.id} of {key.name!r} was revoked at {_day(key.revoked_at)}")


def _open_access() -> _Access:
    database = Database(load_settings().database_address)
    migration.check_schema(database)
    return _Access(KeyStore(database), AuditLog(database))


def _row(key: ApiKey) -> tuple[str, ...]:
    return (key.id, key.name, ",".join(key.scopes), key.state(utc_now()), _day(key.created_at), _day(key.expires_at),
            _day(key.last_used_at))


def _day(moment) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _actor() -> str:
    """Return who runs this, as the audit log shows it."""
    try:
        return f"conch keys ({pwd.getpwuid(os.getuid()).pw_name})"
    except KeyError:  # A container may run as a user that nobody named.
        return f"conch keys ({os.getuid()})"
