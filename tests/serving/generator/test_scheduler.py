"""Who waits, and how a prompt is cut into chunks."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from serving.generator.limits import EngineLimits
from serving.generator.scheduler import WaitingQueue, chunk_tokens


def waiter(arrived_s: float, request: object = None) -> SimpleNamespace:
    return SimpleNamespace(arrived_s=arrived_s, request=request)


def test_first_come_first_served_and_who_waits_too_long_is_taken_out():
    waiting = WaitingQueue(timeout_s=10)
    early, late = waiter(0.0), waiter(5.0)
    waiting.add(early)
    waiting.add(late)
    assert waiting.take_expired(10.0) == []
    assert waiting.take_expired(12.0) == [early]
    assert waiting.next() is late
    assert len(waiting) == 0


def test_all_sequences_of_a_request_can_be_taken_out():
    waiting = WaitingQueue(timeout_s=10)
    sequences = [waiter(0.0, request) for request in "aba"]
    for sequence in sequences:
        waiting.add(sequence)
    assert waiting.take_of({"a"}) == [sequences[0], sequences[2]]
    assert len(waiting) == 1


@given(prompt=st.integers(2, 2000), chunk=st.integers(1, 300), others_run=st.booleans())
def test_chunks_cover_the_prompt_and_none_has_a_single_token(prompt, chunk, others_run):
    limits = EngineLimits(8, 2048, 64, 60, chunk, 0)
    chunks = []
    while (left := prompt - sum(chunks)) > 0:
        chunks.append(chunk_tokens(left, limits, others_run))
    assert sum(chunks) == prompt
    assert min(chunks) > 1
