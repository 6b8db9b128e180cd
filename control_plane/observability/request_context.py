"""What belongs to the request that a thread is answering: its id and its model. Knows nothing of HTTP and of logs.

Kept in a context variable and not handed from function to function: log lines anywhere below a request carry it.
"""

import re
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass, field

# What is safe in a header, a log line and Triton's own log; anything else is replaced, not refused.
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ID_BYTES = 16


@dataclass
class RequestContext:
    """One request under way."""

    request_id: str
    model: str | None = None
    started_s: float = field(default_factory=time.perf_counter)

    def elapsed_ms(self) -> float:
        """Return how long the request has been under way."""
        return (time.perf_counter() - self.started_s) * 1000


_CURRENT: ContextVar[RequestContext | None] = ContextVar("conch_request", default=None)


def begin_request(given_id: str | None) -> RequestContext:
    """Begin a request under the id that the caller gave, or under a new one where that is missing or not sane."""
    is_sane = given_id is not None and _SANE_ID.fullmatch(given_id)
    context = RequestContext(given_id if is_sane else secrets.token_hex(_ID_BYTES))
    _CURRENT.set(context)
    return context


def end_request() -> None:
    """Forget the request; the thread answers others after it."""
    _CURRENT.set(None)


def current_request() -> RequestContext | None:
    """Return the request that this thread answers, None outside of one."""
    return _CURRENT.get()


def current_request_id() -> str:
    """Return the id of the request that this thread answers, "" outside of one."""
    context = _CURRENT.get()
    return context.request_id if context else ""


def note_model(model: str) -> None:
    """Keep which model the request turned out to be for; does nothing outside of a request."""
    context = _CURRENT.get()
    if context is not None:
        context.model = model
