"""Server-sent events and clients that have gone. Knows nothing of what is sent."""

import socket
from collections.abc import Iterable, Iterator

import orjson
from flask import Request, Response

from control_plane.problems import openai_error
from export.contract import ConchError

_END = b"data: [DONE]\n\n"


def event_stream(chunks: Iterable[dict]) -> Response:
    """Answer with one event for each chunk and OpenAI's end mark; an error in the middle becomes the last event."""
    return Response(_events(chunks), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})


def client_is_gone(request: Request) -> bool:
    """Return whether the client has closed its connection; False where the server does not let one look."""
    connection = request.environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _events(chunks: Iterable[dict]) -> Iterator[bytes]:
    try:
        for chunk in chunks:
            yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    except ConchError as error:
        # The status has gone out long ago.
        yield b"data: " + orjson.dumps(openai_error(error)) + b"\n\n"
        return
    yield _END
