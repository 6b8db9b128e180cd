"""Lets the contestants take turns and notes what each turn measured; knows nothing of reports."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import chain

import numpy as np
from tqdm import tqdm

from benchmarks.client import TEXTS_OF_A_MIX, Load, Measurement
from benchmarks.contestants import CONCH_PERF_ANALYZER
from benchmarks.in_process import InProcessWorker
from benchmarks.results import SCENARIOS, Sample, Scenario
from serving.perf_analyzer import PerfAnalyzer
from serving.sample_texts import sample_texts

# A slow contestant answers 4 × 32 long texts in some seconds; requests under way when the time is up are waited for.
CLIENT_ALLOWANCE_S = 120
# perf_analyzer counts whole requests only, so that its turn must be long against one: 4 × 32 long texts are answered
# together, after two seconds, and a turn of twelve would count six times or seven.
PERF_ANALYZER_FACTORS = {"short": 3, "long": 9}


@dataclass(frozen=True)
class Turn:
    """One thing to measure in every round: whose, what, and how."""

    contestant: str
    mix: str
    scenario: str
    take: Callable[[], Sample]  # its round number is filled in by play()


def play(turns: list[Turn], rounds: int, on_turn: Callable[[Turn, int], None]) -> list[Sample]:
    """Take every turn once a round: one mix after the other, of each one scenario after the other, and of each all
    contestants, so that little time lies between what is compared. Each round starts with another contestant.
    """
    scenarios: dict[str, dict[str, list[Turn]]] = {}
    for turn in turns:
        scenarios.setdefault(turn.mix, {}).setdefault(turn.scenario, []).append(turn)
    samples = []
    for number in range(rounds):
        for alike in chain.from_iterable(of_mix.values() for of_mix in scenarios.values()):
            start = number * len(alike) // rounds
            for turn in alike[start:] + alike[:start]:
                on_turn(turn, number)
                samples.append(replace(turn.take(), round=number))
    return samples


def play_with_bar(turns: list[Turn], rounds: int) -> list[Sample]:
    """Do what `play` does and show how far it is, and whose turn it is."""
    with tqdm(total=len(turns) * rounds, unit="turn") as bar:
        def show(turn: Turn, number: int) -> None:
            bar.update(bar.postfix is not None)
            bar.set_postfix_str(f"round {number + 1}: {turn.contestant}, {turn.mix}, {turn.scenario}")

        samples = play(turns, rounds, show)
        bar.update()
    return samples


def client_turns(name: str, load: Load, mixes: list[str], duration_s: float) -> list[Turn]:
    """Return the turns of a contestant over the wire, measured with our client."""
    return [
        _client_turn(name, load, mix, scenario, duration_s)
        for mix in mixes for scenario in SCENARIOS if wants(mix, scenario)
    ]


def wants(mix: str, scenario: Scenario) -> bool:
    """Say whether a scenario is measured with a mix: 16x1 is about the tail of short requests."""
    return mix == "short" or scenario.name != "16x1"


def perf_analyzer_turns(
    analyzer: PerfAnalyzer, address: str, model: str, mixes: list[str], duration_s: float
) -> list[Turn]:
    """Return the turns that perf_analyzer measures at Triton's gRPC `address`."""
    def take(mix: str, scenario: Scenario) -> Sample:
        [measured] = analyzer.run(
            model, address, sample_texts(mix, TEXTS_OF_A_MIX[mix]), concurrencies=[scenario.concurrency],
            texts_per_request=scenario.texts_per_request,
            seconds=duration_s * PERF_ANALYZER_FACTORS[mix])
        return Sample(CONCH_PERF_ANALYZER, mix, scenario.name, 0, measured.texts_per_s, measured.p50_ms,
                      measured.p99_ms, measured.analyzer_cpu_s / measured.analyzer_wall_s)

    return [Turn(CONCH_PERF_ANALYZER, mix, scenario.name, lambda mix=mix, scenario=scenario: take(mix, scenario))
            for mix in mixes for scenario in SCENARIOS[:2]]


def in_process_turns(name: str, worker: InProcessWorker, mixes: list[str], duration_s: float) -> list[Turn]:
    """Return the turns of a contestant without a server.

    It does the same in each of them, but what it is held against lies minutes apart, and the machine's speed with it.
    """
    def take(mix: str, scenario: Scenario) -> Sample:
        return Sample(name, mix, scenario.name, 0, worker.measure(mix, duration_s))

    return [Turn(name, mix, scenario.name, lambda mix=mix, scenario=scenario: take(mix, scenario))
            for mix in mixes for scenario in SCENARIOS[:2]]


def probe(load: Load, texts: list[str]) -> np.ndarray:
    """Return what a contestant makes of `texts`, float32 [len(texts), dimension]."""
    return np.array(_run_client(replace(load, probe_texts=texts)), dtype=np.float32)


def _client_turn(name: str, load: Load, mix: str, scenario: Scenario, duration_s: float) -> Turn:
    full = replace(load, mix=mix, concurrency=scenario.concurrency, texts_per_request=scenario.texts_per_request,
                   duration_s=duration_s, warmup_s=min(1.0, duration_s / 2))

    def take() -> Sample:
        measured = Measurement(**_run_client(full))
        return Sample(name, mix, scenario.name, 0, measured.texts_per_s, measured.p50_ms, measured.p99_ms,
                      measured.client_cpu_s / measured.duration_s)

    return Turn(name, mix, scenario.name, take)


def _run_client(load: Load) -> object:
    """Run benchmarks.client in a process of its own; raises subprocess errors, its traceback on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.client"], input=json.dumps(asdict(load)), stdout=subprocess.PIPE, text=True,
        check=True, timeout=load.warmup_s + load.duration_s + CLIENT_ALLOWANCE_S)
    return json.loads(done.stdout)
