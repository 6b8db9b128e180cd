"""Sends responses, notices clients that have gone and reports metrics, all from one thread.

tritonserver 2.51 crashes when threads send at once, so nothing else talks to Triton about a request once it was read.
Knows nothing of texts.
"""

import queue
import threading
import time
from dataclasses import dataclass

from serving.backends.text_generator.generation_metrics import GenerationMetrics
from serving.backends.text_generator.replies import NO_TEXT, Outputs, StreamedReply, WholeReply
from serving.backends.text_generator.request_inputs import Call
from serving.errors import ComputationError, GenerateError, QueueFullError, QueueTimeoutError
from serving.generator.events import CANCELLED, GenerationEvent, GenerationRequest
from serving.generator.generator import TextGenerator

# How soon a client's leaving is noticed, and how often metrics are told; each costs Triton a message.
_POLL_S = 0.05
_METRICS_S = 1.0
# Triton's names of gRPC's statuses, where they differ.
_TRITON_NAMES = {"INVALID_ARGUMENT": "INVALID_ARG"}


@dataclass
class _Open:
    call: Call
    reply: StreamedReply | WholeReply


class ResponseThread:
    """The one thread that answers."""

    def __init__(self, pb_utils, generator: TextGenerator, metrics: GenerationMetrics) -> None:
        self._pb_utils = pb_utils
        self._generator = generator
        self._metrics = metrics
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()
        self._open: dict[GenerationRequest, _Open] = {}
        self._thread = threading.Thread(target=self._loop, name="responses", daemon=True)
        self._thread.start()

    def open(self, request: GenerationRequest, call: Call, reply: StreamedReply | WholeReply) -> None:
        """Expect the events of a request; before it is submitted."""
        self._inbox.put(lambda: self._open.__setitem__(request, _Open(call, reply)))

    def add(self, request: GenerationRequest, event: GenerationEvent) -> None:
        """Answer with an event; the sink of every request."""
        self._inbox.put(lambda: self._answer(request, event))

    def refuse(self, call: Call, error: Exception, request: GenerationRequest | None = None) -> None:
        """Answer a request that does not run with an error."""
        self._inbox.put(lambda: self._fail(call, error, request))

    def cancel(self, call: Call) -> None:
        """Cancel the request that has the key which `call` states, if it still runs, and answer with an empty text."""
        self._inbox.put(lambda: self._cancel_by_key(call))

    def close(self) -> None:
        """Send what there is and end the thread."""
        self._inbox.put(None)
        self._thread.join()

    def _loop(self) -> None:
        polled_s = told_s = time.monotonic()
        while True:
            try:
                # Without open requests there is nobody to look after; with some, their clients may leave.
                action = self._inbox.get(timeout=_POLL_S if self._open else _METRICS_S)
            except queue.Empty:
                action = _nothing
            if action is None:
                return
            action()
            now_s = time.monotonic()
            if now_s - polled_s >= _POLL_S:
                polled_s = now_s
                self._cancel_abandoned()
            if now_s - told_s >= _METRICS_S:
                told_s = now_s
                self._metrics.report(self._generator.statistics)

    def _answer(self, request: GenerationRequest, event: GenerationEvent) -> None:
        entry = self._open.get(request)
        if entry is None:  # Another sequence of the request failed already.
            return
        if event.error is not None:
            self._fail(entry.call, event.error, request)
        elif event.finish_reason == CANCELLED:
            self._send_error(entry.call, "cancelled", "CANCELLED")
            self._open.pop(request)
        else:
            outputs, is_last = entry.reply.add(event)
            if outputs is not None:
                self._send_outputs(entry.call, outputs, is_last)
            if is_last:
                self._open.pop(request)

    def _fail(self, call: Call, error: Exception, request: GenerationRequest | None) -> None:
        if self._open.pop(request, None) is not None:
            self._generator.cancel(request)
        self._send_error(call, str(error), _status_of(error))

    def _send_error(self, call: Call, message: str, status: str) -> None:
        code = getattr(self._pb_utils.TritonError, _TRITON_NAMES.get(status, status))
        error = self._pb_utils.TritonError(f"{status}: {message}" if call.tells_status else message, code)
        self._send(call, self._pb_utils.InferenceResponse(error=error), is_last=True)

    def _send_outputs(self, call: Call, outputs: Outputs, is_last: bool) -> None:
        tensors = [self._pb_utils.Tensor(name, array) for name, array in outputs.items()]
        self._send(call, self._pb_utils.InferenceResponse(tensors), is_last)

    def _send(self, call: Call, response, is_last: bool) -> None:
        flags = self._pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if is_last else 0
        call.sender.send(response, flags)

    def _cancel_by_key(self, call: Call) -> None:
        for request, entry in self._open.items():
            if entry.call.key == call.cancels:
                self._generator.cancel(request)
        self._send_outputs(call, NO_TEXT, is_last=True)

    def _cancel_abandoned(self) -> None:
        for request, entry in self._open.items():
            if entry.call.sender.is_cancelled():
                self._generator.cancel(request)


def _status_of(error: Exception) -> str:
    """Return the name of the gRPC status that says whose fault it is."""
    if isinstance(error, QueueFullError | QueueTimeoutError):
        return "UNAVAILABLE"
    is_clients = isinstance(error, GenerateError) and not isinstance(error, ComputationError)
    return "INVALID_ARGUMENT" if is_clients else "INTERNAL"


def _nothing() -> None:
    """Do nothing; the queue stayed empty."""
