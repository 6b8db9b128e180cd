"""The engine on a tiny decoder: the same text in any company, and nothing that one request does reaches another."""

import queue
import random
import threading
import time

import numpy as np
import pytest

from serving.errors import ComputationError, OutOfMemoryError, QueueFullError, QueueTimeoutError
from serving.generator.generator import TextGenerator
from serving.generator.limits import EngineSettings
from serving.generator.session import DecoderSession

GREEDY = {"temperature": 0, "max_tokens": 24}
PROMPTS = [("A shared beginning of some length. " if number % 3 else "") + f"Question {number}: {'why ' * (number % 7)}"
           for number in range(24)]


def text_of(generator: TextGenerator, prompt: str, sampling: dict) -> str:
    return "".join(event.text for event in generator.generate(prompt, sampling))


def together(generator: TextGenerator, requests: list[tuple[str, dict]]) -> list[str]:
    """Return the texts of requests that are all submitted at once."""
    texts, events = [""] * len(requests), queue.SimpleQueue()
    prepared = {}
    for place, (prompt, sampling) in enumerate(requests):
        request = generator.prepare(prompt, sampling, lambda who, event: events.put((who, event)))
        prepared[request] = place
    for request in prepared:
        generator.submit(request)
    left = len(requests)
    while left:
        request, event = events.get(timeout=30)
        texts[prepared[request]] += event.text
        left -= event.finish_reason is not None
    return texts


def fresh(tiny_version, **settings) -> TextGenerator:
    return TextGenerator.load(tiny_version, EngineSettings(**{"slots": 4, **settings}), threads=1)


def wait_until_idle(generator: TextGenerator) -> None:
    """Return when every slot is free: as many requests as there are slots then run at once."""
    together(generator, [("x", {"max_tokens": 2})] * generator.limits.slots)


@pytest.mark.parametrize("sampling", [
    GREEDY, {"seed": 3, "max_tokens": 24}, {"seed": 3, "top_p": 0.8, "top_k": 20, "max_tokens": 12},
    {"seed": 1, "repetition_penalty": 1.3, "frequency_penalty": 0.5, "max_tokens": 24},
])
def test_a_text_is_the_same_alone_in_company_and_after_whatever_ran_before(generator, tiny_version, sampling):
    requests = [(prompt, {**sampling, "max_tokens": 4 + 5 * place % sampling["max_tokens"]})
                for place, prompt in enumerate(PROMPTS)]
    first = fresh(tiny_version, slots=1)
    alone = [text_of(first, prompt, asked) for prompt, asked in requests]
    first.close()
    assert together(generator, requests) == alone
    chooser = random.Random(1)  # noqa: S311 - repeatable, no secrets.
    order = chooser.sample(range(len(requests)), len(requests))
    assert together(generator, [requests[place] for place in order]) == [alone[place] for place in order]


def test_a_prompt_that_was_computed_is_not_computed_again(tiny_version):
    generator = fresh(tiny_version)
    prompt = "You are helpful. " * 5
    text_of(generator, prompt + "One?", GREEDY)
    before = generator.statistics.reused_tokens
    text_of(generator, prompt + "Two?", GREEDY)
    assert generator.statistics.reused_tokens - before == len(prompt)
    generator.close()


def test_the_sequences_of_a_request_share_their_prompt_and_differ(generator):
    before = generator.statistics.reused_tokens
    events = list(generator.generate("A prompt of some length", {"n": 3, "seed": 1, "max_tokens": 10}))
    texts = {index: "".join(event.text for event in events if event.index == index) for index in range(3)}
    assert len(set(texts.values())) == 3
    assert [event.finish_reason for event in events if event.finish_reason] == ["length"] * 3
    assert generator.statistics.reused_tokens - before >= 2 * (len("A prompt of some length") - 2)


def test_cancelled_requests_leave_no_slot_behind(generator):
    chooser = random.Random(2)  # noqa: S311 - repeatable, no secrets.
    for _ in range(150):
        answer = generator.generate(chooser.choice(PROMPTS), {"max_tokens": 100, "ignore_eos": True})
        for _ in range(chooser.randint(0, 3)):
            next(answer)
        answer.close()
    wait_until_idle(generator)
    assert generator.statistics.cancelled >= 100
    assert together(generator, [(PROMPTS[0], GREEDY)])[0] == text_of(generator, PROMPTS[0], GREEDY)


