"""Matrices with a scale for each column multiply what is evenly spread, a row like it does alone."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.decoder_columns import REACH, quantize_columns

INPUTS, COLUMNS = 64, 48


@pytest.fixture
def matrices():
    random = np.random.default_rng(0)
    return {name: random.standard_normal((INPUTS, COLUMNS)).astype(np.float32) for name in ("gate", "up", "other")}


@pytest.fixture
def session(matrices):
    nodes = [helper.make_node("MatMul", ["y" if name == "other" else "x", f"{name}.weight"], [f"{name}.out"], name=name)
             for name in matrices]
    graph = helper.make_graph(
        nodes, "products", [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", INPUTS]) for name in "xy"],
        [helper.make_tensor_value_info(f"{name}.out", TensorProto.FLOAT, ["rows", COLUMNS]) for name in matrices],
        [numpy_helper.from_array(matrix, f"{name}.weight") for name, matrix in matrices.items()])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    quantize_columns(model, {"x": np.eye(INPUTS)})
    kinds = [node.op_type for node in model.graph.node]
    assert sorted(kinds) == ["MatMul", "MatMulIntegerToFloat", "MatMulIntegerToFloat", "QuantizeLinear"]
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def products(session, x):
    return session.run(None, {"x": x, "y": x})


def rows(count):
    return np.clip(np.random.default_rng(1).standard_normal((count, INPUTS)), -REACH, REACH).astype(np.float32)


def test_products_are_close_and_those_of_other_values_exact(session, matrices):
    x = rows(9)
    gate, up, other = products(session, x)
    for found, name in ((gate, "gate"), (up, "up")):
        error = np.sqrt(np.mean((found - x @ matrices[name]) ** 2)) / np.sqrt(np.mean((x @ matrices[name]) ** 2))
        assert 0 < error < 0.02
    np.testing.assert_allclose(other, x @ matrices["other"], rtol=1e-4, atol=1e-4)


def test_a_row_gives_the_same_in_any_company(session):
    x = rows(9)
    together = products(session, x)[0]
    for count in (1, 2, 3, 8):
        np.testing.assert_array_equal(products(session, x[:count])[0], together[:count])


def test_what_lies_beyond_the_reach_is_cut(session, matrices):
    x = np.zeros((1, INPUTS), np.float32)
    x[0, 0] = 100 * REACH
    np.testing.assert_allclose(products(session, x)[0][0], REACH * matrices["gate"][0], rtol=0.02, atol=0.1)
