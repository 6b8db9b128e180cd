"""Builds what onnxruntime-genai's own model builder makes of a checkpoint for CPUs, and says how well it predicts.

Its only precisions for CPUs are float32 and int4, which it rounds to nearest, in blocks of 32, unless told otherwise.
No code of the checkpoint is run.
"""

import subprocess
import sys
from pathlib import Path

from export.decoder_checkpoint import load_decoder, open_checkpoint
from export.decoder_prompts import quality_prompts
from export.decoder_quality import QualityFigures, QualityReference
from export.golden import GOLDEN_TEXT

_LONGEST_PROMPT = 512


def build_int4(checkpoint: Path, folder: Path) -> tuple[Path, QualityFigures]:
    """Build a checkpoint in int4; returns the directory and how closely it predicts what float32 predicts.

    Raises subprocess.CalledProcessError when the builder fails.
    """
    opened = open_checkpoint(checkpoint, folder / "checkpoint")
    built = folder / "int4"
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(opened.path), "-o", str(built),
               "-p", "int4", "-e", "cpu", "-c", str(folder / "cache"),
               "--extra_options", "hf_remote=false", "hf_token=false"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "reference").mkdir()
    reference = QualityReference(load_decoder(opened.path), quality_prompts(opened.tokenizer, _LONGEST_PROMPT),
                                 folder / "reference")
    return built, reference.compare(built, opened.tokenizer(GOLDEN_TEXT)["input_ids"]).figures
