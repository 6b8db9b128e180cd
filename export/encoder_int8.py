"""Quantises an encoder's matrices to int8 for OpenVINO, which quantises their inputs token by token as it computes.

Three things keep the result near the original (docs/decisions/0010). Channels that are larger than the rest are divided
and the matrix's rows multiplied by as much (SmoothQuant, Xiao et al. 2022). The few channels of an MLP that a
transformer lets grow tenfold for single tokens stay in floating point, beside the product of integers (LLM.int8(),
Dettmers et al. 2022). The matrices are rounded by export.gptq. Knows nothing of checkpoints.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.calibration import SeenInputs, observe_inputs
from export.errors import UnsupportedModelError
from export.gptq import round_matrix

# How much of the difference between channels is moved into the matrix: SmoothQuant's alpha and its default. 0.4, 0.6
# and 0.7 were no better on all-MiniLM-L6-v2 (docs/decisions/0010).
_SMOOTHING = 0.5
_KEPT_SHARE = 1 / 48  # of an MLP's channels: 32 of 1,536
_MIN_INPUTS = 32      # of a matrix that is worth it
_TOKEN_AXES = 3       # rows, tokens and channels; what comes after the pooling has no tokens any more
_SMALLEST = 1e-6


def quantize_encoder(path: Path, token_ids: Sequence[Sequence[int]]) -> None:
    """Quantise in place the matrices that tokens are multiplied with.

    `token_ids` are calibration texts, special tokens included. Raises UnsupportedModelError where the graph does not
    tell which matrices these are; a matrix that is overlooked would stay in floating point without a word.
    """
    model = onnx.load(str(path))
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = _readers_of_tokens(model, weights)
    seen = observe_inputs(model, list(readers), token_ids)
    replacements: dict[str, list[onnx.NodeProto]] = {}
    for name, nodes in readers.items():
        matrices = [numpy_helper.to_array(weights[node.input[1]]) for node in nodes]
        replacements |= _quantized(model.graph, nodes, matrices, seen[name])
    _replace(model.graph, replacements)
    onnx.save(model, str(path))


def _readers_of_tokens(model: onnx.ModelProto, weights: dict[str, onnx.TensorProto]) -> dict[str, list[onnx.NodeProto]]:
    """Return the products of tokens with matrices, by what is multiplied."""
    axes = _axes_of_tensors(model)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and _is_worth_it(weights.get(node.input[1])):
            if node.input[0] not in axes:
                raise UnsupportedModelError(f"int8 cannot be had: the graph does not tell whether {node.input[1]} "
                                            "multiplies tokens or sentences; export in bf16")
            if axes[node.input[0]] == _TOKEN_AXES:
                readers.setdefault(node.input[0], []).append(node)
    if not readers:
        raise UnsupportedModelError("int8 cannot be had: no matrix of the graph multiplies tokens; export in bf16")
    return readers


def _axes_of_tensors(model: onnx.ModelProto) -> dict[str, int]:
    """Return how many axes each value has whose shape the graph tells."""
    inferred = onnx.shape_inference.infer_shapes(model)
    return {value.name: len(value.type.tensor_type.shape.dim) for value in inferred.graph.value_info
            if value.type.tensor_type.HasField("shape")}


def _is_worth_it(weight: onnx.TensorProto | None) -> bool:
    return weight is not None and len(weight.dims) == 2 and weight.dims[0] >= _MIN_INPUTS


def _quantized(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto], matrices: Sequence[np.ndarray],
               seen: SeenInputs) -> dict[str, list[onnx.NodeProto]]:
    """Return what takes the place of each of the `nodes`, which all multiply the same tensor, by their names."""
    kept, scales = _kept_channels(seen, matrices), _smoothing_scales(seen, matrices)
    shares = 1 / scales
    shares[kept] = 0
    source = nodes[0].input[0]
    # Columns do not know of each other, so matrices of the same inputs are rounded as one.
    codes, column_scales = round_matrix(np.concatenate(matrices, axis=1) * scales[:, None],
                                        seen.gram * np.outer(shares, shares))
    ends = np.cumsum([matrix.shape[1] for matrix in matrices])[:-1]
    products = {node.name: _product_of_integers(graph, node, *part) for node, *part in zip(
        nodes, np.split(codes, ends, axis=1), np.split(column_scales, ends), strict=True)}
    if kept.size:
        for node, matrix in zip(nodes, matrices, strict=True):
            products[node.name] = _with_kept_channels(graph, products[node.name], source, matrix, kept)
    smoothing = _constant(graph, f"{source}/smoothing", shares.astype(np.float32))
    products[nodes[0].name].insert(0, helper.make_node("Mul", [source, smoothing], [_smooth(source)],
                                                       name=f"{_smooth(source)}/node"))
    return products


def _kept_channels(seen: SeenInputs, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Return the channels to leave in floating point; only of an MLP's second matrix, whose inputs no norm bounds."""
    inputs, columns = matrices[0].shape
    return np.sort(np.argsort(-seen.peaks, kind="stable")[:int(_KEPT_SHARE * inputs) if inputs > columns else 0])


