import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from control_plane.observability.exposition import Exposition
from control_plane.observability.metrics import Metrics
from tests.meta.source_tree import ROOT

WORKER = """
from control_plane.observability.metrics import Metrics
metrics = Metrics()
series = metrics.of_model("tiny")
series.requests.inc(2)
series.active.inc()
series.duration.observe(0.02)
metrics.errors.labels("tiny", "internal").inc()
"""


class NoState(Collector):
    """A platform of which nothing is known."""

    def collect(self):
        return []


@pytest.fixture
def parse():
    def parse_page(exposition: Exposition) -> dict[tuple[str, ...], float]:
        return {(sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
                for family in text_string_to_metric_families(exposition.page().decode()) for sample in family.samples}

    return parse_page


def run_worker(folder) -> None:
    """Count in a process of its own, as a web worker does."""
    subprocess.run([sys.executable, "-c", WORKER], env={"PROMETHEUS_MULTIPROC_DIR": str(folder)}, cwd=ROOT, check=True)


def test_workers_are_added_up_also_after_their_end(tmp_path, parse):
    run_worker(tmp_path)
    run_worker(tmp_path)
    found = parse(Exposition(Metrics(), NoState(), tmp_path))
    assert found["conch_requests_total", "tiny"] == 4
    assert found["conch_request_errors_total", "tiny", "internal"] == 2
    assert found["conch_request_duration_seconds_count", "tiny"] == 2
    assert found["conch_request_duration_seconds_bucket", "0.01", "tiny"] == 0
    assert found["conch_request_duration_seconds_bucket", "0.025", "tiny"] == 2
    assert found["conch_active_requests", "tiny"] == 2


def test_a_process_alone_shows_its_own(parse):
    metrics = Metrics()
    metrics.of_model("tiny").requests.inc()
    found = parse(Exposition(metrics, NoState(), None))
    assert found["conch_requests_total", "tiny"] == 1
    assert not any(name.endswith("_created") for name, *_ in found)
