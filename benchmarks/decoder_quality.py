"""`python -m benchmarks.decoder_quality`: what each quantisation recipe costs a decoder, as a table.

Quality by the export's own gate, size of the files, decoding speed of one row, and how long the quantisation takes.
`--dither` first adds noise of the size that 4-bit rounding took away: a checkpoint that was 4-bit once (SmolLM2 comes
as Q4_1) would otherwise favour the recipes whose grid is its own.
"""

import tempfile
import time
from pathlib import Path

import click
import torch

from control_plane.settings import load_settings
from export.catalog import load_catalog
from export.contract import MODEL_FILE
from export.decoder_builder import build_graph
from export.decoder_calibration import calibration_rows, observe_norms
from export.decoder_checkpoint import DecoderCheckpoint, load_decoder, open_checkpoint
from export.decoder_prompts import quality_prompts
from export.decoder_quality import QualityReference
from export.decoder_quantization import QuantizationRecipe, quantize_decoder
from export.golden import GOLDEN_TEXT
from export.sources.fetch import entry_for, fetch_checkpoint

RECIPES = (
    *(QuantizationRecipe(8, block, "rtn", symmetric=True) for block in (32, 128)),
    *(QuantizationRecipe(8, block, "rtn", symmetric=True, rotated=True) for block in (32, 64)),
    QuantizationRecipe(8, 32, "rtn", symmetric=True, accuracy_level=1),
    QuantizationRecipe(4, 32, "rtn", symmetric=True),
    *(QuantizationRecipe(4, block, "rtn", symmetric=False) for block in (16, 32, 64, 128)),
    QuantizationRecipe(4, 32, "rtn", symmetric=False, accuracy_level=1),
    *(QuantizationRecipe(4, block, "rtn", symmetric=False, mixed=True) for block in (16, 32)),
    # Blocks of 64 make an odd number in a row of SmolLM2, and there onnxruntime's k_quant fails.
    *(QuantizationRecipe(4, block, "k_quant", symmetric=False) for block in (16, 32)),
    QuantizationRecipe(4, 32, "k_quant", symmetric=False, mixed=True),
    *(QuantizationRecipe(4, block, "hqq", symmetric=False, accuracy_level=1) for block in (32, 64)),
)
_DITHER_BLOCK, _DITHER_STEPS = 32, 15  # Q4_1: 16 values for each block of 32 weights
_LONGEST_ROW = 512


@click.command()
@click.argument("model", default="smollm2")
@click.option("--dither", is_flag=True, help="Add the noise that 4-bit rounding had removed.")
@click.option("--only", help="Measure the recipes whose name contains this.")
def main(model: str, dither: bool, only: str | None) -> None:
    """Compare the recipes on MODEL, an alias or a directory."""
    settings = load_settings()
    source = fetch_checkpoint(entry_for(model, load_catalog(settings.catalog_path)), settings.checkpoint_dir)
    recipes = [recipe for recipe in RECIPES if only is None or only in recipe.name]
    with tempfile.TemporaryDirectory(dir=settings.checkpoint_dir) as folder:
        _compare(source.path, Path(folder), recipes, dither)


def _compare(source: Path, work: Path, recipes: list[QuantizationRecipe], dither: bool) -> None:
    checkpoint = open_checkpoint(source, work / "checkpoint")
    if dither:
        _add_noise(checkpoint)
    graph = build_graph(checkpoint, work / "graph", "fp32", "cpu")
    (work / "reference").mkdir()
    prompts = quality_prompts(checkpoint.tokenizer, _LONGEST_ROW)
    model = load_decoder(checkpoint.path)
    reference = QualityReference(model, prompts, work / "reference")
    norms = observe_norms(model, calibration_rows(checkpoint.tokenizer, _LONGEST_ROW))
    del model
    click.echo("| recipe | agreement | KL | perplexity | MB | tokens/s | s |\n|---|---|---|---|---|---|---|")
    golden = checkpoint.tokenizer(GOLDEN_TEXT)["input_ids"]
    _report("fp32", graph.parent, reference, golden, 0.0)
    for number, recipe in enumerate(recipes):
        folder = work / str(number)
        folder.mkdir()
        started = time.perf_counter()
        quantize_decoder(graph, folder / MODEL_FILE, recipe, norms)
        _report(recipe.name, folder, reference, golden, time.perf_counter() - started)
        (folder / f"{MODEL_FILE}.data").unlink()


def _add_noise(checkpoint: DecoderCheckpoint) -> None:
    """Write the checkpoint anew with uniform noise, one step wide, in every matrix."""
    model = load_decoder(checkpoint.path)
    torch.manual_seed(0)
    for parameter in (item for item in model.parameters() if item.ndim == 2):
        blocks = parameter.data.view(-1, _DITHER_BLOCK)
        steps = (blocks.amax(1, keepdim=True) - blocks.amin(1, keepdim=True)) / _DITHER_STEPS
        blocks += (torch.rand_like(blocks) - 0.5) * steps
    model.save_pretrained(checkpoint.path)


def _report(name: str, folder: Path, reference: QualityReference, golden: list[int], took_s: float) -> None:
    run = reference.compare(folder, golden)
    figures = run.figures
    size_mb = sum(file.stat().st_size for file in folder.glob(f"{MODEL_FILE}*")) / 1e6
    click.echo(f"| {name} | {figures.agreement:.1%} | {figures.divergence:.4f} | {figures.perplexity_ratio:.3f} "
               f"| {size_mb:.0f} | {run.tokens_per_s:.0f} | {took_s:.0f} |")


if __name__ == "__main__":
    main()
