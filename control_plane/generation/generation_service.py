"""The use case of generating text: who computes it, how much of it, how long. Knows nothing of HTTP."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from control_plane.errors import ConcurrencyError, InferenceTimeoutError, InvalidRequestError, ProviderTimeoutError
from control_plane.generation.openai_answers import Answers
from control_plane.generation.remote import generate_elsewhere
from control_plane.generation.request import GenerationEvent, GenerationRequest
from control_plane.generation.required_calls import constrain_to_call, read_calls
from control_plane.generation.slot_balancer import SlotBalancer
from control_plane.generation.streams import begin
from control_plane.generation.tool_calls import ToolCallSplitter
from control_plane.inference import Inference
from control_plane.model_registry import KnownModel, ModelRegistry
from control_plane.observability.inference_observer import InferenceObserver
from control_plane.observability.request_context import current_request_id
from control_plane.providers.openai_endpoint import OpenAIEndpoint
from control_plane.vllm.requests import request_for_vllm
from export.catalog import RemoteEndpoint


@dataclass(frozen=True)
class GenerationLimits:
    """What one request, and all requests of one process, may take."""

    max_new_tokens: int
    max_time_s: float
    max_concurrent: int
    temperature: float | None  # where a request states none; None: as the model's checkpoint has it


class GenerationService:
    """Generates with models in Triton and with servers elsewhere, through one interface."""

    def __init__(self, registry: ModelRegistry, inference: Inference, observer: InferenceObserver,
                 balancer: SlotBalancer, connect: Callable[[RemoteEndpoint], OpenAIEndpoint],
                 limits: GenerationLimits) -> None:
        self._registry, self._inference, self._observer = registry, inference, observer
        self._balancer, self._connect, self._limits = balancer, connect, limits
        self._endpoints: dict[RemoteEndpoint, OpenAIEndpoint] = {}
        self._running = threading.BoundedSemaphore(limits.max_concurrent)

    def generate(self, name: str, request: GenerationRequest,
                 time_limit_s: float | None = None) -> Iterator[GenerationEvent]:
        """Return the pieces of the answers as they come; closing the iterator stops the generation.

        It ends after `time_limit_s`, or the platform's limit where that is shorter, with what there is by then.
        Errors of the request, and whatever goes wrong before the first piece, are raised here and not by the iterator:
        those of ModelRegistry.servable, Inference.ask, TritonGateway.generate and OpenAIEndpoint.
        """
        model = self._registry.generator(name)
        limit_s = min(self._limits.max_time_s, time_limit_s or self._limits.max_time_s)
        events = self._observed(model, self._fit(request), limit_s)
        return begin(events)

    def check(self, name: str) -> None:
        """Raise what `generate` would for a model that cannot generate."""
        self._registry.generator(name)

    def answer(self, name: str, request: GenerationRequest, time_limit_s: float | None = None) -> Answers:
        """Return the whole answers; raises what `generate` does."""
        answers = Answers()
        with closing(self.generate(name, request, time_limit_s)) as events:
            for event in events:
                answers.add(event)
        return answers

    def _fit(self, request: GenerationRequest) -> GenerationRequest:
        """Put the platform's limits and defaults into the sampling parameters."""
        limits, sampling = self._limits, dict(request.sampling)
        asked = sampling.setdefault("max_tokens", limits.max_new_tokens)
        if asked > limits.max_new_tokens:
            raise InvalidRequestError("max_tokens", f"{asked} is more than the {limits.max_new_tokens} that one answer "
                                                    "may have (MAX_NEW_TOKENS)")
        if limits.temperature is not None:
            sampling.setdefault("temperature", limits.temperature)
        return replace(request, sampling=sampling)

    def _observed(self, model: KnownModel, request: GenerationRequest, limit_s: float) -> Iterator[GenerationEvent]:
        if not self._running.acquire(blocking=False):
            raise ConcurrencyError(self._limits.max_concurrent, "CONCH_MAX_GENERATIONS")
        try:
            answers = Answers()
            with self._observer.observe(model.name, _texts(request)) as observation, \
                    closing(self._events(model, request, limit_s)) as events:
                for event in _with_tool_calls(events) if request.tools else events:
                    answers.add(event)
                    yield event
                observation.tokens = answers.prompt_tokens + answers.completion_tokens
        finally:
            self._running.release()

    def _events(self, model: KnownModel, request: GenerationRequest, limit_s: float) -> Iterator[GenerationEvent]:
        """Yield what the model gives; where the time is over, the answers end as they do at their longest."""
        deadline = time.monotonic() + limit_s
        unfinished: dict[int, GenerationEvent] = {}
        try:
            with closing(self._open(model, request, limit_s)) as events:
                for event in events:
                    unfinished[event.index] = event
                    if event.finish_reason:
                        del unfinished[event.index]
                    yield event
                    if unfinished and time.monotonic() > deadline:
                        break
        except (InferenceTimeoutError, ProviderTimeoutError):
            if not unfinished:
                raise
        for event in unfinished.values():
            yield replace(event, text="", logprobs=None, finish_reason="length", tool_calls=())

    def _open(self, model: KnownModel, request: GenerationRequest, limit_s: float) -> Iterator[GenerationEvent]:
        remote = model.entry.remote if model.entry else None
        if remote:
            endpoint = self._endpoints.setdefault(remote, self._endpoints.get(remote) or self._connect(remote))
            return generate_elsewhere(endpoint, request)
        if request.required_tools:
            return read_calls(begin(self._compute(model.name, constrain_to_call(request), limit_s)))
        events = begin(self._compute(model.name, request, limit_s))
        return _with_prompt(request, events) if request.echo else events

    def _compute(self, name: str, request: GenerationRequest, limit_s: float) -> Iterator[GenerationEvent]:
        """Yield what a Triton gives; once it has given something, no other is asked."""
        with self._balancer.hold_slots(request) as choose:
            yield from self._inference.ask(name, lambda gateway, route: begin(gateway.generate(
                name, self._as_taken(name, route.state.active_version, request), route.state.active_version,
                current_request_id(), limit_s)), choose)

    def _as_taken(self, name: str, version: int, request: GenerationRequest) -> GenerationRequest:
        """Return the request as the backend of a version takes it."""
        manifest = self._registry.vllm_manifest(name, version)
        return request if manifest is None else request_for_vllm(request, manifest,
                                                                 self._registry.chat_template(name, version))


def _with_prompt(request: GenerationRequest, events: Iterator[GenerationEvent]) -> Iterator[GenerationEvent]:
    with closing(events):
        for index in range(request.sampling.get("n", 1)):
            yield GenerationEvent(index, request.prompt or "")
        yield from events


def _texts(request: GenerationRequest) -> list[str]:
    """Return the texts that a request brings, for the counts of texts and characters."""
    if request.messages is None:
        return [request.prompt or ""]
    return [str(message.get("content") or "") for message in request.messages]


def _with_tool_calls(events: Iterator[GenerationEvent]) -> Iterator[GenerationEvent]:
    """Take the tool calls out of the text; an answer's last piece carries what is left."""
    splitters: dict[int, ToolCallSplitter] = {}
    for event in events:
        splitter = splitters.setdefault(event.index, ToolCallSplitter())
        text, calls = splitter.feed(event.text)
        if event.finish_reason:
            text += splitter.finish()
        if text or calls or event.finish_reason or event.logprobs:
            yield replace(event, text=text, tool_calls=(*event.tool_calls, *calls))
