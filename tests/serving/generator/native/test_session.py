"""What our machine code computes is what ONNX Runtime computes of the same graph, and the same in any company."""

import gc
import os
import threading
import time

import numpy as np
import pytest

from serving.decode import GraphRow
from serving.errors import VersionLoadError
from serving.generator.native.packing import read_weights
from serving.generator.native.session import NativeDecoder

TOKENS = [int(token) for token in np.random.default_rng(0).integers(5, 300, 100)]
FAMILIES = ["llama", "qwen2", "qwen3"]   # plain, with biases, with norms of heads


@pytest.fixture(params=FAMILIES)
def graph(request, int8_graph):
    """Return the graph of each family."""
    return int8_graph(request.param)


def decoder_of(graph, threads=2):
    return NativeDecoder(read_weights(graph), threads, spin_us=50)


def test_the_logits_are_onnx_runtimes_up_to_what_rounding_to_8_bits_leaves(graph, float32_graph, request):
    exact = GraphRow(float32_graph(request.node.callspec.params["graph"])).append(TOKENS)
    by_runtime = GraphRow(graph).append(TOKENS)
    found = decoder_of(graph).new_session(1, 128).read(0, TOKENS, 0)
    errors = [np.linalg.norm(logits - exact) / np.linalg.norm(exact) for logits in (found, by_runtime)]
    assert np.linalg.norm(found - by_runtime) / np.linalg.norm(exact) < 1.5 * errors[1]
    assert errors[0] < 1.2 * errors[1]


def test_a_prompt_gives_the_same_in_chunks_of_any_size_and_token_by_token(graph):
    session = decoder_of(graph).new_session(3, 128)
    whole = session.read(0, TOKENS, 0)
    chunked = [session.prefill(1, TOKENS[start:stop], start) for start, stop in ((0, 7), (7, 8), (8, 80), (80, 100))]
    assert np.array_equal(chunked[-1], whole[-1])
    # Only the first slots are decoded, so the single tokens go to slot 0 of another session.
    single = decoder_of(graph).new_session(1, 128)
    by_token = [single.decode([token], [place])[0].copy() for place, token in enumerate(TOKENS)]
    assert np.array_equal(by_token, whole)


def test_a_row_gives_the_same_alone_and_in_any_company_with_any_number_of_threads(graph):
    session = decoder_of(graph).new_session(8, 128)
    for slot in range(8):
        session.prefill(slot, TOKENS[slot:40 + 3 * slot], 0)
    lengths = [40 + 2 * slot for slot in range(8)]
    together = session.decode(TOKENS[:8], lengths).copy()
    for rows in range(1, 8):
        assert np.array_equal(session.decode(TOKENS[:rows], lengths[:rows]), together[:rows])
    for threads in (1, 3):
        other = decoder_of(graph, threads).new_session(8, 128)
        for slot in range(8):
            other.prefill(slot, TOKENS[slot:40 + 3 * slot], 0)
        assert np.array_equal(other.decode(TOKENS[:8], lengths), together)


def test_a_slot_does_not_see_what_another_sequence_left_in_it(graph):
    session = decoder_of(graph).new_session(1, 128)
    expected = session.prefill(0, TOKENS[:10], 0)
    session._caches.keys[:] = session._caches.values[:] = np.float16(np.nan).view(np.uint16)
    assert np.array_equal(session.prefill(0, TOKENS[:10], 0), expected)


@pytest.mark.parametrize("tokens", [16, 37])
def test_slots_are_copied_and_exchanged_with_what_they_hold(graph, tokens):
    session = decoder_of(graph).new_session(3, 128)
    first, second = (session.prefill(slot, TOKENS[slot:slot + tokens], 0) for slot in (0, 1))
    assert not np.array_equal(first, second)
    session.copy(1, 2, tokens)
    expected = session.decode([9, 9, 9], [tokens] * 3).copy()
    assert np.array_equal(expected[1], expected[2])
    session.exchange(0, 1, tokens)
    assert np.array_equal(session.decode([9, 9], [tokens] * 2), expected[[1, 0]])


def test_a_decoder_says_what_it_needs_room_for(int8_graph):
    decoder = decoder_of(int8_graph("llama"))
    assert (decoder.layers, decoder.heads, decoder.kv_heads, decoder.head_dim) == (2, 4, 2, 16)
    assert (decoder.vocab_size, decoder.token_bytes) == (320, 2 * 2 * 2 * 16 * 2)


def test_the_threads_of_a_session_end_with_it(int8_graph):
    before, cores = set(threading.enumerate()), os.sched_getaffinity(0)
    session = decoder_of(int8_graph("llama"), threads=3).new_session(1, 64)
    session.prefill(0, TOKENS[:5], 0)
    assert len(set(threading.enumerate()) - before) == 3
    assert os.sched_getaffinity(0) == cores   # Only they keep to a core.
    del session
    gc.collect()
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_thread_keeps_to_a_core_where_there_are_as_many(int8_graph):
    cores = sorted(os.sched_getaffinity(0))
    before = set(threading.enumerate())
    session = decoder_of(int8_graph("llama"), threads=len(cores)).new_session(1, 64)
    session.prefill(0, TOKENS[:5], 0)
    threads = sorted(set(threading.enumerate()) - before, key=lambda thread: thread.native_id)
    assert [os.sched_getaffinity(thread.native_id) for thread in threads] == [{core} for core in cores]


def test_more_tokens_than_are_computed_at_once_are_read_in_pieces_with_many_slots(int8_graph):
    few, many = (decoder_of(int8_graph("llama")).new_session(slots, 256).read(0, TOKENS + TOKENS[:80], 0)
                 for slots in (1, 100))
    assert few.shape == (180, 320)
    assert np.array_equal(few, many)


def test_a_context_beyond_the_graphs_positions_is_refused(int8_graph):
    with pytest.raises(VersionLoadError, match=r"knows 256 positions, and context_tokens is 300"):
        decoder_of(int8_graph("llama")).new_session(1, 300)


def test_a_thread_that_cannot_be_started_is_a_lack_of_memory_and_leaves_none(int8_graph, monkeypatch):
    decoder, before, start = decoder_of(int8_graph("llama")), set(threading.enumerate()), threading.Thread.start
    started = []

    def fail_after_one(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_after_one)
    with pytest.raises(MemoryError, match="can't start new thread"):
        decoder.new_session(1, 64)
    gc.collect()
    started[0].join(timeout=10)
    assert not set(threading.enumerate()) - before
