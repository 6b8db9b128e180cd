"""Builds a decoder's ONNX graph in floating point: grouped-query attention, keys and values as inputs and outputs.

Llama, Qwen2 and Qwen3 go through onnxruntime-genai's model builder, in a process of its own that may neither use the
network nor run code of a checkpoint; GPT-2, which the builder lacks, through export.decoder_gpt2. Knows nothing of
quantisation.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from export.contract import MODEL_FILE
from export.decoder_checkpoint import DecoderCheckpoint, load_decoder
from export.decoder_gpt2 import build_gpt2
from export.decoder_head import make_logits_optional
from export.errors import UnsupportedModelError
from export.sources.checkpoint import select_files

CPU, CUDA = "cpu", "cuda"
# Without these two the builder asks the hub and runs remote code, its defaults.
_SAFE = ("hf_remote=false", "hf_token=false")
# A tied embedding would become a transposed copy that no quantiser finds; export.decoder_quantization ties it again.
_OPTIONS = ("shared_embeddings=false",)
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def build_graph(checkpoint: DecoderCheckpoint, folder: Path, precision: str, device: str) -> Path:
    """Write model.onnx and model.onnx.data into `folder` and return the former's path.

    `precision` is fp32, or on CUDA fp16, bf16 or int4 (quantised by the builder). Raises UnsupportedModelError with the
    builder's last words when it cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if checkpoint.config.model_type == "gpt2":
        if device != CPU:
            raise UnsupportedModelError("GPT-2 is exported for CPUs only: onnxruntime-genai's builder lacks it, "
                                        "and Conch's own graph is float32; take --engine onnxruntime")
        build_gpt2(load_decoder(checkpoint.path), folder / MODEL_FILE)
    else:
        _run_builder(checkpoint.path, folder, precision, device)
    make_logits_optional(folder / MODEL_FILE)
    return folder / MODEL_FILE


def _run_builder(path: Path, folder: Path, precision: str, device: str) -> None:
    options = _SAFE if precision == "int4" else (*_SAFE, *_OPTIONS)
    source = _offer(path, folder / "source")
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(source), "-o", str(folder),
               "-p", precision, "-e", device, "-c", str(folder / "cache"), "--extra_options", *options]
    run = subprocess.run(command, capture_output=True, env={**os.environ, **_OFFLINE})
    if run.returncode != 0 or not (folder / MODEL_FILE).is_file():
        reason = run.stderr.decode(errors="replace").strip().splitlines()
        raise UnsupportedModelError(f"the model builder fails on {path}: {reason[-1] if reason else run.returncode}")


def _offer(path: Path, folder: Path) -> Path:
    """Show the builder the checkpoint with a configuration that it reads rightly; returns that folder.

    It looks for Llama 3's original context beside `rope_scaling` and not in it, where transformers keeps it, and would
    turn every position wrongly without a word.
    """
    folder.mkdir()
    for name in select_files(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to((path / name).resolve())
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    scaling = config.get("rope_scaling") or {}
    if "original_max_position_embeddings" in scaling:
        config["original_max_position_embeddings"] = scaling["original_max_position_embeddings"]
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
