"""Runs texts through a version directory, without a server: `python -m serving.encode VERSION_DIR < job > result`.

The export proves a version through this program, so what is proven is the code that serves. The job is JSON,
{"batches": [{"texts": [...], "prompt_name": null}, ...]}; the result is a NumPy .npz with arrays "0", "1", … of
float32 [texts, dimension] or [texts, labels], one for each batch.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np

from export.contract import ConchError
from serving.cores import available_cores
from serving.encoder.encoder import TextEncoder
from serving.encoder.options import EncodeOptions


def encode_job(version_dir: Path, job: dict) -> bytes:
    """Run every batch of `job`; raises the error of the first text that fails."""
    encoder = TextEncoder.load(version_dir, available_cores())
    arrays = {}
    for index, batch in enumerate(job["batches"]):
        options = EncodeOptions(prompt_name=batch["prompt_name"])
        result = encoder.encode(batch["texts"], [options] * len(batch["texts"]))
        if result.errors:
            raise next(iter(result.errors.values()))
        arrays[str(index)] = result.vectors
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def main() -> None:
    """Read the job from standard input, write the result to standard output."""
    try:
        sys.stdout.buffer.write(encode_job(Path(sys.argv[1]), json.load(sys.stdin)))
    except ConchError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
