"""Which engine and precision an export may ask for, and what it gets when it does not ask."""

import pytest

from export.contract import EMBEDDING, TEXT_GENERATION
from export.errors import UnsupportedModelError
from export.precision import ENGINES, GENERATOR_SUPPORTED, PRECISIONS, SUPPORTED, choose_format, choose_precision

WITH_BF16 = "processor\t: 0\nflags\t\t: fpu sse2 avx512f avx512_bf16\n"
WITH_AMX = "processor\t: 0\nflags\t\t: fpu amx_bf16 amx_tile\n"
WITHOUT_BF16 = "processor\t: 0\nmodel name\t: avx512_bf16 in a name\nflags\t\t: fpu sse2 avx2\n"


@pytest.mark.parametrize(("engine", "cpuinfo", "expected"), [
    ("openvino", WITH_BF16, "bf16"),
    ("openvino", WITH_AMX, "bf16"),
    ("openvino", WITHOUT_BF16, "fp32"),
    ("openvino", "", "fp32"),
    ("onnxruntime", WITH_BF16, "fp32"),
    ("onnxruntime", WITHOUT_BF16, "fp32"),
])
def test_without_a_wish_the_best_precision_that_engine_and_processor_have_is_taken(tmp_path, engine, cpuinfo, expected):
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo)
    assert choose_precision(engine, None, file) == expected


def test_where_the_processor_says_nothing_float32_is_taken(tmp_path):
    assert choose_precision("openvino", None, tmp_path / "none") == "fp32"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_wish_is_granted_where_the_engine_has_it_and_refused_with_what_exists_elsewhere(engine, precision):
    if precision in SUPPORTED.get(engine, ()):
        assert choose_precision(engine, precision) == precision
        return
    with pytest.raises(UnsupportedModelError, match="openvino: fp32, bf16, int8; onnxruntime: fp32, int8"):
        choose_precision(engine, precision)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_generator_is_granted_what_its_engine_has_and_refused_with_what_exists_elsewhere(engine, precision):
    if precision in GENERATOR_SUPPORTED.get(engine, ()):
        assert choose_format(TEXT_GENERATION, engine, precision) == (engine, precision)
        return
    with pytest.raises(UnsupportedModelError, match="onnxruntime: int8, int4, fp32; onnxruntime-cuda: fp16, bf16"):
        choose_format(TEXT_GENERATION, engine, precision)


def test_the_defaults_depend_on_the_task():
    assert choose_format(TEXT_GENERATION, None, None) == ("onnxruntime", "int8")
    assert choose_format(TEXT_GENERATION, "onnxruntime-cuda", None) == ("onnxruntime-cuda", "fp16")
    assert choose_format(TEXT_GENERATION, "vllm", None) == ("vllm", "bf16")
    assert choose_format(EMBEDDING, None, "fp32") == ("openvino", "fp32")
    for task, engine in ((EMBEDDING, "onnxruntime-cuda"), (TEXT_GENERATION, "openvino")):
        with pytest.raises(UnsupportedModelError, match=f"engine {engine} does not run this kind of model"):
            choose_format(task, engine, None)
