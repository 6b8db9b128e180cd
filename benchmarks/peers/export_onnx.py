"""Prepares the model directories of infinity's optimum engine; runs inside the benchmark's own environment.

`python export_onnx.py CHECKPOINT TARGET` makes TARGET/fp32 (model.onnx, which infinity itself fuses at its first start)
and TARGET/int8 (the fused graph, quantised dynamically for AVX-512 VNNI, one scale for each channel).
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.onnxruntime import ORTModelForFeatureExtraction, ORTOptimizer
from optimum.onnxruntime.configuration import OptimizationConfig
from transformers import AutoModel, AutoTokenizer

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
OUTPUT = "last_hidden_state"
QUANTIZED = ["MatMul", "Attention"]


class TokenEmbeddings(torch.nn.Module):
    """Gives the traced graph plain tensors as inputs and its one output."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self.model(**dict(zip(INPUTS, tensors, strict=True))).last_hidden_state


def export_graph(checkpoint: Path, target: Path) -> None:
    """Write `checkpoint` as an ONNX graph of [rows, tokens] with both axes free."""
    model = TokenEmbeddings(AutoModel.from_pretrained(checkpoint, attn_implementation="eager").eval())
    example = AutoTokenizer.from_pretrained(checkpoint)(["a text", "a second, longer text"], padding=True,
                                                        return_tensors="pt")
    axes = {0: "batch_size", 1: "sequence_length"}
    # optimum's own exporter of this version calls torch's new exporter in a way that this torch no longer accepts.
    torch.onnx.export(
        model, tuple(example[name] for name in INPUTS), str(target), input_names=INPUTS, output_names=[OUTPUT],
        dynamic_axes=dict.fromkeys([*INPUTS, OUTPUT], axes), opset_version=17, dynamo=False)


def limit_tokens(model_dir: Path) -> None:
    """Let infinity's optimum engine cut texts where sentence-transformers does.

    It reads the limit from max_position_embeddings (512 here), where everyone else stops at max_seq_length (256); long
    texts would cost it more than the others.
    """
    limit = json.loads((model_dir / "sentence_bert_config.json").read_text())["max_seq_length"]
    config = json.loads((model_dir / "config.json").read_text())
    (model_dir / "config.json").write_text(json.dumps({**config, "max_position_embeddings": limit}))


def quantize(fp32_dir: Path, int8_dir: Path) -> None:
    """Fuse the graph, then quantise it: the other way round the fusions no longer find their patterns."""
    fused_dir = int8_dir / "fused"
    optimizer = ORTOptimizer.from_pretrained(ORTModelForFeatureExtraction.from_pretrained(fp32_dir))
    optimizer.optimize(OptimizationConfig(optimization_level=99), save_dir=fused_dir)
    quantize_dynamic(
        fused_dir / "model_optimized.onnx", int8_dir / "model_quantized.onnx", op_types_to_quantize=QUANTIZED,
        per_channel=True, weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": TensorProto.FLOAT})
    shutil.rmtree(fused_dir)


def main() -> None:
    """Build both directories beside each other."""
    checkpoint, target = Path(sys.argv[1]), Path(sys.argv[2])
    for precision in ("fp32", "int8"):
        shutil.copytree(checkpoint, target / precision, ignore=shutil.ignore_patterns("*.onnx"))
    export_graph(checkpoint, target / "fp32" / "model.onnx")
    limit_tokens(target / "fp32")
    quantize(target / "fp32", target / "int8")
    limit_tokens(target / "int8")


if __name__ == "__main__":
    main()
