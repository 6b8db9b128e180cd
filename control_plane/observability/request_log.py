"""Gives every HTTP request an id, a count and a line in the log. Knows nothing of what the request asks for.

The line holds the path and not the query, and no header: keys do not reach the log, not even those in a wrong place.
"""

import logging

from flask import Flask, Request, Response, g, request

from control_plane.access.key_format import hide_keys
from control_plane.observability.metrics import Metrics
from control_plane.observability.request_context import RequestContext, begin_request, current_request, end_request

REQUEST_ID_HEADER = "X-Request-Id"
_LOG = logging.getLogger("conch.access")


def log_requests(app: Flask, metrics: Metrics, writes_lines: bool) -> None:
    """Follow every request of `app`; to be registered before whatever may refuse one."""
    @app.before_request
    def begin() -> None:
        begin_request(request.headers.get(REQUEST_ID_HEADER))

    @app.after_request
    def finish(response: Response) -> Response:
        context, incoming = current_request(), request._get_current_object()
        response.headers[REQUEST_ID_HEADER] = context.request_id
        metrics.responses.labels(_route(incoming), response.status_code).inc()
        if writes_lines:
            _write_line(context, incoming, response.status_code)
        return response

    @app.teardown_request
    def forget(error: BaseException | None) -> None:
        end_request()


def _route(incoming: Request) -> str:
    """Return the pattern that matched, "" where none did: paths are the caller's invention."""
    return incoming.url_rule.rule if incoming.url_rule else ""


def _write_line(context: RequestContext, incoming: Request, status: int) -> None:
    path = hide_keys(incoming.path)
    _LOG.info("%s %s %d", incoming.method, path, status, extra={"fields": {
        "method": incoming.method, "path": path, "status": status,
        "duration_ms": round(context.elapsed_ms(), 3), "actor": g.get("actor")}})
