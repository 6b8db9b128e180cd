"""An evaluation over REST on a running platform."""

import time

import pytest

PAIRS = [("How do I reset my password?", "I forgot my password.", 1), ("Where is my parcel?", "Track my delivery.", 1),
         ("How do I reset my password?", "The cat sleeps on the sofa.", 0), ("Where is my parcel?", "I like jazz.", 0)]
LABELLED = [("I forgot my password", "account"), ("reset the password", "account"), ("where is my parcel", "delivery"),
            ("my parcel has not arrived", "delivery")]
LIMIT_S = 60


def evaluate(platform, body: dict) -> dict:
    answer = platform.rest("POST", "/api/v1/models/evaluate", body)
    assert answer.status == 202, answer
    deadline = time.monotonic() + LIMIT_S
    while (job := platform.rest("GET", answer.headers["Location"]).body)["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert job["state"] == "succeeded", job
    return job["result"]["models"]


@pytest.fixture(scope="module")
def scored(platform):
    pairs = [{"first": first, "second": second, "score": score} for first, second, score in PAIRS]
    return evaluate(platform, {"models": ["fast"], "pairs": pairs})["fast"]


def test_alike_pairs_are_told_from_unlike_ones(scored):
    assert scored["accuracy"] == 1
    assert scored["spearman"] > 0.8


def test_what_it_costs_is_measured(scored):
    assert scored["version"] == 1
    assert 0 < scored["latency_p50_ms"] <= scored["latency_p95_ms"]
    assert scored["texts_per_s"] > 0
    assert scored["processor_s_per_1000_texts"] >= 0
    assert scored["memory_bytes"] > 100e6


def test_a_labelled_set(platform):
    labelled = [{"text": text, "label": label} for text, label in LABELLED]
    assert evaluate(platform, {"models": ["fast"], "labelled": labelled})["fast"]["accuracy"] == 1


def test_an_unknown_model_is_refused_at_once(platform):
    body = {"models": ["nope"], "labelled": [{"text": "a", "label": "b"}, {"text": "c", "label": "d"}]}
    assert platform.rest("POST", "/api/v1/models/evaluate", body).status == 404
