"""Which engine and precision an export may ask for, and what it gets when it does not ask."""

import pytest

from export.errors import UnsupportedModelError
from export.precision import ENGINES, PRECISIONS, SUPPORTED, choose_precision

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
    if precision in SUPPORTED[engine]:
        assert choose_precision(engine, precision) == precision
        return
    with pytest.raises(UnsupportedModelError, match="openvino: fp32, bf16; onnxruntime: fp32, int8"):
        choose_precision(engine, precision)