@pytest.fixture
def slow_steps(monkeypatch):
    """Make a step last so long that nothing is over before the test has done what it does meanwhile."""
    decode = DecoderSession.decode

    def linger(*arguments):
        time.sleep(0.01)
        return decode(*arguments)

    monkeypatch.setattr(DecoderSession, "decode", linger)


@pytest.mark.usefixtures("slow_steps")
def test_cancelling_ends_a_request_that_waits_runs_or_is_over(generator):
    ends = queue.SimpleQueue()
    asked = {"max_tokens": 200, "ignore_eos": True}
    requests = [generator.prepare("x", asked, lambda who, event: event.finish_reason and ends.put(event.finish_reason))
                for _ in range(8)]
    for request in requests:
        generator.submit(request)
    for request in requests:
        generator.cancel(request)
        generator.cancel(request)
    assert [ends.get(timeout=10) for _ in requests] == ["cancelled"] * 8
    generator.cancel(requests[0])
    wait_until_idle(generator)
    assert ends.empty()


def test_too_many_waiting_requests_are_refused_at_once(tiny_version):
    generator = fresh(tiny_version, slots=1, queue_length=2)
    with pytest.raises(QueueFullError, match="too many requests wait: 0 of at most 2 sequences, and 3 more"):
        list(generator.generate("x", {"n": 3}))
    assert text_of(generator, "x", GREEDY)
    generator.close()


def test_who_waits_too_long_is_told(tiny_version, monkeypatch):
    generator = fresh(tiny_version, slots=1)
    monkeypatch.setattr("serving.generator.engine.time.monotonic", iter(np.arange(0, 1e9, 100.0)).__next__)
    [event] = generator.generate("x", GREEDY)
    assert isinstance(event.error, QueueTimeoutError)
    assert "within 60 s" in str(event.error)
    generator.close()


def test_what_fails_in_one_sequence_stays_its_own(generator, monkeypatch):
    """A grammar that fails at its second token, beside a request that does not care."""
    alone = text_of(generator, PROMPTS[1], GREEDY)

    class Failing:
        is_complete = False
        applied = 0

        def copy(self):
            return self

        def apply(self, logits):
            self.applied += 1
            if self.applied == 2:
                raise ComputationError("the grammar failed")

        def accept(self, token):
            pass

    events = queue.SimpleQueue()
    request = generator.prepare(PROMPTS[0], GREEDY, lambda who, event: events.put(event))
    object.__setattr__(request, "constraint", Failing())
    generator.submit(request)
    assert text_of(generator, PROMPTS[1], GREEDY) == alone
    told = []
    while not told or told[-1].finish_reason is None:
        told.append(events.get(timeout=10))
    assert str(told[-1].error) == "the grammar failed"


@pytest.mark.parametrize("step", ["prefill", "decode"])
def test_a_computation_that_fails_ends_its_requests_and_the_next_ones_go_well(tiny_version, monkeypatch, step):
    generator = fresh(tiny_version)
    expected = text_of(generator, PROMPTS[0], GREEDY)
    with monkeypatch.context() as broken:
        broken.setattr(f"serving.generator.session.DecoderSession.{step}", lambda *_: 1 / 0)
        events = list(generator.generate(PROMPTS[0], GREEDY))
    assert isinstance(events[-1].error, ComputationError)
    assert "division by zero" in str(events[-1].error)
    assert text_of(generator, PROMPTS[0], GREEDY) == expected
    generator.close()


def failing(compute, fails):
    """Return a session's `compute` that finds no memory when `fails` says so of its arguments."""
    def attempt(session, *arguments):
        if fails(*arguments):
            raise MemoryError
        return compute(session, *arguments)
    return attempt


