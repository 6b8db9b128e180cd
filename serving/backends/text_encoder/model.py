"""Triton Python-based backend that serves every embedding and intent model (Triton: python_backend, "Python-based
backends").

Text in, embedding or scores out; one Triton batch is one call of the encoder. Knows nothing of the control plane.
"""

import json
import os
from pathlib import Path

import triton_python_backend_utils as pb_utils

from export.contract import ConchError
from serving.backends.text_encoder.answers import AnswerShaper
from serving.backends.text_encoder.batch_metrics import BatchMetrics
from serving.backends.text_encoder.request_rows import RequestRows, read_batch
from serving.backends.text_encoder.threads import threads_per_instance
from serving.cores import available_cores
from serving.encoder.encoder import EncodedTexts, TextEncoder
from serving.errors import EncodeError
from serving.processes import exit_when_orphaned


class TritonPythonModel:
    """One instance of one version; Triton calls it from a single thread."""

    def initialize(self, args: dict[str, str]) -> None:
        """Verify, load and warm the version, so that a model is ready only once it can answer at full speed."""
        # Triton's stub notices that its server was killed, but now and then hangs in its own clean-up.
        exit_when_orphaned()
        config = json.loads(args["model_config"])
        version_dir = Path(args["model_repository"]) / args["model_version"]
        try:
            threads = threads_per_instance(config, available_cores())
            # The tokenizers library keeps a thread pool of its own; it reads its size from here on first use.
            os.environ["RAYON_NUM_THREADS"] = str(threads)
            self._encoder = TextEncoder.load(version_dir, threads)
            self._encoder.warm()
        except ConchError as error:
            raise pb_utils.TritonModelException(str(error)) from error
        self._answers = AnswerShaper(self._encoder.manifest)
        self._metrics = BatchMetrics(pb_utils, args["model_name"], args["model_version"])

    def execute(self, requests: list) -> list:
        """Answer a batch; a request that cannot be answered gets its own error, the others their rows."""
        rows = read_batch(requests, pb_utils)
        good = [item for item in rows if isinstance(item, RequestRows)]
        texts = [text for item in good for text in item.texts]
        options = [item.options for item in good for _ in item.texts]
        encoded = self._encoder.encode(texts, options)
        self._metrics.observe(len(texts), int(encoded.token_counts.sum()), encoded.padded_tokens)
        return self._scatter(rows, encoded)

    def finalize(self) -> None:
        """Tell the last metrics."""
        self._metrics.close()

    def _scatter(self, rows: list[RequestRows | EncodeError | None], encoded: EncodedTexts) -> list:
        """Give each request its slice of the batch, or its error; a cancelled request gets Triton's cancelled error."""
        responses, start = [], 0
        for item in rows:
            if item is None:
                responses.append(_error("cancelled", pb_utils.TritonError.CANCELLED))
            elif isinstance(item, EncodeError):
                responses.append(_error(str(item), pb_utils.TritonError.INVALID_ARG))
            else:
                stop = start + len(item.texts)
                responses.append(self._answer(encoded, start, stop))
                start = stop
        return responses

    def _answer(self, encoded: EncodedTexts, start: int, stop: int):
        failed = [position for position in range(start, stop) if position in encoded.errors]
        if failed:
            position = failed[0]
            return _error(f"text {position - start}: {encoded.errors[position]}", pb_utils.TritonError.INVALID_ARG)
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in
                                           self._answers.shape(encoded, start, stop).items()])


def _error(message: str, code: int):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
