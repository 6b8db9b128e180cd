"""`make bench`: measures Conch against its peers and writes RESULTS.md, results.json and plots/ beside this file.

Needs an exported model `fast` and the extras serving and export. Everything it starts listens on loopback only and is
stopped when it ends.
"""

import json
from datetime import datetime, timezone
from pathlib import Path

import click

from benchmarks import contestants as names
from benchmarks.arena import Arena
from benchmarks.conch_server import EXPORT_INT8, MODEL, MODEL_INT8
from benchmarks.machine import describe_machine, peer_versions, software_versions
from benchmarks.peers.infinity import VARIANTS, InfinityEnvironment
from benchmarks.plot import Bar, draw_bars
from benchmarks.report import render
from benchmarks.results import SCENARIOS, Results
from benchmarks.rounds import play_with_bar
from control_plane.settings import Settings, load_settings
from export.catalog import load_catalog
from export.contract import ConchError, version_numbers
from export.manifest import read_manifest
from export.sources.fetch import entry_for, fetch_checkpoint

HERE = Path(__file__).resolve().parent
INFINITY_ROOT = HERE.parent / ".bench-venv"


@click.command()
@click.option("--contestant", "chosen", multiple=True, type=click.Choice(names.ALL),
              help="Take part; repeat for more. Default: all.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.5), default=4.0, show_default=True, help="Measured time of a turn.")
@click.option("--mix", "mixes", multiple=True, type=click.Choice(["short", "long"]), help="Default: both.")
@click.option("--quick", is_flag=True, help="One round of one second, short texts, the main contestants.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=HERE,
              help="Directory for RESULTS.md, results.json and plots/; default benchmarks/.")
def main(
    chosen: tuple[str, ...], rounds: int, seconds: float, mixes: tuple[str, ...], quick: bool, output: Path
) -> None:
    """Measure Conch against its peers on this machine."""
    if quick:
        rounds, seconds, mixes, chosen = 1, 1.0, mixes or ("short",), chosen or names.QUICK
    try:
        results = run(set(chosen or names.ALL), rounds, seconds, list(mixes or ("short", "long")))
    except ConchError as error:
        raise click.ClickException(str(error)) from error
    write(results, output)
    click.echo(f"wrote {output / 'RESULTS.md'}")


def run(chosen: set[str], rounds: int, duration_s: float, mixes: list[str]) -> Results:
    """Start the contestants, let them take turns, and stop them again."""
    settings = load_settings()
    checkpoint = fetch_checkpoint(entry_for(MODEL, load_catalog(settings.catalog_path)), settings.checkpoint_dir).path
    version_dir = find_version(settings)
    if set(chosen).intersection(names.INT8):
        find_version(settings, MODEL_INT8, EXPORT_INT8)
    with Arena(chosen, checkpoint, version_dir, INFINITY_ROOT) as arena:
        results = Results(
            describe_machine(), _versions(chosen), _conditions(version_dir, rounds, duration_s),
            {name: names.SETTINGS[name] for name in names.ALL if name in chosen}, min_cosines=arena.min_cosines())
        results.samples = play_with_bar(arena.turns(mixes, duration_s, settings.home / "tools"), rounds)
    return results


def find_version(settings: Settings, model: str = MODEL, command: str = f"conch export {MODEL}") -> Path:
    """Return the newest version directory of a model; raises ConchError with the `command` that makes one."""
    model_dir = settings.model_repository / model
    versions = version_numbers(model_dir)
    if not versions:
        raise ConchError(f"{model_dir} holds no version; run `{command}` first")
    return model_dir / str(versions[-1])


def write(results: Results, output: Path) -> None:
    """Write the data, the plots and the report into `output`."""
    (output / "plots").mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(results.to_document(), indent=1, ensure_ascii=False) + "\n")
    plots = {}
    for mix in sorted({sample.mix for sample in results.samples}, reverse=True):
        for scenario in SCENARIOS[:2]:
            path = f"plots/{mix}-{scenario.name}.svg"
            title = f"Texts per second: {scenario.title}, {mix} texts"
            if bars := _bars(results, mix, scenario.name):
                (output / path).write_text(draw_bars(title, bars))
                plots[title] = path
    (output / "RESULTS.md").write_text(render(results, plots))


def _bars(results: Results, mix: str, scenario: str) -> list[Bar]:
    spreads = {name: results.spread(name, mix, scenario) for name in names.ALL}
    return [Bar(name, spread, "ours" if name in names.CONCH else "theirs")
            for name, spread in spreads.items() if spread]


def _versions(chosen: set[str]) -> dict[str, str]:
    versions = software_versions()
    if chosen & VARIANTS.keys():
        versions |= peer_versions(InfinityEnvironment(INFINITY_ROOT).python)
    return versions


def _conditions(version_dir: Path, rounds: int, duration_s: float) -> dict[str, str]:
    manifest = read_manifest(version_dir)
    return {
        "Date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "Model": f"{manifest.model}, version {manifest.version}: {manifest.engine} {manifest.precision}, "
                 f"at most {manifest.max_tokens} tokens, from {manifest.source}",
        "Rounds": str(rounds), "Measured time of a turn": f"{duration_s:g} s",
        "Texts": "short: 4–40 words; long: 100–250 words; every twentieth text Chinese",
    }


if __name__ == "__main__":
    main()
