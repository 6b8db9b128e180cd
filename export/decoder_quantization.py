"""Quantises a decoder's float32 graph to 8 or 4 bits in blocks (MatMulNBits), by a recipe.

The last matrix, which gives the logits, and the embedding stay at 8 bits. Knows nothing of checkpoints and of how good
the result is (export.decoder_quality).
"""

import contextlib
import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    HQQWeightOnlyQuantConfig,
    KQuantWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
    WeightOnlyQuantConfig,
)

from export.decoder_columns import quantize_columns
from export.decoder_embedding import BITS, BLOCK, is_tied, look_up_in_head, quantize_embedding, share_head
from export.decoder_rotation import rotate_residual

HEAD = "/lm_head/MatMul"
_HEAD_IN_BLOCKS = f"{HEAD}_Q{BITS}"   # the quantiser's name for it


@dataclass(frozen=True)
class QuantizationRecipe:
    """How the matrices are quantised (source of the algorithms: onnxruntime.quantization.matmul_nbits_quantizer).

    The matrix that gives the logits has 8 bits in every recipe, in blocks of 32 unless `rotated`, and so have those of
    a layer that llama.cpp finds sensitive where it is `mixed`.
    """

    bits: int              # 4 or 8
    block_size: int        # weights along the input dimension that share one scale
    algorithm: str         # rtn (round to nearest), k_quant (least squares, as llama.cpp) or hqq
    symmetric: bool        # without zero points, which rtn alone can be
    accuracy_level: int = 4  # what activations become: 4 int8, 1 float32 (MatMulNBits: accuracy_level); hqq: always 1
    mixed: bool = False
    rotated: bool = False    # the residual stream is turned; what reads a norm has a scale a column, rounded by GPTQ

    @property
    def name(self) -> str:
        """The recipe in short, as manifests and tables have it."""
        zero_points = "symmetric" if self.symmetric else "asymmetric"
        words = [self.algorithm, f"{self.bits} bits", f"block {self.block_size}", zero_points,
                 f"level {self.accuracy_level}", *(["mixed"] if self.mixed else []),
                 *(["rotated"] if self.rotated else [])]
        return ", ".join(words)


def quantize_decoder(graph: Path, target: Path, recipe: QuantizationRecipe, seen: Sequence[np.ndarray] = ()) -> None:
    """Write the quantised form of the float32 `graph` to `target`, its weights beside it in `<name>.data`.

    Where the recipe rotates, the graph is rotatable (export.decoder_rotation) and `seen` is what its norms give
    (export.decoder_calibration).
    """
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    model = onnx.load(str(graph))
    shares = not recipe.rotated and is_tied(model, HEAD)
    if recipe.rotated:
        quantize_columns(model, rotate_residual(model, seen))
    matrices = [node.name for node in model.graph.node if node.op_type == "MatMul"]
    wide = {HEAD, *(_sensitive_matrices(matrices) if recipe.mixed else [])}
    narrow = [name for name in matrices if name not in wide]
    eight_bits = DefaultWeightOnlyQuantConfig(BLOCK, is_symmetric=True, accuracy_level=recipe.accuracy_level, bits=BITS)
    model = _quantize(model, recipe, eight_bits, excluded=narrow)
    model = _quantize(model, recipe, _config(recipe, narrow), excluded=[])
    if shares:
        look_up_in_head(model, _HEAD_IN_BLOCKS)
    else:
        quantize_embedding(model)
    onnx.save(model, str(target), save_as_external_data=True, all_tensors_to_one_file=True,
              location=f"{target.name}.data", size_threshold=1024)
    if shares:
        share_head(target, _HEAD_IN_BLOCKS)


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
