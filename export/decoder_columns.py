"""Quantises matrices to 8 bits with one scale for each column, and what they are multiplied with by a fixed scale.

For matrices that read a norm of a turned residual stream (export.decoder_rotation): each of their inputs has mean
square 1 and is spread about evenly, so that one scale fits all. The product is then of integers alone, which ONNX
Runtime computes twice as fast as blocks of which each has a scale. Matrices are rounded by export.gptq. Knows nothing
of recipes.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.gptq import STEPS, round_matrix

# In standard deviations. Further out is cut; of 8 bits the steps are finer the less they must reach. Measured on
# SmolLM2-135M (docs/decisions/0008).
REACH = 4.0
_MICROSOFT = "com.microsoft"
_SCALE, _ZERO_POINT = "/columns/activation_scale", "/columns/activation_zero_point"


def quantize_columns(model: onnx.ModelProto, grams: Mapping[str, np.ndarray]) -> None:
    """Replace in place the MatMul nodes that multiply one of the values `grams`, by name, with a matrix.

    A gram is the sum of x xᵀ over what the value may be, float [inputs, inputs], and each value is multiplied. Inputs
    become uint8, matrices int8 [inputs, columns].
    """
    model.graph.initializer.extend([
        numpy_helper.from_array(np.array(REACH / STEPS, np.float32), _SCALE),
        numpy_helper.from_array(np.array(STEPS + 1, np.uint8), _ZERO_POINT)])
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, gram in grams.items():
        nodes = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[0] == name]
        _insert_before(model, _quantized_input(name), nodes[0])
        matrices = [numpy_helper.to_array(weights[node.input[1]]) for node in nodes]
        codes, scales = round_matrix(np.concatenate(matrices, axis=1), gram)
        ends = np.cumsum([matrix.shape[1] for matrix in matrices])[:-1]
        for node, *found in zip(nodes, np.split(codes, ends, axis=1), np.split(scales, ends), strict=True):
            _replace(model, node, weights[node.input[1]], *found)


def _replace(model: onnx.ModelProto, node: onnx.NodeProto, weight: onnx.TensorProto, codes: np.ndarray,
             scales: np.ndarray) -> None:
    matrix, scale = f"{node.input[1]}_columns", f"{node.input[1]}_column_scales"
    weight.CopyFrom(numpy_helper.from_array(codes, matrix))
    model.graph.initializer.append(numpy_helper.from_array(scales, scale))
    node.CopyFrom(helper.make_node(
        "MatMulIntegerToFloat", [_codes(node.input[0]), matrix, _SCALE, scale, _ZERO_POINT], list(node.output),
        name=node.name, domain=_MICROSOFT))


def _quantized_input(name: str) -> onnx.NodeProto:
    return helper.make_node("QuantizeLinear", [name, _SCALE, _ZERO_POINT], [_codes(name)], name=f"{_codes(name)}/node")


def _codes(name: str) -> str:
    return f"{name}/codes"


def _insert_before(model: onnx.ModelProto, added: onnx.NodeProto, node: onnx.NodeProto) -> None:
    place = next(index for index, item in enumerate(model.graph.node) if item.name == node.name)
    model.graph.node.insert(place, added)
