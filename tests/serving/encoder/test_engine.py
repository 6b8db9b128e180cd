"""Both engines behind their interface: results in order, damaged graphs named, only the asked-for runtime loaded."""

import subprocess
import sys

import numpy as np
import pytest

from export.contract import MODEL_FILE, RAW_EMBEDDING, SCORES, UNIT_EMBEDDING
from serving.encoder.engine import load_engine
from serving.encoder.packing import assemble
from serving.encoder.tokenization import TokenRow
from serving.errors import VersionLoadError
from tests.tolerances import BATCH_RELATIVE_ERROR
from tests.versions import relative_error

ENGINES = ("openvino", "onnxruntime")
OUTPUTS = (RAW_EMBEDDING, UNIT_EMBEDDING)
TEXTS = [TokenRow([2, *range(10, 10 + length), 3]) for length in (1, 2, 5, 9, 17, 30)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_the_order_of_the_batches_whatever_runs_at_once(small_versions, engine, threads):
    loaded = load_engine(small_versions[engine], engine, "fp32", threads, OUTPUTS)
    assert loaded.streams == threads
    # Long and short batches take turns, so that they do not end in the order in which they began.
    batches = [assemble(TEXTS, [[position]], 0) for position in (5, 0, 4, 1, 3, 2) * 4]
    expected = {batch.positions[0]: loaded.run([batch])[0] for batch in batches[:6]}
    for batch, found in zip(batches, loaded.run(batches), strict=True):
        for name in OUTPUTS:
            assert relative_error(found[name], expected[batch.positions[0]][name]) < BATCH_RELATIVE_ERROR


@pytest.mark.parametrize("engine", ENGINES)
def test_earlier_results_are_not_overwritten_by_later_runs(small_versions, engine):
    loaded = load_engine(small_versions[engine], engine, "fp32", 1, OUTPUTS)
    first = loaded.run([assemble(TEXTS, [[3]], 0)])[0]
    kept = {name: array.copy() for name, array in first.items()}
    loaded.run([assemble(TEXTS, [[2]], 0)] * 3)
    assert set(kept) == set(OUTPUTS)
    assert all(np.array_equal(first[name], kept[name]) for name in OUTPUTS)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_packed_text_comes_out_as_it_does_alone(small_versions, engine):
    loaded = load_engine(small_versions[engine], engine, "fp32", 1, OUTPUTS)
    packed = assemble(TEXTS, [[5, 0, 4], [3], [2, 1]], 0)
    alone = loaded.run([assemble(TEXTS, [[position]], 0) for position in packed.positions])
    found = loaded.run([packed])[0]
    for name in OUTPUTS:
        expected = np.concatenate([outputs[name] for outputs in alone])
        assert relative_error(found[name], expected) < BATCH_RELATIVE_ERROR


@pytest.mark.parametrize("engine", ENGINES)
def test_raw_and_unit_differ_in_length_only(small_versions, engine):
    loaded = load_engine(small_versions[engine], engine, "fp32", 1, OUTPUTS)
    found = loaded.run([assemble(TEXTS, [[0, 1], [2]], 0)])[0]
    raw, unit = found[RAW_EMBEDDING], found[UNIT_EMBEDDING]
    lengths = np.linalg.norm(raw, axis=1)
    assert raw.dtype == unit.dtype == np.float32
    assert (np.abs(lengths - 1) > 0.1).all()
    assert relative_error(unit, raw / lengths[:, None]) < BATCH_RELATIVE_ERROR


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_to_run_is_no_results(small_versions, engine):
    assert load_engine(small_versions[engine], engine, "fp32", 1, OUTPUTS).run([]) == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("content", [b"", b"no graph", None])
def test_a_damaged_graph_is_named_with_the_engine_and_its_reason(tmp_path, engine, content):
    if content is not None:
        (tmp_path / MODEL_FILE).write_bytes(content)
    with pytest.raises(VersionLoadError, match=f"cannot be loaded by {engine}: .+") as caught:
        load_engine(tmp_path, engine, "fp32", 1, OUTPUTS)
    assert str(tmp_path / MODEL_FILE) in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_truncated_graph_is_named(version_dir, engine):
    path = version_dir / MODEL_FILE
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(VersionLoadError, match=MODEL_FILE):
        load_engine(version_dir, engine, "fp32", 1, OUTPUTS)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_graph_without_an_output_that_is_asked_for_is_refused_when_it_loads(small_versions, engine):
    with pytest.raises(VersionLoadError, match=f"{MODEL_FILE} .* by {engine}: the graph has no output {SCORES}$"):
        load_engine(small_versions[engine], engine, "fp32", 1, (SCORES,))


def test_an_unknown_engine_is_refused_with_those_that_exist(tmp_path):
    with pytest.raises(VersionLoadError, match="'tensorrt'; known: openvino, onnxruntime"):
        load_engine(tmp_path, "tensorrt", "fp32", 1, OUTPUTS)


def test_a_precision_that_the_engine_does_not_have_is_refused(small_versions):
    with pytest.raises(VersionLoadError, match="int4"):
        load_engine(small_versions["openvino"], "openvino", "int4", 1, OUTPUTS)


@pytest.mark.parametrize(("engine", "other"), [ENGINES, ENGINES[::-1]])
def test_only_the_runtime_that_the_manifest_names_is_loaded(small_versions, engine, other):
    code = ("import sys; from pathlib import Path; from serving.encoder.encoder import TextEncoder\n"
            "TextEncoder.load(Path(sys.argv[1]), 1); print(*sys.modules)")
    run = subprocess.run([sys.executable, "-c", code, str(small_versions[engine])], capture_output=True, check=True)
    loaded = set(run.stdout.decode().split())
    assert engine in loaded
    assert not loaded & {other, "torch", "transformers"}
