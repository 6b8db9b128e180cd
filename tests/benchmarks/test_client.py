import base64
import json

import numpy as np
import pytest

from benchmarks.client import Answered, Load, batches_of_texts, summarize
from benchmarks.connections import AnswerError, decode_embeddings, number_in_head

LOAD = Load("rest", "http://127.0.0.1:1/v1/embeddings", "fast", texts_per_request=4, duration_s=10.0)


@pytest.mark.parametrize(("sent", "ended", "share"), [
    (0, 10, 1), (2, 4, 1), (-5, 5, 0.5), (5, 15, 0.5), (-10, 30, 0.25), (-4, -2, 0), (12, 14, 0),
])
def test_a_request_counts_with_its_share_of_the_measured_time(sent, ended, share):
    assert Answered(sent, ended).share_within(0, 10) == pytest.approx(share)


def test_throughput_of_a_steady_loop_does_not_depend_on_where_the_time_is_cut():
    # One caller, 3 s a request: a third of a request each second, however the ten seconds lie.
    for offset in (-2.9, -1.5, 0.0):
        answered = [Answered(offset + 3 * number, offset + 3 * (number + 1)) for number in range(-2, 6)]
        measured = summarize(answered, 0.0, LOAD, client_cpu_s=1.0)
        assert measured.texts_per_s == pytest.approx(4 / 3)
        assert measured.p50_ms == measured.p99_ms == pytest.approx(3000)


def test_no_request_in_the_measured_time_is_an_error():
    with pytest.raises(TimeoutError):
        summarize([Answered(-3, -1)], 0.0, LOAD, 0.0)


def test_batches_walk_the_texts_without_gaps():
    batches = batches_of_texts(LOAD)
    first, second = next(batches), next(batches)
    assert (len(first), len(second)) == (4, 4)
    assert not set(first) & set(second)


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_both_encodings_decode_to_the_same_array(encoding_format):
    expected = np.array([[0.5, -1.0], [0.25, 2.0]], dtype=np.float32)
    rows = expected.tolist() if encoding_format == "float" else [
        base64.b64encode(row.tobytes()).decode() for row in expected]
    answer = json.loads(json.dumps({"data": [{"embedding": row} for row in rows]}))
    decoded = decode_embeddings(answer, encoding_format)
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, expected)


def test_a_number_in_a_head_is_found_in_any_case_and_missed_loudly():
    assert number_in_head(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 42\r\n\r\n", b"content-length") == 42
    with pytest.raises(AnswerError, match="response without content-length"):
        number_in_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"content-length")
