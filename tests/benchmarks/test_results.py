import json
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.contestants import (
    CONCH_GRPC,
    CONCH_HTTP_INT8,
    CONCH_PERF_ANALYZER,
    CONCH_REST_BASE64,
    CONCH_REST_INT8,
    LIMIT,
)
from benchmarks.plot import Bar, draw_bars
from benchmarks.report import render
from benchmarks.results import Results, Sample, Spread, min_cosine, ratio_of
from benchmarks.targets import verdicts

INT8, FP32 = "infinity-optimum-int8", "infinity-optimum-fp32"


def sample(contestant: str, texts_per_s: float, scenario: str = "32x1", number: int = 0, p99_ms: float = 50) -> Sample:
    return Sample(contestant, "short", scenario, number, texts_per_s, p50_ms=20, p99_ms=p99_ms, client_cores=0.1)


def results_of(*samples: Sample) -> Results:
    cosines = {FP32: 0.9999999, INT8: 0.98}
    return Results({"Cores": "2"}, {"Python": "3.11"}, {"Rounds": "1"}, {CONCH_GRPC: "gRPC"}, list(samples), cosines)


def verdict_of(results: Results, start: str):
    [found] = [verdict for verdict in verdicts(results) if verdict.target.startswith(start)]
    return found


def test_ratio_pairs_the_turns_of_a_round():
    # Both slow down in round 1: the ratio stays the same.
    assert ratio_of({0: 90, 1: 45}, {0: 100, 1: 50}) == Spread(0.9, 0.9, 0.9)
    assert ratio_of({0: 90}, {1: 50}) is None


def test_min_cosine_ignores_lengths_and_finds_the_worst_row():
    reference = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert min_cosine(reference, 3 * reference) == pytest.approx(1)
    assert min_cosine(reference, np.array([[1.0, 0.0], [1.0, 1.0]])) == pytest.approx(np.sqrt(0.5))


def test_results_survive_json():
    results = results_of(sample(CONCH_GRPC, 500))
    assert Results.from_document(json.loads(json.dumps(results.to_document()))) == results


@pytest.mark.parametrize(("texts_per_s", "passed"), [(84, False), (85, True)])
def test_the_limit_is_approached_to_85_percent(texts_per_s, passed):
    results = results_of(sample(CONCH_PERF_ANALYZER, texts_per_s), sample(LIMIT, 100))
    assert verdict_of(results, "gRPC with perf_analyzer / in-process limit, 32x1").passed is passed


def test_the_best_rival_is_the_fastest_of_the_same_quality_and_the_other_is_shown_for_comparison():
    results = results_of(sample(CONCH_REST_BASE64, 500), sample(FP32, 200), sample(INT8, 400))
    best = verdict_of(results, "REST base64 / infinity's best engine of the same quality, 32x1")
    assert FP32 in best.target
    assert (best.measured.median, best.passed) == (2.5, True)
    other = verdict_of(results, "REST base64 / infinity's best engine of lower quality, 32x1")
    assert (other.measured.median, other.passed) == (1.25, None)


@pytest.mark.parametrize(("ours", "label"), [
    (CONCH_REST_INT8, "REST base64 with int8"), (CONCH_HTTP_INT8, "Triton's HTTP with int8")])
@pytest.mark.parametrize(("cosine", "passed"), [(0.9991, True), (0.9989, None)])
def test_our_int8_is_held_against_the_bounds_where_it_is_of_the_same_quality(ours, label, cosine, passed):
    results = results_of(sample(ours, 500), sample(FP32, 200))
    results.min_cosines[ours] = cosine
    best = verdict_of(results, f"{label} / infinity's best engine of the same quality, 32x1")
    assert (best.measured.median, best.passed) == (2.5, passed)


def test_what_was_not_measured_neither_passes_nor_fails():
    results = results_of(sample(CONCH_GRPC, 500))
    assert {verdict.passed for verdict in verdicts(results)} == {None}


@pytest.mark.parametrize(("p99_ms", "passed"), [(99.9, True), (100.0, False)])
def test_the_tail_must_stay_under_100_ms(p99_ms, passed):
    results = results_of(sample(CONCH_GRPC, 500, "16x1", p99_ms=p99_ms))
    assert verdict_of(results, f"p99 in ms, {CONCH_GRPC}").passed is passed


def test_report_orders_by_throughput_and_names_every_miss():
    results = results_of(sample(CONCH_PERF_ANALYZER, 50), sample(CONCH_GRPC, 500), sample(LIMIT, 100))
    report = render(results, {"A picture": "plots/a.svg"})
    assert report.index(f"| {CONCH_GRPC} | 500 (500–500)") < report.index(f"| {CONCH_PERF_ANALYZER} | 50 (50–50)")
    assert report.count("**miss**") == 1
    assert "![A picture](plots/a.svg)" in report


def test_bars_are_well_formed_and_the_longest_comes_first():
    drawing = draw_bars("Texts < per & second", [Bar("slow", Spread(1, 1, 1), "theirs"),
                                                 Bar("fast", Spread(9, 8, 10), "ours")])
    texts = [element.text for element in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own drawing
    assert texts == ["Texts < per & second", "fast", "9", "slow", "1"]
