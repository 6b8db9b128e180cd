"""ONNX Runtime on the CPU. The graph itself holds the precision: fp32, or int8 after quantisation."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime

from serving.encoder.engine import Outputs, check_outputs, engine_inputs
from serving.encoder.packing import MicroBatch


class OnnxRuntimeEngine:
    """One session whose runs take one thread each, and as many workers as there are threads."""

    def __init__(self, session: onnxruntime.InferenceSession, streams: int, outputs: Sequence[str]) -> None:
        self.streams = streams
        self._session = session
        self._outputs = outputs
        self._workers = ThreadPoolExecutor(streams, thread_name_prefix="onnxruntime")

    def run(self, batches: Sequence[MicroBatch]) -> list[Outputs]:
        """Compute the outputs of every micro-batch."""
        return list(self._workers.map(self._run_one, batches))

    def _run_one(self, batch: MicroBatch) -> Outputs:
        return dict(zip(self._outputs, self._session.run(self._outputs, engine_inputs(batch)), strict=True))


def load(model_file: Path, precision: str, threads: int, outputs: Sequence[str]) -> OnnxRuntimeEngine:
    """Open a session on `model_file`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])
    check_outputs(outputs, (output.name for output in session.get_outputs()))
    return OnnxRuntimeEngine(session, threads, outputs)
