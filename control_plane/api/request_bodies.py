"""Which bodies a route takes: JSON, unless it says that it takes files, or none."""

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, request
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

_ATTRIBUTE = "file_media_types"
_WITH_BODY = ("POST", "PUT", "PATCH")

View = TypeVar("View", bound=Callable)


def takes_files(*media_types: str) -> Callable[[View], View]:
    """Decorate a route whose body is a file of one of these types."""
    def state(view: View) -> View:
        setattr(view, _ATTRIBUTE, media_types)
        return view

    return state


def takes_no_body(view: View) -> View:
    """Decorate a route that takes its parameters from the URL alone."""
    setattr(view, _ATTRIBUTE, ())
    return view


def check_body(app: Flask) -> None:
    """Read the body of a request once, loudly: the validation behind this takes one that is not JSON for an empty one.

    Raises BadRequest, RequestEntityTooLarge and UnsupportedMediaType.
    """
    # An unknown path or method is a 404 or 405, whatever the body.
    if request.routing_exception is not None or request.method not in _WITH_BODY:
        return
    media_types = getattr(app.view_functions[request.endpoint], _ATTRIBUTE, None)
    if media_types == ():
        return
    if media_types is not None and request.mimetype not in media_types:
        raise UnsupportedMediaType(f"the body must be declared as {' or '.join(media_types)} (Content-Type)")
    try:
        request.get_json() if media_types is None else request.get_data()
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge(f"the body is larger than {request.max_content_length} bytes") from None
    except ClientDisconnected:  # or fallen silent: conch/gunicorn_config.py has the socket time out.
        raise BadRequest("the body stopped half-way; send as many bytes as Content-Length says, and send them "
                         "without a pause longer than CONCH_CLIENT_TIMEOUT_S") from None
