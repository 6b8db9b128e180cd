"""`conch download`: fetches checkpoints ahead of an export."""

import click

from control_plane.settings import load_settings
from export.catalog import SOURCE_KINDS, load_catalog
from export.sources.fetch import entry_for, fetch_checkpoint


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="MODEL...")
@click.option("--source", type=click.Choice(SOURCE_KINDS), help="Fetch from this kind of source only.")
def command(names: tuple[str, ...], source: str | None) -> None:
    """Fetch each MODEL (an alias, a hub id, a directory or an s3:// URL) and print where its checkpoint lies."""
    settings = load_settings()
    catalog = load_catalog(settings.catalog_path)
    # A misspelt name should not surface after the gigabytes of the names before it.
    entries = [entry_for(name, catalog) for name in names]
    for entry in entries:
        checkpoint = fetch_checkpoint(entry, settings.checkpoint_dir, only=source)
        origin = f"{checkpoint.source} at {checkpoint.revision}" if checkpoint.revision else checkpoint.source
        click.echo(f"{entry.alias}: {checkpoint.path} ({origin})")
        for note in (spec.note for spec in entry.sources if spec.name == checkpoint.source and spec.note):
            click.echo(f"{entry.alias}: note: {note}", err=True)
