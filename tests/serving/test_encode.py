"""`python -m serving.encode`: what the export's parity gate runs, as a process."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from export.contract import TOKENIZER_FILE
from serving.encode import encode_job
from serving.encoder.encoder import TextEncoder
from serving.encoder.options import EncodeOptions
from serving.errors import InvalidOptionError
from tests.tolerances import BATCH_RELATIVE_ERROR
from tests.versions import relative_error

JOB = {"batches": [{"texts": ["你好", "a longer text", ""], "prompt_name": None},
                   {"texts": ["🙂"], "prompt_name": "query"}]}


def test_every_batch_comes_back_as_an_array_of_its_own_under_its_number(version_dir):
    run = _run(version_dir, json.dumps(JOB).encode())
    assert run.returncode == 0, run.stderr
    encoder = TextEncoder.load(version_dir, threads=1)
    with np.load(io.BytesIO(run.stdout)) as arrays:
        assert set(arrays) == {"0", "1"}
        for index, batch in enumerate(JOB["batches"]):
            options = [EncodeOptions(batch["prompt_name"])] * len(batch["texts"])
            expected = encoder.encode(batch["texts"], options).vectors
            assert relative_error(arrays[str(index)], expected) < BATCH_RELATIVE_ERROR


def test_a_damaged_version_ends_with_the_file_and_no_traceback(version_dir):
    (version_dir / TOKENIZER_FILE).unlink()
    run = _run(version_dir, json.dumps(JOB).encode())
    assert run.returncode == 1
    assert run.stdout == b""
    assert run.stderr.decode().splitlines() == [f"{version_dir / TOKENIZER_FILE} is missing"]


def test_a_text_that_fails_fails_the_job(small_versions):
    job = {"batches": [{"texts": ["a"], "prompt_name": "question"}]}
    with pytest.raises(InvalidOptionError, match="'question'"):
        encode_job(small_versions["openvino"], job)


def _run(version_dir, job: bytes) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "serving.encode", str(version_dir)], input=job, capture_output=True)
