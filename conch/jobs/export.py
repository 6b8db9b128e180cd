"""The job `export`: a checkpoint of the catalog or the hub becomes a proven version in the model repository."""

from control_plane.jobs.kinds import ExportArguments
from control_plane.jobs.worker import Report
from control_plane.settings import load_settings
from export.catalog import load_catalog
from export.encoder_export import STEPS, ExportRequest, export_encoder
from export.manifest import read_manifest
from export.precision import DEFAULT_ENGINE, choose_precision
from export.sources.fetch import entry_for, fetch_checkpoint

ALL_STEPS = ("fetch checkpoint", *STEPS)


def run(arguments: ExportArguments, report: Report) -> dict:
    """Export as `conch export` does; returns the version with its parity figures. Raises ExportError."""
    def begin(step: str) -> None:
        report(ALL_STEPS.index(step) / len(ALL_STEPS), step)

    settings = load_settings()
    entry = entry_for(arguments.model, load_catalog(settings.catalog_path), takes_locations=False)
    engine = arguments.engine or DEFAULT_ENGINE
    precision = choose_precision(engine, arguments.precision)
    begin(ALL_STEPS[0])
    checkpoint = fetch_checkpoint(entry, settings.checkpoint_dir)
    request = ExportRequest(entry, checkpoint, settings.model_repository, arguments.name or entry.alias, engine,
                            precision, arguments.min_cosine)
    manifest = read_manifest(export_encoder(request, on_step=begin))
    return {"model": manifest.model, "version": manifest.version, "source": manifest.source,
            "revision": manifest.revision, "engine": manifest.engine, "precision": manifest.precision,
            "dimension": manifest.dimension, "parity": manifest.parity}
