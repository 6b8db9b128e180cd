"""The job `export`: a checkpoint of the catalog or the hub becomes a proven version in the model repository."""

from control_plane.jobs.kinds import ExportArguments
from control_plane.jobs.worker import Report
from control_plane.settings import load_settings
from export.catalog import load_catalog
from export.checkpoint_export import export_checkpoint, steps_of, task_of
from export.encoder_export import ExportRequest
from export.manifest import EncoderManifest, GeneratorManifest, Manifest, read_manifest
from export.precision import choose_format
from export.sources.fetch import entry_for, fetch_checkpoint
from export.vllm_arguments import VllmOptions

FETCH = "fetch checkpoint"


def run(arguments: ExportArguments, report: Report) -> dict:
    """Export as `conch export` does; returns the version with its proof. Raises ExportError."""
    settings = load_settings()
    entry = entry_for(arguments.model, load_catalog(settings.catalog_path), takes_locations=False)
    if entry.task:
        choose_format(entry.task, arguments.engine, arguments.precision)
    report(0, FETCH)
    checkpoint = fetch_checkpoint(entry, settings.checkpoint_dir)
    engine, precision = choose_format(task_of(checkpoint.path), arguments.engine, arguments.precision)
    steps = (FETCH, *steps_of(checkpoint.path, engine))
    request = ExportRequest(entry, checkpoint, settings.model_repository, arguments.name or entry.alias, engine,
                            precision, arguments.min_cosine, forced=arguments.force,
                            vllm=VllmOptions(settings.gpu_memory_fraction, arguments.context_tokens, arguments.gpus))
    version_dir = export_checkpoint(request, lambda step: report(steps.index(step) / len(steps), step))
    return _describe(read_manifest(version_dir))


def _describe(manifest: Manifest) -> dict:
    proof = ({"quality": manifest.quality} if isinstance(manifest, GeneratorManifest) else {"parity": manifest.parity})
    dimension = {"dimension": manifest.dimension} if isinstance(manifest, EncoderManifest) else {}
    return {"model": manifest.model, "version": manifest.version, "source": manifest.source,
            "revision": manifest.revision, "engine": manifest.engine, "precision": manifest.precision,
            **dimension, **proof}
