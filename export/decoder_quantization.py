"""Quantises a decoder's float32 graph to 8 or 4 bits in blocks (MatMulNBits), by a recipe.

The last matrix, which gives the logits, and a tied embedding stay at 8 bits and are stored once. Knows nothing of
checkpoints and of how good the result is (export.decoder_quality).
"""

import contextlib
import io
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    HQQWeightOnlyQuantConfig,
    KQuantWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
    WeightOnlyQuantConfig,
)

from export.decoder_columns import quantize_columns
from export.decoder_rotation import TURNS, rotate_residual

HEAD = "/lm_head/MatMul"
# They read a norm and hold half of a layer's weights. Those of attention read one, too, and suffer more from it.
_WIDEST = re.compile(r"/model/layers\.\d+/mlp/(?:gate|up)_proj/MatMul")
_EMBEDDING = "model.embed_tokens.weight"
_TIED = f"{_EMBEDDING}_Q8"
_HEAD_BITS, _HEAD_BLOCK = 8, 32
_MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class QuantizationRecipe:
    """How the matrices are quantised (source of the algorithms: onnxruntime.quantization.matmul_nbits_quantizer).

    The matrix that gives the logits has 8 bits in blocks of 32 in every recipe; `mixed` gives 8 bits to those matrices
    of a layer, too, that llama.cpp finds sensitive.
    """

    bits: int              # 4 or 8
    block_size: int        # weights along the input dimension that share one scale
    algorithm: str         # rtn (round to nearest), k_quant (least squares, as llama.cpp) or hqq
    symmetric: bool        # without zero points, which rtn alone can be
    accuracy_level: int = 4  # what activations become: 4 int8, 1 float32 (MatMulNBits: accuracy_level); hqq: always 1
    mixed: bool = False
    rotated: bool = False    # the residual stream is turned, and the widest matrices have a scale for each column

    @property
    def name(self) -> str:
        """The recipe in short, as manifests and tables have it."""
        zero_points = "symmetric" if self.symmetric else "asymmetric"
        words = [self.algorithm, f"{self.bits} bits", f"block {self.block_size}", zero_points,
                 f"level {self.accuracy_level}", *(["mixed"] if self.mixed else []),
                 *(["rotated"] if self.rotated else [])]
        return ", ".join(words)


def quantize_decoder(graph: Path, target: Path, recipe: QuantizationRecipe) -> None:
    """Write the quantised form of the float32 `graph` to `target`, its weights beside it in `<name>.data`.

    The graph is rotatable (export.decoder_rotation) where the recipe rotates.
    """
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    model = onnx.load(str(graph))
    tied = _is_tied(model)
    if recipe.rotated:
        rotate_residual(model)
        quantize_columns(model, [node.name for node in model.graph.node if _WIDEST.fullmatch(node.name)])
    matrices = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.name not in TURNS]
    wide = {HEAD, *(_sensitive_matrices(matrices) if recipe.mixed else [])}
    narrow = [name for name in matrices if name not in wide]
    eight_bits = DefaultWeightOnlyQuantConfig(_HEAD_BLOCK, is_symmetric=True, accuracy_level=recipe.accuracy_level,
                                              bits=_HEAD_BITS)
    model = _quantize(model, recipe, eight_bits, excluded=[*narrow, *TURNS])
    model = _quantize(model, recipe, _config(recipe, narrow), excluded=list(TURNS))
    if tied:
        _read_embedding_from_head(model)
    onnx.save(model, str(target), save_as_external_data=True, all_tensors_to_one_file=True,
              location=f"{target.name}.data", size_threshold=1024)
    if tied:
        _share_head(target)


def _sensitive_matrices(matrices: list[str]) -> list[str]:
    """Return the matrices to which llama.cpp gives more bits (src/llama-quant.cpp: use_more_bits, Q4_K_M).

    They are the values' and the down projection in the first and last eighth of the layers, and in every third between.
    """
    found = [re.fullmatch(r"/model/layers\.(\d+)/(?:attn/(?:qkv|v)_proj|mlp/down_proj)/MatMul", name)
             for name in matrices]
    layers = 1 + max((int(match[1]) for match in found if match), default=0)
    edge = layers // 8
    return [match[0] for match in found if match and
            (int(match[1]) < edge or int(match[1]) >= 7 * layers // 8 or (int(match[1]) - edge) % 3 == 2)]


def _config(recipe: QuantizationRecipe, matrices: list[str]) -> WeightOnlyQuantConfig:
    if recipe.algorithm == "k_quant":
        return KQuantWeightOnlyQuantConfig(customized_weight_config={name: {"bits": recipe.bits} for name in matrices})
    if recipe.algorithm == "hqq":
        return HQQWeightOnlyQuantConfig(recipe.block_size, recipe.bits)
    return DefaultWeightOnlyQuantConfig(recipe.block_size, is_symmetric=recipe.symmetric,
                                        accuracy_level=recipe.accuracy_level, bits=recipe.bits)


def _quantize(model: onnx.ModelProto, recipe: QuantizationRecipe, config: WeightOnlyQuantConfig,
              excluded: list[str]) -> onnx.ModelProto:
    quantizer = MatMulNBitsQuantizer(model, block_size=recipe.block_size, accuracy_level=recipe.accuracy_level,
                                     nodes_to_exclude=excluded, algo_config=config)
    with contextlib.redirect_stdout(io.StringIO()):  # k_quant draws a bar of its own.
        quantizer.process()
    return quantizer.model.model


def _is_tied(model: onnx.ModelProto) -> bool:
    """Return whether the embedding is the transposed matrix of the head, in blocks that the two can share."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    head = next(node for node in model.graph.node if node.name == HEAD)
    embedding, matrix = weights[_EMBEDDING], weights[head.input[1]]
    if list(embedding.dims) != list(matrix.dims)[::-1] or embedding.dims[1] % _HEAD_BLOCK:
        return False
    return np.array_equal(numpy_helper.to_array(embedding), numpy_helper.to_array(matrix).T)


def _read_embedding_from_head(model: onnx.ModelProto) -> None:
    """Replace the embedding's lookup by one in the head's 8-bit rows, and drop the float32 table."""
    lookup = next(node for node in model.graph.node if _EMBEDDING in node.input)
    scales = _quantized_head(model).input[2]
    lookup.CopyFrom(helper.make_node(
        "GatherBlockQuantized", [_TIED, lookup.input[1], scales], list(lookup.output), name=lookup.name,
        domain=_MICROSOFT, bits=_HEAD_BITS, block_size=_HEAD_BLOCK, gather_axis=0, quantize_axis=1))
    model.graph.initializer.remove(next(item for item in model.graph.initializer if item.name == _EMBEDDING))


def _share_head(target: Path) -> None:
    """Give the lookup its table: the very bytes of the head's matrix, as [vocabulary, hidden]."""
    model = onnx.load(str(target), load_external_data=False)
    head = next(item for item in model.graph.initializer if item.name == _quantized_head(model).input[1])
    table = model.graph.initializer.add()
    table.CopyFrom(head)
    table.name = _TIED
    table.dims[:] = [head.dims[0], head.dims[1] * head.dims[2]]
    onnx.save(model, str(target))


def _quantized_head(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == f"{HEAD}_Q{_HEAD_BITS}")
