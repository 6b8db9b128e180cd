"""`conch perf` runs NVIDIA's perf_analyzer, found or assembled, against the served model."""

import subprocess

import pytest

from tests.functional.platform import CONCH


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_perf_prints_a_table_measured_by_perf_analyzer(platform, protocol):
    run = subprocess.run([CONCH, "perf", "fast", "--concurrency", "1,4", "--seconds", "1", "--protocol", protocol],
                         env=platform.environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    heading, *rows = run.stdout.splitlines()
    assert heading.split()[:2] == ["CONCURRENCY", "TEXTS/S"]
    assert [row.split()[0] for row in rows] == ["1", "4"]
    assert all(float(row.split()[1]) > 0 for row in rows)


def test_perf_of_a_model_that_is_not_loaded_says_so(platform):
    run = subprocess.run([CONCH, "perf", "nothing", "--concurrency", "1", "--seconds", "1"],
                         env=platform.environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 1
    assert "Is nothing loaded" in run.stderr
