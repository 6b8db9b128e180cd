"""ONNX Runtime on the CPU. The graph itself holds the precision: fp32, or int8 after quantisation."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime

from serving.encoder.engine import OUTPUTS, Embeddings, engine_inputs
from serving.encoder.packing import MicroBatch


class OnnxRuntimeEngine:
    """One session whose runs take one thread each, and as many workers as there are threads."""

    def __init__(self, session: onnxruntime.InferenceSession, streams: int) -> None:
        self.streams = streams
        self._session = session
        self._workers = ThreadPoolExecutor(streams, thread_name_prefix="onnxruntime")

    def run(self, batches: Sequence[MicroBatch]) -> list[Embeddings]:
        """Compute raw and unit embeddings of every micro-batch."""
        return list(self._workers.map(self._run_one, batches))

    def _run_one(self, batch: MicroBatch) -> Embeddings:
        return tuple(self._session.run(OUTPUTS, engine_inputs(batch)))


def load(model_file: Path, precision: str, threads: int) -> OnnxRuntimeEngine:
    """Open a session on `model_file`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])
    return OnnxRuntimeEngine(session, threads)
