"""Packs the weights of an int8 decoder's graph for our code, if the graph is of the kind that our code computes.

That kind is what the export makes of Llama, Qwen2 and Qwen3 (export.decoder_quantization, `rotated`). It is known by
the names and operators of its nodes, all of them, and by their attributes, scales and zero points: a graph with one
that is not expected is left to ONNX Runtime. How nodes are wired is taken for what their names say.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from export.contract import OUT_OF_MEMORY
from serving.errors import VersionLoadError
from serving.generator.native.graph import Graph
from serving.generator.native.layout import BLOCK, BYTE_INPUTS, COLUMNS, ZERO_POINT, Matrix, Weights
from serving.generator.native.processor import processor_can

_MASKS = "/model/attn_mask_reformat/"   # nodes that say how long each row is
_HEAD_NORM = "SimplifiedLayerNormalization"
# The kinds of attention: what a layer has before its GroupQueryAttention, by name.
_PLAIN = {"attn/qkv_proj/MatMul": "MatMulIntegerToFloat"}
_BIASED = {**_PLAIN, "attn/qkv_proj/Add": "Add"}
_NORMED = {
    **{f"attn/{name}_proj/MatMul": "MatMulIntegerToFloat" for name in "qkv"},
    **{f"attn/{name}_norm/{_HEAD_NORM}": _HEAD_NORM for name in "qk"},
    **{f"attn/{name}_norm/Reshape_{number}": "Reshape" for name in "qk" for number in (1, 2)},
}
_LAYER = {
    "input_layernorm/output_0/codes/node": "QuantizeLinear", "attn/GroupQueryAttention": "GroupQueryAttention",
    "attn/o_proj/MatMul_Q8": "MatMulNBits",
    "post_attention_layernorm/SkipLayerNorm": "SkipSimplifiedLayerNormalization",
    "post_attention_layernorm/output_0/codes/node": "QuantizeLinear", "mlp/gate_proj/MatMul": "MatMulIntegerToFloat",
    "mlp/up_proj/MatMul": "MatMulIntegerToFloat", "mlp/act_fn/Sigmoid": "Sigmoid", "mlp/act_fn/Mul": "Mul",
    "mlp/Mul": "Mul", "mlp/down_proj/MatMul_Q8": "MatMulNBits",
}
# What our attention does; an attribute that is not among these says something that it does not know.
_ATTENTION = {"rotary_interleaved": 0, "rotary_embedding_dim": 0, "local_window_size": -1, "softcap": 0,
              "smooth_softmax": 0, "qk_output": 0}
_ATTENTION_SHAPE = {"num_heads", "kv_num_heads", "scale", "do_rotary"}
_NORMS = {"SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"}
_FIRST_ATTENTION = "/model/layers.0/attn/GroupQueryAttention"
_FIRST_NORM = "/model/layers.0/input_layernorm/LayerNorm"
# Of the codes of what norms give, everywhere.
_CODES_SCALE, _CODES_ZERO = "/columns/activation_scale", "/columns/activation_zero_point"


def read_weights(model_file: Path) -> Weights | None:
    """Return a graph's weights as our code reads them, None where this processor or the graph is of another kind.

    Raises VersionLoadError where the graph cannot be read.
    """
    if not processor_can():
        return None
    try:
        return _pack(model_file)
    except MemoryError as error:
        raise VersionLoadError(f"{model_file} cannot be opened: {OUT_OF_MEMORY}; unload other models") from error
    except Exception as error:  # What onnx and protobuf raise has no common base.
        raise VersionLoadError(f"{model_file} cannot be opened: {error}") from error


def _pack(model_file: Path) -> Weights | None:
    graph = Graph(model_file, ignored=_MASKS)
    layers = [f"model.layers.{layer}" for layer in range(_count_layers(graph))]
    kind = _kind_of(graph, len(layers))
    if kind is None:
        return None
    queries = [f"attn.{name}_proj" for name in (("q", "k", "v") if kind is _NORMED else ("qkv",))]
    inputs = _of_layers(layers, lambda layer: _columns(graph, [f"{layer}.{name}" for name in queries]))
    nothing = np.zeros(inputs.groups.shape[1] * COLUMNS, np.float32)
    return Weights(
        embedding=np.array(graph.weight("model.embed_tokens.weight_Q8")),
        embedding_scales=np.array(graph.weight("model.embed_tokens.weight_scales")),
        attention_inputs=inputs,
        attention_biases=np.stack([graph.weight(f"{layer}.attn.qkv_proj.Add.bias") if kind is _BIASED else nothing
                                   for layer in layers]),
        head_gains=np.array([[graph.weight(f"{layer}.attn.{name}_norm.layernorm.weight")
                              for name in ("qk" if kind is _NORMED else "")] for layer in layers],
                            np.float32).reshape(len(layers), -1, _head_dim(graph)),
        attention_outputs=_of_layers(layers, lambda layer: _blocks(graph, f"{layer}.attn.o_proj")),
        widening=_of_layers(layers, lambda layer: _columns(graph, [f"{layer}.mlp.gate_proj", f"{layer}.mlp.up_proj"],
                                                           at_a_time=BLOCK)),
        narrowing=_of_layers(layers, lambda layer: _blocks(graph, f"{layer}.mlp.down_proj")),
        head=_columns(graph, ["lm_head"]),
        cosines=np.array(graph.weight("cos_cache")), sines=np.array(graph.weight("sin_cache")),
        epsilon=np.float32(graph.attributes(_FIRST_NORM)["epsilon"]), reach=np.float32(graph.weight(_CODES_SCALE)))


def pack_matrix(codes: np.ndarray, scales: np.ndarray) -> Matrix:
    """Return int8 [inputs, columns] with scales, float32 [blocks, columns], as our code reads it."""
    inputs, columns = codes.shape
    blocks, groups = len(scales), columns // COLUMNS
    sums = codes.reshape(blocks, inputs // blocks, columns).sum(axis=1, dtype=np.int32)
    return Matrix(
        np.ascontiguousarray(codes.reshape(-1, BYTE_INPUTS, groups, COLUMNS).transpose(2, 0, 3, 1)),
        np.ascontiguousarray((-ZERO_POINT * sums).reshape(blocks, groups, COLUMNS).transpose(1, 0, 2)),
        np.ascontiguousarray(scales.reshape(blocks, groups, COLUMNS).transpose(1, 0, 2)))


def _kind_of(graph: Graph, layers: int) -> dict[str, str] | None:
    """Return the kind of attention that a graph has, None where any of its nodes or shapes is not what we compute."""
    for kind in (_PLAIN, _BIASED, _NORMED):
        if graph.operators == _operators(kind, layers):
            return kind if _has_our_shapes(graph) and _has_our_codes(graph) else None
    return None


def _count_layers(graph: Graph) -> int:
    return len(graph.nodes("GroupQueryAttention"))


def _head_dim(graph: Graph) -> int:
    return 2 * graph.shape("cos_cache")[1]


def _operators(kind: dict[str, str], layers: int) -> dict[str, str]:
    """Return the operators of all nodes by name."""
    found = {
        "/model/embed_tokens/Gather": "GatherBlockQuantized", _FIRST_NORM: "SimplifiedLayerNormalization",
        f"/model/layers.{layers}/final_norm_layernorm/SkipLayerNorm": "SkipSimplifiedLayerNormalization",
        "/lm_head/Slice": "Slice", "/lm_head/MatMul": "MatMulIntegerToFloat",
        f"/model/layers.{layers}/final_norm_layernorm/output_0/wanted/codes/node": "QuantizeLinear",
    }
    for layer in range(layers):
        found |= {f"/model/layers.{layer}/{name}": operator for name, operator in {**_LAYER, **kind}.items()}
        if layer:
            found[f"/model/layers.{layer}/input_layernorm/SkipLayerNorm"] = "SkipSimplifiedLayerNormalization"
    return found


def _has_our_shapes(graph: Graph) -> bool:
    head_dim = _head_dim(graph)
    attention = [graph.attributes(name) for name in graph.nodes("GroupQueryAttention")]
    blocks = [graph.attributes(name) for name in graph.nodes("MatMulNBits")]
    outputs = [graph.attributes(name)["K"] for name in graph.nodes("MatMulNBits") if "/attn/" in name]
    vocabulary, hidden = graph.shape("model.embed_tokens.weight_Q8")
    columns = [graph.shape(name) for name in graph.weights if name.endswith("_columns")]
    return (head_dim % COLUMNS == 0
            and all(set(item) <= {*_ATTENTION, *_ATTENTION_SHAPE} for item in attention)
            and all(item.get(key, value) == value for item in attention for key, value in _ATTENTION.items())
            and all(item.get("do_rotary") == 1 for item in attention)
            and all(abs(item.get("scale", head_dim ** -0.5) * head_dim ** 0.5 - 1) < 1e-5 for item in attention)
            and all(item["num_heads"] * head_dim == width for item, width in zip(attention, outputs, strict=True))
            and graph.shape("lm_head.MatMul.weight_columns") == [hidden, vocabulary]
            and len({graph.attributes(name).get("epsilon") for kind in _NORMS for name in graph.nodes(kind)}) == 1
            and all(item["block_size"] == BLOCK and item["K"] % BLOCK == 0 and item["N"] % COLUMNS == 0
                    for item in blocks)
            and all(inputs % BYTE_INPUTS == 0 and outputs % COLUMNS == 0 for inputs, outputs in columns))


def _has_our_codes(graph: Graph) -> bool:
    """Return whether all codes have the scales and the zero points that our code takes for granted."""
    norms = [_CODES_SCALE, _CODES_ZERO]
    blocks = [*graph.nodes("MatMulNBits"), *graph.nodes("GatherBlockQuantized")]
    return (all(graph.inputs(name)[1:] == norms for name in graph.nodes("QuantizeLinear"))
            and all(graph.inputs(name)[2::2] == norms for name in graph.nodes("MatMulIntegerToFloat"))
            and all(len(graph.inputs(name)) == 3 and graph.attributes(name)["bits"] == 8 for name in blocks)
            and graph.weight(_CODES_ZERO) == ZERO_POINT)


def _of_layers(layers: Sequence[str], pack: Callable[[str], Matrix]) -> Matrix:
    """Return the matrices of all layers, of which `pack` gives each by its layer's name, as one."""
    whole = None
    for place, layer in enumerate(layers):
        matrix = pack(layer)
        if whole is None:   # One layer at a time is in memory twice.
            whole = Matrix(*(np.empty((len(layers), *part.shape), part.dtype) for part in matrix))
        for target, part in zip(whole, matrix, strict=True):
            target[place] = part
    return whole


def _columns(graph: Graph, names: list[str], at_a_time: int | None = None) -> Matrix:
    """Return matrices side by side, all of it or in turns of so many columns; each column has a scale."""
    codes = [graph.weight(f"{name}.MatMul.weight_columns") for name in names]
    scales = [graph.weight(f"{name}.MatMul.weight_column_scales")[None] for name in names]
    return pack_matrix(*(_side_by_side(parts, at_a_time) for parts in (codes, scales)))


def _side_by_side(matrices: list[np.ndarray], at_a_time: int | None) -> np.ndarray:
    if at_a_time is None:
        return np.concatenate(matrices, axis=1)
    turns = [matrix.reshape(len(matrix), -1, at_a_time) for matrix in matrices]
    return np.concatenate(turns, axis=2).reshape(len(matrices[0]), -1)


def _blocks(graph: Graph, name: str) -> Matrix:
    """Return a matrix of which each block of a column has a scale."""
    codes, scales = graph.weight(f"{name}.MatMul.weight_Q8"), graph.weight(f"{name}.MatMul.weight_scales")
    signed = (codes ^ ZERO_POINT).view(np.int8).reshape(len(codes), -1)
    return pack_matrix(signed.T, scales.reshape(len(codes), -1).T)
