import json
import os
import stat
from pathlib import Path

import pytest

from serving.perf_analyzer import (
    PerfAnalyzer,
    PerfAnalyzerError,
    find_perf_analyzer,
    input_data_from_texts,
    measurement_from_csv,
    verify_wheel,
)

HEADER = ("Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,"
          "Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency")
REPORT = f"{HEADER}\n32,1428.18,2,297,9485,39,11269,280,1,23417,24939,25100,28758\n"
# Stands in for perf_analyzer: keeps what it was given and writes the report that it was asked for.
FAKE = """#!/bin/sh
[ "$1" = --version ] && exit 0
echo "$@" > "{folder}/arguments"
while [ $# -gt 0 ]; do
  [ "$1" = --input-data ] && cp "$2" "{folder}/texts"
  [ "$1" = -f ] && cp "{folder}/report" "$2"
  shift
done
"""


def install(folder: Path, script: str) -> Path:
    path = folder / "perf_analyzer"
    path.write_text(script.format(folder=folder))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "report").write_text(REPORT)
    return path


def test_measurement_reads_microseconds_from_the_report():
    measured = measurement_from_csv(REPORT, cpu_s=0.5, wall_s=4.0)
    assert (measured.concurrency, measured.texts_per_s) == (32, 1428.18)
    assert (measured.p50_ms, measured.p90_ms, measured.p99_ms) == (23.417, 24.939, 28.758)
    assert (measured.server_queue_ms, measured.server_compute_ms) == (9.485, 11.269)
    assert (measured.analyzer_cpu_s, measured.analyzer_wall_s) == (0.5, 4.0)


@pytest.mark.parametrize("report", ["", HEADER, "Concurrency\n1\n", f"{HEADER}\n32,not a number\n"])
def test_a_report_of_another_shape_is_an_error(report):
    with pytest.raises(PerfAnalyzerError, match="unexpected report"):
        measurement_from_csv(report, 0, 0)


def test_input_data_holds_one_tensor_for_each_text():
    assert json.loads(input_data_from_texts(['say "hello"', "你好"])) == {
        "data": [{"text": ['say "hello"']}, {"text": ["你好"]}]}


def test_run_measures_each_concurrency_and_deals_the_texts_from_one_sender(tmp_path):
    analyzer = PerfAnalyzer(install(tmp_path, FAKE), dict(os.environ))
    measured = analyzer.run("fast", "127.0.0.1:1", ["a", "b"], concurrencies=[8, 32], texts_per_request=4, seconds=3)
    assert len(measured) == 2
    arguments = (tmp_path / "arguments").read_text()
    for expected in ("-m fast -u 127.0.0.1:1 -i grpc -b 4", "-p 1000", "-a --max-threads 1",
                     "--concurrency-range 32:32"):
        assert expected in arguments
    assert len(json.loads((tmp_path / "texts").read_text())["data"]) == 2


def test_a_failing_run_says_what_perf_analyzer_said(tmp_path):
    analyzer = PerfAnalyzer(install(tmp_path, "#!/bin/sh\necho no such model >&2\nexit 99\n"), dict(os.environ))
    with pytest.raises(PerfAnalyzerError, match=r"exit status 99\): no such model"):
        analyzer.run("fast", "127.0.0.1:1", ["a"])


def test_the_program_on_path_is_used_when_it_starts(tmp_path, monkeypatch):
    program = install(tmp_path, FAKE)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert find_perf_analyzer(tmp_path / "cache").executable == program
    assert not (tmp_path / "cache").exists()


def test_a_wheel_with_another_digest_is_refused(tmp_path):
    wheel = tmp_path / "tritonclient.whl"
    wheel.write_bytes(b"something else")
    with pytest.raises(PerfAnalyzerError, match="not used"):
        verify_wheel(wheel)
