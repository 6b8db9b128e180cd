"""The `conch` command: finds the subcommand and turns errors into one line. The work is done elsewhere."""

import importlib
import sys

import click

from conch import __version__
from export.contract import ConchError

COMMANDS = {
    "catalog": "List the models the platform knows.",
    "db": "Move the schema of the database.",
    "demo": "Show a running platform at work.",
    "download": "Fetch checkpoints ahead of an export.",
    "export": "Turn a checkpoint into a version in the model repository.",
    "keys": "Make, list and revoke API keys.",
    "perf": "Measure a served model with perf_analyzer.",
    "serve": "Start Triton and the control plane in the foreground.",
    "tuning": "Begin with an intent model.",
}


class LazyGroup(click.Group):
    """Imports conch.commands.<name> only when that command runs: most of them pull in heavy packages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"conch.commands.{name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="conch")
def group() -> None:
    """Serve your own models from NVIDIA Triton, with a control plane on top."""


def main() -> None:
    """Run the command line; an error meant for the user becomes one line and exit status 1."""
    try:
        group.main(standalone_mode=True)
    except ConchError as error:
        click.echo(f"conch: {error}", err=True)
        sys.exit(1)
