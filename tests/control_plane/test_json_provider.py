"""Bodies: only JSON that is valid Unicode comes in, NumPy rows go out."""

import errno
import io
import json

import numpy as np
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from control_plane.json_provider import OrjsonProvider
from tests.control_plane.problem_assertions import assert_problem

APP = Flask("json")  # A provider keeps a weak reference only.
PROVIDER = OrjsonProvider(APP)
BODY_ROUTES = ["/api/v1/models/load", "/api/v1/models/unload", "/api/v1/models/embedding", "/v1/embeddings"]
JSON_VALUES = st.recursive(st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.text(),
                           lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("body", [
    b"", b"{", b"{'text': 'a'}", b'{"text": "a"} x', b'{"text": "a",}', b'{"text": NaN}', b"\xff\xfe{}", b"[" * 2000,
    b'{"text": "\xff"}', b'{"text": "line\nbreak"}', '{"text": "a"}'.encode("utf-16"),
], ids=lambda body: repr(body[:16]))
def test_body_that_is_not_json_is_400_and_says_where(client, path, body):
    assert_problem(client.post(path, data=body, content_type="application/json"), 400, "bad-request",
                   "the body is not JSON", "line 1 column")


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("body", [
    rb'{"text": "\ud800"}', rb'{"text": "\udc00"}', rb'{"text": "\ud800x"}', rb'{"\ud800": 1}',
    b'{"text": "\xed\xa0\x80"}',
], ids=repr)
def test_lone_surrogate_is_400(client, path, body):
    assert_problem(client.post(path, data=body, content_type="application/json"), 400, "bad-request",
                   "the body is not JSON")


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("content_type", [
    None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_body_that_is_not_declared_as_json_is_415(client, path, content_type):
    assert_problem(client.post(path, data=b'{"text": "a"}', content_type=content_type), 415, "unsupported-media-type",
                   "application/json")


@pytest.mark.parametrize("path", BODY_ROUTES)
@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'["text"]'])
def test_json_that_is_no_object_is_422(client, path, body):
    assert_problem(client.post(path, data=body, content_type="application/json"), 422, "invalid-request", "dictionary",
                   field="body")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_body_that_is_too_large_is_413_and_names_the_limit(client, settings, path):
    body = b'{"text": "%s"}' % (b"a" * settings.max_body_bytes)
    assert_problem(client.post(path, data=body, content_type="application/json"), 413, "request-entity-too-large",
                   "larger than 4000 bytes")


class _Silent(io.RawIOBase):
    """A connection whose client sends nothing more, as a socket with a time limit tells it."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_a_body_that_stops_half_way_is_400(client, path):
    answer = client.post(path, content_type="application/json",
                         environ_overrides={"wsgi.input": _Silent(), "CONTENT_LENGTH": "5"})
    assert_problem(answer, 400, "bad-request", "stopped half-way")


def test_body_at_the_limit_is_read(client, settings):
    body = b'{"text": "%s"}' % (b"a" * (settings.max_body_bytes - 12))
    assert len(body) == settings.max_body_bytes
    assert_problem(client.post("/api/v1/models/load", json={}), 422, "invalid-request", field="model_type")
    response = client.post("/api/v1/models/embedding", data=body, content_type="application/json")
    assert_problem(response, 422, "invalid-request", "3988 characters are more than 50", field="text")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/vnd.api+json"])
def test_json_may_be_declared_with_parameters_or_a_suffix(client, loaded, content_type):
    response = client.post("/api/v1/models/embedding", data='{"text": "é", "model_type": "tiny"}'.encode(),
                           content_type=content_type)
    assert response.status_code == 200


@given(JSON_VALUES)
def test_what_is_written_reads_back(value):
    assert PROVIDER.loads(PROVIDER.dumps(value)) == value
    assert json.loads(PROVIDER.dumps(value)) == value


def test_numpy_rows_are_written_with_the_shortest_digits_that_read_back():
    rows = np.array([[0.1, -1e-8], [1 / 3, 2.0]], dtype=np.float32)
    text = PROVIDER.dumps({"rows": rows})
    assert text.startswith('{"rows":[[0.1,')
    assert np.array_equal(np.array(json.loads(text)["rows"], dtype=np.float32), rows)
