"""`conch perf`: measures a served model with Triton's own perf_analyzer."""

import click

from control_plane.settings import Settings, load_settings
from export.contract import ConchError
from serving.perf_analyzer import Measurement, PerfAnalyzerError, find_perf_analyzer
from serving.sample_texts import MIXES, sample_texts

TEXT_COUNT = 1024
HEADINGS = ("CONCURRENCY", "TEXTS/S", "P50 MS", "P90 MS", "P99 MS", "QUEUE MS", "COMPUTE MS", "CLIENT CPU S", "CORES")
_LEGEND = ("QUEUE and COMPUTE are means inside Triton. CLIENT CPU S is perf_analyzer's own processor time, CORES the "
           "same per second that it ran.")


class ConcurrencyLevels(click.ParamType):
    """Numbers of requests in flight, separated by commas."""

    name = "N[,N…]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        levels = value.split(",")
        if not all(level.isascii() and level.isdigit() and int(level) > 0 for level in levels):
            self.fail(f"{value!r} is not a list of positive numbers, like 1,8,32", param, ctx)
        return tuple(int(level) for level in levels)


@click.command()
@click.argument("model")
@click.option("--concurrency", type=ConcurrencyLevels(), default="1,8,32", show_default=True,
              help="Requests in flight; one measurement for each number.")
@click.option("--texts-per-request", type=click.IntRange(1), default=1, show_default=True)
@click.option("--protocol", type=click.Choice(["grpc", "http"]), default="grpc", show_default=True,
              help="Which of Triton's KServe v2 protocols to use.")
@click.option("--mix", type=click.Choice(sorted(MIXES)), default="short", show_default=True,
              help="short: 4 to 40 words a text; long: 100 to 250.")
@click.option("--seconds", type=click.FloatRange(1), default=9.0, show_default=True,
              help="How long each measurement takes, without the start.")
@click.option("--url", metavar="HOST:PORT", help="Triton's endpoint for the protocol; default the local one.")
def command(
    model: str, concurrency: tuple[int, ...], texts_per_request: int, protocol: str, mix: str, seconds: float,
    url: str | None,
) -> None:
    """Measure MODEL, which must be loaded, with perf_analyzer and realistic texts.

    Where perf_analyzer is not installed, it is fetched once with pip and kept under CONCH_HOME.
    """
    settings = load_settings()
    address = url or _local_address(settings, protocol)
    analyzer = find_perf_analyzer(settings.home / "tools")
    click.echo(f"{model} at {address} ({protocol}), {mix} texts, {texts_per_request} a request", err=True)
    _echo_row(HEADINGS)
    # One run for each level, so that a long series shows its first rows at once.
    for level in concurrency:
        try:
            measured = analyzer.run(
                model, address, sample_texts(mix, TEXT_COUNT), protocol=protocol, concurrencies=[level],
                texts_per_request=texts_per_request, seconds=seconds)
        except PerfAnalyzerError as error:
            raise ConchError(f"{error}. Is {model} loaded, and do its requests end within {seconds:g} s?") from error
        _echo_row(_cells(measured[0]))
    click.echo(_LEGEND, err=True)


def _local_address(settings: Settings, protocol: str) -> str:
    if protocol == "grpc":
        return settings.triton_addresses[0]
    return f"{settings.local_host}:{settings.triton_http_port}"


def _cells(measured: Measurement) -> tuple[str, ...]:
    times = (measured.p50_ms, measured.p90_ms, measured.p99_ms, measured.server_queue_ms, measured.server_compute_ms)
    return (
        str(measured.concurrency), f"{measured.texts_per_s:.1f}", *(f"{value:.1f}" for value in times),
        f"{measured.analyzer_cpu_s:.2f}", f"{measured.analyzer_cpu_s / measured.analyzer_wall_s:.2f}",
    )


def _echo_row(cells: tuple[str, ...]) -> None:
    click.echo("  ".join(cell.rjust(len(heading)) for cell, heading in zip(cells, HEADINGS, strict=True)))
