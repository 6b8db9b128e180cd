"""`conch catalog`: lists the models the platform knows."""

import json
from dataclasses import asdict

import click

from control_plane.settings import load_settings
from export.catalog import CatalogEntry, load_catalog

HEADINGS = ("ALIAS", "HUB ID", "TASK", "DIM", "SIZE", "MAX TOKENS", "LICENCE", "STATUS")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything the catalog says, as JSON.")
def command(as_json: bool) -> None:
    """List the models the platform knows, and which of them it refuses to serve."""
    entries = load_catalog(load_settings().catalog_path).entries
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries], indent=2, ensure_ascii=False))
        return
    rows = [HEADINGS, *map(_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    size = f"{entry.size_mb} MB" if entry.size_mb else None
    status = f"refused: {entry.unsupported}" if entry.unsupported else "ok"
    cells = (entry.alias, entry.hub_id, entry.task, entry.dimension, size, entry.max_tokens, entry.licence, status)
    return tuple("-" if cell is None else str(cell) for cell in cells)
