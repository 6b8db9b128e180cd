"""`make bench-lifecycle`: measures the control plane around Triton and writes LIFECYCLE.md beside this file.

What REST adds to a request, how soon a killed Triton answers again, what the controller costs when nothing happens, how
long the list of 200 models takes, and whether switching versions under load fails a request, of an embedding model and
of an intent model. Needs an exported `fast`.
"""

import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import psutil

from benchmarks.conch_server import MODEL, ConchServer, plan_conch
from benchmarks.connections import AnswerError, GrpcConnection, RestConnection
from benchmarks.embeddings import find_version
from benchmarks.lifecycle_intents import CLIENTS, IntentSwitches, measure_intent_switches
from benchmarks.machine import describe_machine
from benchmarks.results import Spread
from benchmarks.servers import Server
from control_plane.settings import load_settings

HERE = Path(__file__).resolve().parent
TEXT = "How do I reset my password?"
START_TIMEOUT_S, BACK_TIMEOUT_S = 60, 60
OVERHEAD_REQUESTS, LIST_REQUESTS, KNOWN_MODELS = 300, 500, 200
IDLE_S = 30.0
SOAK_CLIENTS, SOAK_SWITCHES = 16, 20


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
def main(rounds: int) -> None:
    """Measure the control plane on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        home, repository = Path(folder) / "home", _repository(Path(folder))
        conch = plan_conch(home, repository)
        _add_models(home)
        with Server(conch.plan, Path(folder)) as server:
            server.wait_until_ready(START_TIMEOUT_S)
            figures = asyncio.run(_measure(conch, rounds))
        figures += _intent_figures(measure_intent_switches(Path(folder) / "intents", rounds))
    (HERE / "LIFECYCLE.md").write_text(_render(figures))
    click.echo(f"wrote {HERE / 'LIFECYCLE.md'}")


async def _measure(conch: ConchServer, rounds: int) -> list[tuple[str, str, str]]:
    """Return what was measured, its bound and the figure."""
    overhead = [await _overhead_ms(conch) for _ in range(rounds)]
    listing = [_list_p99_ms(conch) for _ in range(rounds)]
    idle = _idle_percent()
    failed, asked = await _soak(conch)
    back = [await _seconds_until_back(conch) for _ in range(rounds)]
    return [
        ("REST over direct gRPC, one short text, difference of the p50", "≤ 2 ms", f"{_spread(overhead)} ms"),
        (f"GET /api/v1/models/list with {KNOWN_MODELS} known models, p99", "< 20 ms", f"{_spread(listing)} ms"),
        (f"The controller over {IDLE_S:g} s without requests", "< 1 % of a core", f"{idle:.2f} %"),
        (f"Failed requests over {SOAK_SWITCHES} switches of version under {SOAK_CLIENTS} clients", "0",
         f"{failed} of {asked}"),
        ("SIGKILL of Triton until the first right answer", "≤ 15 s", f"{_spread(back)} s"),
    ]


def _intent_figures(measured: IntentSwitches) -> list[tuple[str, str, str]]:
    switches = 2 * len(measured.rollback_s)
    return [
        (f"Questions that the intent model did not answer over {switches} activations and rollbacks under {CLIENTS} "
         "clients", "0", f"{measured.failed} of {measured.asked}"),
        (f"A rollback of the intent model under {CLIENTS} clients, until nobody is answered by the version that goes",
         "≤ 5 s", f"{_spread(measured.rollback_s)} s"),
    ]


async def _overhead_ms(conch: ConchServer) -> float:
    """Return the difference of the p50 latencies; the two take turns, request by request."""
    latencies: dict[str, list[float]] = {"grpc": [], "rest": []}
    async with GrpcConnection(conch.grpc_address, MODEL) as grpc, _rest(conch) as rest:
        for _ in range(OVERHEAD_REQUESTS):
            for name, connection in (("grpc", grpc), ("rest", rest)):
                started = time.perf_counter()
                await connection.embed([TEXT])
                latencies[name].append((time.perf_counter() - started) * 1000)
    return float(np.median(latencies["rest"]) - np.median(latencies["grpc"]))


def _list_p99_ms(conch: ConchServer) -> float:
    latencies = []
    for _ in range(LIST_REQUESTS):
        started = time.perf_counter()
        models = conch.call("GET", "/api/v1/models/list")["models"]
        latencies.append((time.perf_counter() - started) * 1000)
    if len(models) < KNOWN_MODELS:
        raise AssertionError(f"{len(models)} models are known, {KNOWN_MODELS} were meant")
    return float(np.percentile(latencies, 99))


def _idle_percent() -> float:
    [controller] = [process for process in psutil.Process().children(recursive=True)
                    if process.cmdline()[1:3] == ["-m", "conch.controller"]]
    before = sum(controller.cpu_times()[:2])
    time.sleep(IDLE_S)
    return (sum(controller.cpu_times()[:2]) - before) / IDLE_S * 100


async def _soak(conch: ConchServer) -> tuple[int, int]:
    """Switch between two versions while clients ask; returns failed and asked requests."""
    answers = {"failed": 0, "asked": 0}
    stop = asyncio.Event()

    async def ask() -> None:
        async with _rest(conch) as connection:
            while not stop.is_set():
                answers["asked"] += 1
                try:
                    await connection.embed([TEXT])
                except (AnswerError, OSError):
                    answers["failed"] += 1

    clients = [asyncio.create_task(ask()) for _ in range(SOAK_CLIENTS)]
    for number in range(SOAK_SWITCHES):
        path = f"/api/v1/models/{MODEL}/versions/{1 + number % 2}/activate"
        await asyncio.to_thread(conch.call, "POST", path, {})
    stop.set()
    await asyncio.gather(*clients)
    return answers["failed"], answers["asked"]


async def _seconds_until_back(conch: ConchServer) -> float:
    """Kill Triton and return how long no right answer came."""
    async with _rest(conch) as connection:
        expected = await connection.embed([TEXT])
    [triton] = [process for process in psutil.Process().children(recursive=True) if process.name() == "tritonserver"]
    triton.kill()
    started = time.perf_counter()
    while time.perf_counter() - started < BACK_TIMEOUT_S:
        try:
            async with _rest(conch) as connection:
                if np.allclose(await connection.embed([TEXT]), expected, atol=1e-2):
                    return time.perf_counter() - started
        except (AnswerError, OSError):
            await asyncio.sleep(0.05)
    raise AssertionError(f"no right answer within {BACK_TIMEOUT_S} s")


def _rest(conch: ConchServer) -> RestConnection:
    return RestConnection(conch.rest_url, MODEL, "base64", conch.api_key)


def _repository(folder: Path) -> Path:
    """Return a repository with `fast` as version 1; version 2 is the same again."""
    source = find_version(load_settings())
    model_dir = folder / "model_repository" / MODEL
    for version in (1, 2):
        manifest = shutil.copytree(source, model_dir / str(version)) / "manifest.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": version}))
    shutil.copy(source.parent / "config.pbtxt", model_dir)
    return model_dir.parent


def _add_models(home: Path) -> None:
    home.mkdir()
    lines = [f'[[models]]\nalias = "known-{number}"\nhub_id = "org/known-{number}"\ntask = "embedding"\n'
             for number in range(KNOWN_MODELS)]
    (home / "catalog.toml").write_text("\n".join(lines))


def _spread(values: list[float]) -> str:
    spread = Spread(float(np.median(values)), min(values), max(values))
    return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})"


def _render(figures: list[tuple[str, str, str]]) -> str:
    machine = ", ".join(f"{name.lower()}: {value}" for name, value in describe_machine().items())
    rows = "\n".join(f"| {what} | {bound} | {figure} |" for what, bound, figure in figures)
    return (f"# The control plane around Triton\n\nWritten by `make bench-lifecycle`. Figures are the median over the "
            f"rounds, with the smallest and the largest in brackets.\n\nMachine: {machine}.\n\n"
            f"| What | Bound | Measured |\n| --- | --- | --- |\n{rows}\n")


if __name__ == "__main__":
    main()
