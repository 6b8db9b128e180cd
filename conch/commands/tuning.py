"""`conch tuning`: what concerns the intent model and cannot be asked of a running platform."""

import click
from tqdm import tqdm

from control_plane.database.database import Database
from control_plane.lifecycle.store import Change, ModelStore
from control_plane.lifecycle.tables import PRELOAD
from control_plane.settings import load_settings
from export.contract import version_numbers


@click.group()
def command() -> None:
    """Begin with an intent model."""


@command.command()
def seed() -> None:
    """Train a first intent model on the questions that Conch brings along, unless there is one.

    Without a taxonomy it fills the database with these questions, their intents and keyword rules.
    """
    settings = load_settings()
    if version_numbers(settings.model_repository / settings.intent_model):
        click.echo(f"{settings.intent_model} has been trained already")
        return
    # Imports torch, which takes seconds; a start that finds the model trained must not wait for it.
    from conch.seed import seed_intents

    with tqdm(total=100, desc=f"train {settings.intent_model}", unit="%") as bar:
        def report(done: float, step: str) -> None:
            bar.update(round(done * 100) - bar.n)
            bar.set_postfix_str(step)

        made = seed_intents(settings, report, lambda database, version: _want(database, settings.intent_model, version))
        bar.update(100 - bar.n)
    click.echo(f"{made['model_version']}: macro-F1 {made['metrics']['macro_f1']:.3f} on questions it never saw; the "
               f"gate says {made['verdict']}")


def _want(database: Database, model: str, version: int) -> None:
    """Write down that the version should be live: no Triton need run now."""
    models = ModelStore(database)
    models.change(models.find(model), "load", Change("seed", "the first version"), is_wanted=True, policy=PRELOAD,
                  active_version=version)
