"""Sends a request to a model: picks version and target, and tries another target once. Knows nothing of HTTP."""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

from control_plane.errors import (
    BrokenModelError,
    InsufficientMemoryError,
    ModelNotLoadedError,
    TritonUnavailableError,
)
from control_plane.fleet import Fleet
from control_plane.generation.request import GenerationRequest
from control_plane.lifecycle.lifecycle import Lifecycle
from control_plane.lifecycle.routes import Route, Routes
from control_plane.lifecycle.tables import ON_DEMAND
from control_plane.observability.request_context import current_request_id
from control_plane.triton_gateway import Classification, Embeddings, TritonGateway

Answer = TypeVar("Answer")
_ATTEMPTS = 2
_WRITE_TIMEOUT_S = 30.0


class Inference:
    """The inference side of one worker."""

    def __init__(self, fleet: Fleet, routes: Routes, lifecycle: Lifecycle) -> None:
        self._fleet, self._routes, self._lifecycle = fleet, routes, lifecycle
        self._turn = itertools.count()

    def embed(self, model: str, texts: Sequence[str], parameters: dict[str, str | bool] | None = None) -> Embeddings:
        """Embed `texts` with the active version; raises what `ask` does and what TritonGateway.embed raises."""
        return self.ask(model, lambda gateway, route: gateway.embed(
            model, texts, parameters, version=route.state.active_version, max_batch_size=route.max_batch_size,
            request_id=current_request_id()))

    def classify(self, model: str, texts: Sequence[str],
                 parameters: dict[str, str | bool] | None = None) -> Classification:
        """Score every label for each of `texts` with the active version; raises as `embed` does."""
        return self.ask(model, lambda gateway, route: gateway.classify(
            model, texts, parameters, version=route.state.active_version, max_batch_size=route.max_batch_size,
            request_id=current_request_id()))

    def write(self, model: str, prompt: str) -> str:
        """Return the likeliest next piece of text, one token long; raises what `ask` and TritonGateway.generate do."""
        request = GenerationRequest(prompt=prompt, sampling={"temperature": 0.0, "max_tokens": 1})
        return self.ask(model, lambda gateway, route: "".join(event.text for event in gateway.generate(
            model, request, route.state.active_version, current_request_id(), _WRITE_TIMEOUT_S)))

    def ask(self, model: str, question: Callable[[TritonGateway, Route], Answer],
            choose: Callable[[Route, Sequence[str]], str] | None = None) -> Answer:
        """Put `question` to a target that holds the active version, and once more to another that is there.

        `choose` returns one of the targets that it is given; without it they take turns. Raises ModelNotLoadedError
        when nobody wants the model live, TritonUnavailableError when it should be live but no target answers,
        InsufficientMemoryError when it runs out of memory though idle models gave way, and what `question` raises.
        """
        tried: set[str] = set()
        for attempt in range(_ATTEMPTS):
            route = self._route(model)
            target = (choose or self._next_in_turn)(route, _choice(route, tried))
            tried.add(target)
            try:
                return question(self._fleet.gateway(target), route)
            except (TritonUnavailableError, BrokenModelError, ModelNotLoadedError) as error:
                # Nothing was answered. A target that is away, a version that has just been retired: look again, once.
                if attempt == _ATTEMPTS - 1:
                    raise _unavailable(model, error) from error
                self._routes.refresh()
            except InsufficientMemoryError:
                if attempt == _ATTEMPTS - 1 or not (self._lifecycle.relieve(model) or len(route.targets) > 1):
                    raise
        raise AssertionError("every attempt returns or raises")

    def _route(self, model: str) -> Route:
        route = self._routes.find(model)
        if route is None or not route.state.is_wanted:
            self._routes.refresh()  # Whoever has just loaded it would not understand a refusal.
            route = self._routes.find(model)
        if route is None or not route.state.is_wanted:
            raise ModelNotLoadedError(model)
        if route.state.policy == ON_DEMAND and not route.state.is_resident:
            self._lifecycle.wake(model)
            self._routes.refresh()
            route = self._routes.find(model)
        return route

    def _next_in_turn(self, route: Route, targets: Sequence[str]) -> str:
        return targets[next(self._turn) % len(targets)]


def _choice(route: Route, tried: set[str]) -> Sequence[str]:
    """Return the targets that were not tried yet, else those that were: they may be back by now."""
    if not route.targets:
        raise TritonUnavailableError(f"model {route.state.name!r} is not ready on any Triton; it is being loaded")
    return [target for target in route.targets if target not in tried] or route.targets


def _unavailable(model: str, error: Exception) -> Exception:
    """A model that should be live but is not loaded is no mistake of the caller's."""
    if isinstance(error, ModelNotLoadedError):
        return TritonUnavailableError(f"model {model!r} is not ready; it is being loaded")
    return error
