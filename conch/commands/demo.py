"""`conch demo`: shows a running platform at work."""

import secrets

import click

from conch.demo_tuning import Rest, run_demo
from control_plane.access.key_format import KEY_PREFIX
from control_plane.secrets_store import read_or_create_secret
from control_plane.settings import load_settings


@click.group()
def command() -> None:
    """Show a running platform at work."""


@command.command()
@click.option("--recipe", type=click.Choice(["head", "full"]), default="head", show_default=True,
              help="How to train.")
@click.option("--seed", type=int, help="Which questions to ask. Default: others each time.")
def tuning(recipe: str, seed: int | None) -> None:
    """Walk the tuning loop: ask, label, train, judge, activate, roll back. It writes to the platform's database."""
    settings = load_settings()
    key = read_or_create_secret(settings.admin_key_file, KEY_PREFIX)
    rest = Rest(f"http://{settings.local_host}:{settings.http_port}", key)
    run_demo(rest, recipe, secrets.randbits(32) if seed is None else seed, click.echo)
