"""Quantises matrices to 8 bits with one scale for each column, and what they are multiplied with by a fixed scale.

For matrices that read a norm of a turned residual stream (export.decoder_rotation): each of their inputs has mean
square 1 and is spread about evenly, so that one scale fits all. The product is then of integers alone, which ONNX
Runtime computes twice as fast as blocks of which each has a scale. Knows nothing of recipes.
"""

from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper, numpy_helper

# In standard deviations. Further out is cut; of 8 bits the steps are finer the less they must reach. Measured on
# SmolLM2-135M (docs/decisions/0008).
REACH = 4.0
_STEPS = 127
_MICROSOFT = "com.microsoft"
_SCALE, _ZERO_POINT = "/columns/activation_scale", "/columns/activation_zero_point"


def quantize_columns(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Replace the MatMul nodes of those names in place; inputs become uint8, matrices int8 [inputs, columns]."""
    nodes = {node.name: node for node in model.graph.node if node.name in names}
    model.graph.initializer.extend([
        numpy_helper.from_array(np.array(REACH / _STEPS, np.float32), _SCALE),
        numpy_helper.from_array(np.array(_STEPS + 1, np.uint8), _ZERO_POINT)])
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in dict.fromkeys(node.input[0] for node in nodes.values()):
        _insert_before(model, _quantized_input(name), next(node for node in nodes.values() if node.input[0] == name))
    for node in nodes.values():
        values, scales = _quantized_columns(numpy_helper.to_array(weights[node.input[1]]))
        matrix, scale = f"{node.input[1]}_columns", f"{node.input[1]}_column_scales"
        weights[node.input[1]].CopyFrom(numpy_helper.from_array(values, matrix))
        model.graph.initializer.append(numpy_helper.from_array(scales, scale))
        node.CopyFrom(helper.make_node(
            "MatMulIntegerToFloat", [_codes(node.input[0]), matrix, _SCALE, scale, _ZERO_POINT], list(node.output),
            name=node.name, domain=_MICROSOFT))


def _quantized_columns(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 [inputs, columns] and the scales, float32 [columns]."""
    scales = np.abs(matrix).max(axis=0) / _STEPS
    scales[scales == 0] = 1
    return np.rint(matrix / scales).astype(np.int8), scales.astype(np.float32)


def _quantized_input(name: str) -> onnx.NodeProto:
    return helper.make_node("QuantizeLinear", [name, _SCALE, _ZERO_POINT], [_codes(name)], name=f"{_codes(name)}/node")


def _codes(name: str) -> str:
    return f"{name}/codes"


def _insert_before(model: onnx.ModelProto, added: onnx.NodeProto, node: onnx.NodeProto) -> None:
    place = next(index for index, item in enumerate(model.graph.node) if item.name == node.name)
    model.graph.node.insert(place, added)
