"""The loop that computes: requests join and leave between steps of all that run. Knows no text and no Triton.

One thread owns slots and session. A turn of it admits, cancels, computes a chunk of one prompt and then one token of
every running sequence, so that a long prompt delays the others by a chunk at most.
"""

import threading
import time
from collections.abc import Iterable

from export.contract import TOO_MANY_WAIT
from serving.errors import ComputationError, GenerateError, OutOfMemoryError, QueueFullError, QueueTimeoutError
from serving.generator.decoder import Session
from serving.generator.events import CANCELLED, FAILED, GenerationEvent, GenerationRequest
from serving.generator.limits import EngineLimits
from serving.generator.memory import compute_twice, is_out_of_memory
from serving.generator.scheduler import WaitingQueue, chunk_tokens
from serving.generator.sequence import Sequence
from serving.generator.slots import SlotTable
from serving.generator.statistics import GenerationStatistics
from serving.generator.vocabulary import Vocabulary


class Engine:
    """Answers requests with one session, from a thread of its own."""

    def __init__(self, session: Session, vocabulary: Vocabulary, limits: EngineLimits) -> None:
        self.limits = limits
        self.statistics = GenerationStatistics()
        self._vocabulary = vocabulary
        self._slots = SlotTable(session)
        self._waiting = WaitingQueue(limits.queue_timeout_s)
        self._changed = threading.Condition()
        self._arrived: list[Sequence] = []           # guarded, as are the two below
        self._cancelled: set[GenerationRequest] = set()
        self._is_closing = False
        self._thread = threading.Thread(target=self._loop, name="generation", daemon=True)
        self._thread.start()

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request; its events go to its sink.

        Raises QueueFullError when too many wait, ComputationError when the engine is closed.
        """
        sequences = [Sequence(request, index, self._vocabulary, self.limits.context_tokens)
                     for index in range(request.parameters.n)]
        with self._changed:
            if self._is_closing:
                raise _unloaded()
            waiting = len(self._arrived) + len(self._waiting)
            if waiting + len(sequences) > self.limits.queue_length:
                raise QueueFullError(f"{TOO_MANY_WAIT}: {waiting} of at most {self.limits.queue_length} sequences, and "
                                     f"{len(sequences)} more are asked for; try again later")
            self._arrived += sequences
            self._changed.notify()

    def cancel(self, request: GenerationRequest) -> None:
        """End a request before the next step; one that has ended already is left alone."""
        with self._changed:
            self._cancelled.add(request)
            self._changed.notify()

    def close(self) -> None:
        """End everything and the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _loop(self) -> None:
        while self._wait_for_work():
            self._end_expired()
            self._fill()
            self._decode()
            self._describe()
        for sequence in [*self._slots.running, *self._filling(), *self._waiting.take_expired(float("inf"))]:
            self._end(sequence, FAILED, _unloaded())

    def _wait_for_work(self) -> bool:
        """Take in what was asked for, waiting while there is nothing to do; returns False when the engine closes."""
        with self._changed:
            has_work = self._slots.running or self._slots.filling or len(self._waiting)
            while not (has_work or self._arrived or self._cancelled or self._is_closing):
                self._changed.wait()
            for sequence in self._arrived:
                self._waiting.add(sequence)
            self._arrived.clear()
            cancelled, self._cancelled = self._cancelled, set()
            if self._is_closing:
                return False
        self._end_cancelled(cancelled)
        return True

    def _end_cancelled(self, requests: set[GenerationRequest]) -> None:
        if requests:
            placed = [item for item in [*self._slots.running, *self._filling()] if item.request in requests]
            for sequence in [*placed, *self._waiting.take_of(requests)]:
                self._end(sequence, CANCELLED)

    def _end_expired(self) -> None:
        for sequence in self._waiting.take_expired(time.monotonic()):
            self._end(sequence, FAILED, QueueTimeoutError(
                f"{TOO_MANY_WAIT}: no slot became free within {self.limits.queue_timeout_s} s; try again later"))

    def _fill(self) -> None:
        """Compute a chunk of the next prompt; after its last chunk the sequence has its first token."""
        slots = self._slots
        if slots.has_room and len(self._waiting):
            sequence = self._waiting.next()
            self.statistics.prompt_tokens += len(sequence.prompt)
            self.statistics.reused_tokens += slots.begin(sequence)
        if (sequence := slots.filling) is None:
            return
        remaining = len(sequence.prompt) - sequence.length
        try:
            logits = compute_twice(
                lambda: slots.fill(chunk_tokens(remaining, self.limits, bool(slots.running))), slots.trim,
                lambda: slots.fill(chunk_tokens(remaining, self.limits, others_run=True)))
        except Exception as error:  # Whatever the runtime raises, the others go on.
            self._end(sequence, FAILED, _failure("the prompt", error))
            return
        if sequence.length == len(sequence.prompt):
            slots.join()
            self._tell([sequence], [self._advance(sequence, logits)])

    def _decode(self) -> None:
        """Compute one token of every running sequence."""
        running = list(self._slots.running)
        if not running:
            return
        try:
            logits = compute_twice(self._slots.decode, self._slots.trim, self._slots.decode)
        except Exception as error:
            self._end_failed(running, error)
            return
        # All are advanced before anyone is told: whoever listens would take Python's lock in between.
        events = [self._advance(sequence, logits[row]) for row, sequence in enumerate(running)]
        self._tell(running, events)

    def _end_failed(self, running: list[Sequence], error: Exception) -> None:
        """End whom a failed step costs: all, as the runtime does not say whose fault it is.

        Where memory ran out only the youngest goes, which makes the next step smaller.
        """
        lacks_memory = is_out_of_memory(error)
        if lacks_memory:
            running = [max(running, key=lambda sequence: sequence.arrived_s)]
        for sequence in running:
            self._end(sequence, FAILED, _failure("the next token", error))
        if not lacks_memory:
            self._slots.forget()

    def _advance(self, sequence: Sequence, logits) -> GenerationEvent | None:
        """Choose the next token of a sequence; returns what is to be told of it, None where nothing is, or no more."""
        try:
            event = sequence.advance(logits)
        except Exception as error:  # A fault of one sequence's sampling or grammar is its own.
            failure = error if isinstance(error, GenerateError) else ComputationError(f"sampling failed: {error}")
            self._end(sequence, FAILED, failure)
            return None
        self._observe_token(sequence)
        if event is not None and event.finish_reason:
            self._slots.leave(sequence)
            self.statistics.finished += 1
        return event

    @staticmethod
    def _tell(sequences: Iterable[Sequence], events: Iterable[GenerationEvent | None]) -> None:
        for sequence, event in zip(sequences, events, strict=True):
            if event is not None:
                sequence.request.sink(sequence.request, event)

    def _end(self, sequence: Sequence, reason: str, error: GenerateError | None = None) -> None:
        if sequence is self._slots.filling or sequence in self._slots.running:
            self._slots.leave(sequence)
        self.statistics.finished += 1
        self.statistics.cancelled += reason == CANCELLED
        self.statistics.failed += reason == FAILED
        sequence.request.sink(sequence.request, GenerationEvent(sequence.index, "", sequence.token_count,
                                                                finish_reason=reason, error=error))

    def _observe_token(self, sequence: Sequence) -> None:
        now_s = time.monotonic()
        durations = self.statistics.first_token if sequence.token_count == 1 else self.statistics.inter_token
        durations.observe(now_s - sequence.last_token_s)
        sequence.last_token_s = now_s
        self.statistics.output_tokens += 1

    def _describe(self) -> None:
        self.statistics.waiting = len(self._waiting)
        self.statistics.running = len(self._slots.running) + len(self._filling())
        self.statistics.cached_tokens = self._slots.cached_tokens

    def _filling(self) -> list[Sequence]:
        return [] if self._slots.filling is None else [self._slots.filling]


def _failure(what: str, error: Exception) -> ComputationError:
    if is_out_of_memory(error):
        return OutOfMemoryError(what)
    return ComputationError(f"{what} could not be computed: {error}")


def _unloaded() -> ComputationError:
    return ComputationError("the model is being unloaded; ask again when it is back")
