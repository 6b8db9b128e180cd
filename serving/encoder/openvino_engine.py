"""OpenVINO on the CPU, with the precision that the manifest names."""

from collections.abc import Sequence
from pathlib import Path

import openvino

from serving.encoder.engine import Outputs, check_outputs, engine_inputs
from serving.encoder.packing import MicroBatch

# OpenVINO's own names (its CPU device page). bf16 on a processor without it falls back to f32, which is slower but at
# least as exact.
_PRECISIONS = {
    "fp32": {"INFERENCE_PRECISION_HINT": "f32"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    # So many of a token's inputs share a scale. More are faster and less exact (docs/decisions/0010).
    "int8": {"INFERENCE_PRECISION_HINT": "bf16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 128},
}


class OpenVinoEngine:
    """A compiled graph with one stream of one thread for each core given."""

    def __init__(self, compiled: openvino.CompiledModel, streams: int, outputs: Sequence[str]) -> None:
        self.streams = streams
        self._queue = openvino.AsyncInferQueue(compiled, streams)
        self._queue.set_callback(_collect)
        self._outputs = outputs

    def run(self, batches: Sequence[MicroBatch]) -> list[Outputs]:
        """Compute the outputs of every micro-batch."""
        results: list[Outputs | None] = [None] * len(batches)
        for index, batch in enumerate(batches):
            self._queue.start_async(engine_inputs(batch), (results, index, self._outputs), share_inputs=True)
        self._queue.wait_all()
        return results


def load(model_file: Path, precision: str, threads: int, outputs: Sequence[str]) -> OpenVinoEngine:
    """Compile `model_file` for `threads` streams."""
    compiled = openvino.Core().compile_model(model_file, "CPU", {
        **_PRECISIONS[precision],
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        # Every process would pin its first stream to the same core.
        "ENABLE_CPU_PINNING": False,
    })
    check_outputs(outputs, (name for output in compiled.outputs for name in output.names))
    return OpenVinoEngine(compiled, threads, outputs)


def _collect(request, place) -> None:
    """Keep a finished request's outputs; they are copied because the request's buffers are used again."""
    results, index, names = place
    results[index] = {name: request.get_tensor(name).data.copy() for name in names}
