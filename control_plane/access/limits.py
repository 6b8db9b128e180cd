"""Refuses more requests than are allowed: at once in this process, and for each key over time. Knows no routes."""

import threading
import time

from flask import Flask, Response, g, request
from flask_limiter import Limiter, RequestLimit
from limits import parse_many
from limits.errors import ConfigurationError

from control_plane.access.scopes import PUBLIC_PATHS
from control_plane.errors import ConcurrencyError, RateLimitError
from control_plane.problems import answer_conch_error
from control_plane.settings import Settings, SettingsError

# A Redis that is away is noticed, not waited for.
_REDIS_OPTIONS = {"socket_connect_timeout": 1, "socket_timeout": 1}


def limit_concurrency(app: Flask, limit: int) -> None:
    """Refuse requests while `limit` others are under way, before anything is done for them; never PUBLIC_PATHS."""
    places = threading.Semaphore(limit)

    @app.before_request
    def enter() -> None:
        if request.path in PUBLIC_PATHS:
            return
        if not places.acquire(blocking=False):
            raise ConcurrencyError(limit)
        g.has_place = True

    @app.teardown_request
    def leave(_: BaseException | None) -> None:
        if g.pop("has_place", False):
            places.release()


def limit_rate(app: Flask, settings: Settings) -> None:
    """Refuse requests of a key that was used more often than CONCH_RATE_LIMIT; the guard must have checked the key.

    Without a limit nothing is set up, and nothing is paid. Raises SettingsError. While a Redis is away each worker
    counts for itself; the requests that were asking it when it went are answered uncounted.
    """
    if settings.rate_limit is None:
        return
    _check_rate(settings.rate_limit)
    try:
        Limiter(_identify_key, app=app, application_limits=[settings.rate_limit], strategy="sliding-window-counter",
                # What needs no key is not counted: there is none to count by.
                application_limits_exempt_when=lambda: "identity" not in g, on_breach=_answer_breach,
                # Without a name the library would let requests to paths that do not exist pass uncounted.
                request_identifier=lambda: request.endpoint or "unknown", in_memory_fallback_enabled=True,
                # Of several requests that see a Redis go, the library falls back for the first and raises in the rest.
                swallow_errors=True,
                storage_uri=settings.rate_limit_storage, storage_options=_REDIS_OPTIONS, key_prefix="conch")
    except (ConfigurationError, ValueError) as error:
        # Neither the value nor the library's message, which repeats it: there may be a password in it.
        raise SettingsError("CONCH_RATE_LIMIT_STORAGE is no storage that works here; give memory:// or "
                            "redis://host:6379") from error


def _check_rate(rate: str) -> None:
    """Raise SettingsError for what is no rate, and for one that nobody could keep to."""
    try:
        is_usable = all(limit.amount > 0 for limit in parse_many(rate))
    except ValueError:
        is_usable = False
    if not is_usable:
        raise SettingsError(f"CONCH_RATE_LIMIT={rate!r} must be a rate, for example 20/second or 600/minute")


def _identify_key() -> str:
    return g.identity.key_id or g.identity.name


def _answer_breach(breached: RequestLimit) -> Response:
    return answer_conch_error(RateLimitError(str(breached.limit), max(1, breached.reset_at - int(time.time()))))
