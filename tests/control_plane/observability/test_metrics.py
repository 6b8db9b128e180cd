import pytest

from control_plane.observability.metrics import LATENCY_BUCKETS_S, STATE_METRICS, Metrics
from control_plane.settings import Settings


def test_metrics_of_two_applications_in_one_process_are_apart():
    first, second = Metrics(), Metrics()
    first.of_model("tiny").requests.inc()
    assert first.registry.get_sample_value("conch_requests_total", {"model": "tiny"}) == 1
    assert second.registry.get_sample_value("conch_requests_total", {"model": "tiny"}) is None


def test_the_series_of_a_model_are_looked_up_once():
    metrics = Metrics()
    assert metrics.of_model("tiny") is metrics.of_model("tiny")
    assert metrics.of_model("tiny") is not metrics.of_model("other")


def test_the_buckets_reach_to_the_longest_wait():
    assert list(LATENCY_BUCKETS_S) == sorted(set(LATENCY_BUCKETS_S))
    assert LATENCY_BUCKETS_S[-1] >= Settings().inference_timeout_s


def test_no_name_is_defined_twice():
    recorded = {family.name for family in Metrics().registry.collect()}
    assert recorded.isdisjoint(STATE_METRICS)
    assert all(name.startswith("conch_") for name in recorded | set(STATE_METRICS))


@pytest.mark.parametrize("name", STATE_METRICS)
def test_what_is_read_at_a_scrape_has_a_meaning(name):
    assert STATE_METRICS[name][0]
