"""Events as OpenAI sends them, and how a client that has gone is noticed."""

import json
import socket

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from control_plane.api.event_stream import client_is_gone, event_stream
from control_plane.errors import InferenceTimeoutError


def test_each_chunk_is_an_event_and_the_last_says_that_it_is_over():
    response = event_stream(iter([{"text": "好"}, {"text": "的"}]))
    assert response.mimetype == "text/event-stream"
    assert response.get_data(as_text=True) == 'data: {"text":"好"}\n\ndata: {"text":"的"}\n\ndata: [DONE]\n\n'


def test_an_error_in_the_middle_is_the_last_event():
    def chunks():
        yield {"n": 1}
        raise InferenceTimeoutError("slow")

    *_, last, end = event_stream(chunks()).get_data(as_text=True).split("\n\n")
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "inference-timeout"
    assert end == ""


@pytest.fixture
def connection():
    """Both ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def _request(connection: socket.socket | None) -> Request:
    return Request({**EnvironBuilder().get_environ(), "gunicorn.socket": connection})


def test_a_client_that_waits_or_goes_on_sending_is_there(connection):
    ours, theirs = connection
    assert not client_is_gone(_request(ours))
    theirs.send(b"GET / HTTP/1.1")
    assert not client_is_gone(_request(ours))
    assert ours.recv(3) == b"GET"  # Looking takes nothing away.


def test_a_client_that_has_closed_its_end_is_gone(connection):
    ours, theirs = connection
    theirs.close()
    assert client_is_gone(_request(ours))


def test_where_there_is_no_connection_to_look_at_nobody_is_gone():
    assert not client_is_gone(_request(None))
