"""Sends responses, notices clients that have gone and reports metrics, all from one thread.

tritonserver 2.51 crashes when threads send at once, so nothing else talks to Triton about a request once it was read.
Knows nothing of texts.
"""

import queue
import threading
import time
from dataclasses import dataclass

from serving.backends.text_generator.generation_metrics import GenerationMetrics
from serving.backends.text_generator.replies import StreamedReply, WholeReply
from serving.errors import ComputationError, GenerateError, QueueFullError, QueueTimeoutError
from serving.generator.events import CANCELLED, GenerationEvent, GenerationRequest
from serving.generator.generator import TextGenerator

# How soon a client's leaving is noticed, and how often metrics are told; each costs Triton a message.
_POLL_S = 0.05
_METRICS_S = 1.0


@dataclass
class _Open:
    sender: object
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

    def open(self, request: GenerationRequest, sender, reply: StreamedReply | WholeReply) -> None:
        """Expect the events of a request; before it is submitted."""
        self._inbox.put(lambda: self._open.__setitem__(request, _Open(sender, reply)))

    def add(self, request: GenerationRequest, event: GenerationEvent) -> None:
        """Answer with an event; the sink of every request."""
        self._inbox.put(lambda: self._answer(request, event))

    def refuse(self, sender, error: Exception, request: GenerationRequest | None = None) -> None:
        """Answer a request that does not run with an error."""
        self._inbox.put(lambda: self._fail(sender, error, request))

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
            self._fail(entry.sender, event.error, request)
        elif event.finish_reason == CANCELLED:
            self._send_error(entry.sender, "cancelled", self._pb_utils.TritonError.CANCELLED)
            self._open.pop(request)
        else:
            outputs, is_last = entry.reply.add(event)
            if outputs is not None:
                tensors = [self._pb_utils.Tensor(name, array) for name, array in outputs.items()]
                self._send(entry.sender, self._pb_utils.InferenceResponse(tensors), is_last)
            if is_last:
                self._open.pop(request)

    def _fail(self, sender, error: Exception, request: GenerationRequest | None) -> None:
        if self._open.pop(request, None) is not None:
            self._generator.cancel(request)
        self._send_error(sender, str(error), self._code_of(error))

    def _send_error(self, sender, message: str, code: int) -> None:
        error = self._pb_utils.TritonError(message, code)
        self._send(sender, self._pb_utils.InferenceResponse(error=error), is_last=True)

    def _send(self, sender, response, is_last: bool) -> None:
        flags = self._pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if is_last else 0
        sender.send(response, flags)

    def _cancel_abandoned(self) -> None:
        for request, entry in self._open.items():
            if entry.sender.is_cancelled():
                self._generator.cancel(request)

    def _code_of(self, error: Exception) -> int:
        codes = self._pb_utils.TritonError
        if isinstance(error, QueueFullError | QueueTimeoutError):
            return codes.UNAVAILABLE
        is_clients = isinstance(error, GenerateError) and not isinstance(error, ComputationError)
        return codes.INVALID_ARG if is_clients else codes.INTERNAL


def _nothing() -> None:
    """Do nothing; the queue stayed empty."""