def test_a_prompt_that_finds_no_memory_is_computed_in_smaller_chunks(generator, tiny_version, monkeypatch):
    expected = text_of(generator, PROMPTS[1], GREEDY)
    short_of_memory, sizes = fresh(tiny_version, prefill_chunk_tokens=8), []

    def is_large(slot, tokens, start):
        sizes.append(len(tokens))
        return len(tokens) > 9

    monkeypatch.setattr(DecoderSession, "prefill", failing(DecoderSession.prefill, is_large))
    assert text_of(short_of_memory, PROMPTS[1], GREEDY) == expected
    assert sizes[0] > 9 >= sizes[1]
    short_of_memory.close()


def test_a_step_that_finds_no_memory_is_computed_again(tiny_version, monkeypatch):
    generator = fresh(tiny_version)
    expected = text_of(generator, PROMPTS[0], GREEDY)
    attempts = []
    monkeypatch.setattr(DecoderSession, "decode", failing(
        DecoderSession.decode, lambda tokens, lengths: attempts.append(tokens) or len(attempts) % 2))
    assert text_of(generator, PROMPTS[0], GREEDY) == expected
    assert len(attempts) == 2 * (GREEDY["max_tokens"] - 1)
    generator.close()


def test_where_a_smaller_step_finds_memory_the_youngest_request_is_the_only_one_to_end(tiny_version, monkeypatch):
    generator = fresh(tiny_version)
    expected = [text_of(generator, prompt, GREEDY) for prompt in PROMPTS[:2]]
    monkeypatch.setattr(DecoderSession, "decode", failing(
        DecoderSession.decode, lambda tokens, lengths: len(tokens) > 2))
    events = queue.SimpleQueue()
    requests = [generator.prepare(prompt, GREEDY, lambda who, event: events.put((who, event)))
                for prompt in PROMPTS[:3]]
    submitted, prefill = threading.Event(), DecoderSession.prefill
    # The first is not to be over before the last has come.
    monkeypatch.setattr(DecoderSession, "prefill",
                        lambda *arguments: prefill(*arguments) if submitted.wait(30) else None)
    for request in requests:
        generator.submit(request)
    submitted.set()
    texts, errors = dict.fromkeys(requests, ""), {}
    ended = 0
    while ended < 3:
        request, event = events.get(timeout=30)
        texts[request] += event.text
        ended += event.finish_reason is not None
        if event.error:
            errors[request] = event.error
    assert [texts[request] for request in requests[:2]] == expected
    assert list(errors) == [requests[2]]
    assert isinstance(errors[requests[2]], OutOfMemoryError)
    assert "out of memory; ask again later" in str(errors[requests[2]])
    generator.close()


def test_a_prompt_for_which_there_is_no_memory_at_all_ends_its_own_request(tiny_version, monkeypatch):
    generator = fresh(tiny_version)
    with monkeypatch.context() as short:
        short.setattr(DecoderSession, "prefill", failing(DecoderSession.prefill, lambda *_: True))
        [event] = generator.generate(PROMPTS[0], GREEDY)
    assert isinstance(event.error, OutOfMemoryError)
    assert text_of(generator, PROMPTS[0], GREEDY)
    generator.close()


def test_logits_that_are_no_numbers_are_an_error_and_no_text(tiny_version, monkeypatch):
    generator = fresh(tiny_version)
    monkeypatch.setattr("serving.generator.session.DecoderSession.prefill", lambda *_: np.full(259, np.nan))
    [event] = generator.generate("x", GREEDY)
    assert "computed no numbers" in str(event.error)
    generator.close()


@pytest.mark.usefixtures("slow_steps")
def test_closing_ends_what_runs_and_waits_with_an_error_and_takes_nothing_more(tiny_version):
    generator = fresh(tiny_version, slots=1)
    events = queue.SimpleQueue()
    requests = [generator.prepare(prompt, {"max_tokens": 250, "ignore_eos": True}, lambda who, event: events.put(event))
                for prompt in "ab"]
    for request in requests:
        generator.submit(request)
    told = [events.get(timeout=10)]
    generator.close()
    while not events.empty():
        told.append(events.get())
    ends = [event for event in told if event.finish_reason]
    assert len(ends) == 2
    assert "unloaded" in str(ends[-1].error)
    with pytest.raises(ComputationError, match="unloaded"):
        generator.submit(requests[0])
