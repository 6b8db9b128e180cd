"""Rewrites an ONNX graph for ONNX Runtime: fused operators, int8 weights. Knows nothing of checkpoints."""

import logging
from pathlib import Path

from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.optimizer import optimize_model


def fuse_graph(path: Path, heads: int, hidden_size: int) -> None:
    """Fuse GELU and layer norms in place (ONNX Runtime: transformers optimizer).

    Attention stays as it is: its fused operator takes no mask that keeps the texts of a row apart.
    """
    logging.getLogger("onnxruntime.transformers").setLevel(logging.WARNING)
    model = optimize_model(str(path), model_type="bert", num_heads=heads, hidden_size=hidden_size, opt_level=0)
    model.save_model_to_file(str(path))


def quantize_graph(path: Path) -> None:
    """Quantise weights to int8 per channel in place; activations are quantised at run time."""
    float_path = path.with_suffix(".float.onnx")
    path.rename(float_path)
    # On processors without VNNI, 8-bit weights can overflow 16-bit sums; 7 bits cannot (ONNX Runtime: quantization).
    quantize_dynamic(float_path, path, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": TensorProto.FLOAT})  # fused operators hide their types
    float_path.unlink()