def _smoothing_scales(seen: SeenInputs, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Return by what each channel is divided and its row multiplied; float64 [channels], of geometric mean 1."""
    rows = np.max([np.abs(matrix).max(axis=1) for matrix in matrices], axis=0)
    sizes = np.maximum(seen.root_mean_squares, _SMALLEST) ** _SMOOTHING
    scales = sizes / np.maximum(rows, _SMALLEST) ** (1 - _SMOOTHING)
    return scales / np.exp(np.log(scales).mean())


def _product_of_integers(graph: onnx.GraphProto, node: onnx.NodeProto, codes: np.ndarray,
                         scales: np.ndarray) -> list[onnx.NodeProto]:
    """Return the nodes of a product that OpenVINO computes in integers; the last has the name of `node`."""
    matrix = node.input[1]
    integers = _constant(graph, f"{matrix}/int8", np.ascontiguousarray(codes))
    columns = _constant(graph, f"{matrix}/scales", scales)
    return [helper.make_node("DequantizeLinear", [integers, columns], [f"{matrix}/float"],
                             name=f"{matrix}/float/node", axis=1),
            helper.make_node("MatMul", [_smooth(node.input[0]), f"{matrix}/float"], list(node.output), name=node.name)]


def _with_kept_channels(graph: onnx.GraphProto, product: Sequence[onnx.NodeProto], source: str, matrix: np.ndarray,
                        kept: np.ndarray) -> list[onnx.NodeProto]:
    """Return the nodes of a product of integers and, added to it, that of the channels of `source` it leaves out."""
    *before, last = product
    result = last.output[0]
    channels = _constant(graph, f"{result}/channels", kept.astype(np.int64))
    rows = _constant(graph, f"{result}/rows", np.ascontiguousarray(matrix[kept]))
    return [*before,
            helper.make_node("MatMul", last.input, [f"{result}/most"], name=last.name),
            helper.make_node("Gather", [source, channels], [f"{result}/kept"], name=f"{result}/kept/node", axis=-1),
            helper.make_node("MatMul", [f"{result}/kept", rows], [f"{result}/rest"], name=f"{result}/rest/node"),
            helper.make_node("Add", [f"{result}/most", f"{result}/rest"], [result], name=f"{result}/node")]


def _smooth(name: str) -> str:
    return f"{name}/smooth"


def _constant(graph: onnx.GraphProto, name: str, value: np.ndarray) -> str:
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def _replace(graph: onnx.GraphProto, replacements: dict[str, list[onnx.NodeProto]]) -> None:
    """Put the replacements where the nodes of those names stand, and drop the matrices that nobody reads any more."""
    nodes = [item for node in graph.node for item in replacements.get(node.name, [node])]
    read = {name for node in nodes for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
