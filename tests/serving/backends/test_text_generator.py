"""The parts of the text_generator backend that need no Triton: inputs, replies, responses, metrics."""

import json
import queue
from types import SimpleNamespace

import numpy as np
import pytest

from serving.backends.text_generator.generation_metrics import GenerationMetrics
from serving.backends.text_generator.replies import StreamedReply, WholeReply
from serving.backends.text_generator.request_inputs import Call, RequestInputs, read_call, read_inputs
from serving.backends.text_generator.response_thread import ResponseThread
from serving.errors import ComputationError, InvalidGenerationError, QueueFullError
from serving.generator.events import GenerationEvent
from serving.generator.sampling import TokenLogprob
from serving.generator.statistics import GenerationStatistics


class FakeMetricFamily:
    """One family of Triton's metrics API, noting its values by labels."""

    COUNTER, GAUGE = "counter", "gauge"

    def __init__(self, name: str, description: str, kind: str) -> None:
        self.kind, self.values = kind, {}
        FAMILIES[name] = self

    def Metric(self, labels: dict[str, str]):
        key = labels.get("le", "")
        assert {"model": "tiny", "version": "1"}.items() <= labels.items()
        self.values[key] = 0.0

        def add(amount: float) -> None:
            assert amount > 0
            self.values[key] += amount

        return SimpleNamespace(increment=add, set=lambda value: self.values.__setitem__(key, value))


FAMILIES: dict[str, FakeMetricFamily] = {}
CODES = SimpleNamespace(CANCELLED="cancelled", INVALID_ARG="invalid", UNAVAILABLE="unavailable", INTERNAL="internal")


class FakeError(SimpleNamespace):
    """A TritonError and its codes."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message=message, code=code)


for name, code in vars(CODES).items():
    setattr(FakeError, name, code)

FAKE_TRITON = SimpleNamespace(
    MetricFamily=FakeMetricFamily, TritonError=FakeError, TRITONSERVER_RESPONSE_COMPLETE_FINAL=1,
    Tensor=lambda name, array: (name, array.tolist()),
    InferenceResponse=lambda tensors=(), error=None: SimpleNamespace(outputs=dict(tensors), error=error),
    get_input_tensor_by_name=lambda request, name: request.tensors.get(name))


def request(parameters: str = "", **tensors):
    """A request of one-element tensors."""
    arrays = {name: np.array([value.encode() if isinstance(value, str) else value], dtype=object)
              for name, value in tensors.items()}
    return SimpleNamespace(tensors={name: SimpleNamespace(as_numpy=lambda array=array: array)
                                    for name, array in arrays.items()}, parameters=lambda: parameters,
                           get_response_sender=lambda: "sender")


def test_inputs_are_read_by_the_names_of_tritons_vllm_backend():
    inputs = read_inputs(request(text_input="hé", stream=True, sampling_parameters='{"n": 2}',
                                 return_finish_reason=True, return_num_input_tokens=False), FAKE_TRITON)
    assert inputs == RequestInputs("hé", None, None, {"n": 2}, True, False, frozenset({"return_finish_reason"}))


def test_without_the_tensor_the_parameters_of_the_request_are_the_sampling_parameters():
    inputs = read_inputs(request('{"max_tokens": 3, "triton_enable_empty_final_response": true}', text_input="a"),
                         FAKE_TRITON)
    assert inputs.sampling == {"max_tokens": 3}


@pytest.mark.parametrize(("tensors", "includes"), [
    ({}, True), ({"exclude_input_in_output": True}, False), ({"exclude_input_in_output": False}, True),
    ({"stream": True}, False), ({"stream": True, "exclude_input_in_output": True}, False)])
def test_the_prompt_stands_before_the_text_as_in_tritons_vllm_backend(tensors, includes):
    assert read_inputs(request(text_input="a", **tensors), FAKE_TRITON).includes_prompt is includes


def test_messages_come_as_json_and_are_never_repeated():
    inputs = read_inputs(request(messages='[{"role": "user"}]', tools="[]"), FAKE_TRITON)
    assert (inputs.messages, inputs.tools, inputs.includes_prompt) == ([{"role": "user"}], [], False)


@pytest.mark.parametrize(("tensors", "words"), [
    ({}, "either text_input or messages"), ({"text_input": "a", "messages": "[]"}, "either text_input or messages"),
    ({"text_input": b"a\xff"}, "text_input is not UTF-8: .* at byte 1"),
    ({"messages": "[" * 100_000}, "messages is not JSON"), ({"messages": "x"}, "messages is not JSON"),
    ({"text_input": "a", "sampling_parameters": "[]"}, "sampling_parameters must be a JSON object"),
    ({"text_input": "a", "stream": True, "exclude_input_in_output": False}, "cannot be false when stream is true")])
def test_wrong_inputs_are_refused_by_name(tensors, words):
    with pytest.raises(InvalidGenerationError, match=words):
        read_inputs(request(**tensors), FAKE_TRITON)


def test_how_to_answer_is_read_from_parameters_that_are_no_sampling_parameters():
    asked = request('{"request_key": "k", "error_status": true, "max_tokens": 3}', text_input="a")
    assert read_call(asked) == Call("sender", key="k", tells_status=True)
    assert read_inputs(asked, FAKE_TRITON).sampling == {"max_tokens": 3}
    assert read_call(request('{"cancel": "k"}')) == Call("sender", cancels="k")


def streamed(told: tuple[str, ...] = (), sequences: int = 1, has_logprobs: bool = False) -> StreamedReply:
    inputs = RequestInputs("p", None, None, {}, True, False, frozenset(told))
    return StreamedReply(inputs, 7, 0, has_logprobs, sequences, lambda token: f"<{token}>")


def test_a_streamed_piece_is_its_text_and_the_last_has_everything():
    reply = streamed()
    piece, is_last = reply.add(GenerationEvent(0, "he", 2))
    assert ({name: array.tolist() for name, array in piece.items()}, is_last) == ({"text_output": [b"he"]}, False)
    end, is_last = reply.add(GenerationEvent(0, "", 3, finish_reason="stop"))
    assert {name: array.tolist() for name, array in end.items()} == {
        "text_output": [b""], "finish_reason": [b"stop"], "num_input_tokens": [7], "num_output_tokens": [3]}
    assert is_last


def test_asked_for_output_tokens_come_with_every_piece_and_add_up():
    reply = streamed(("return_num_output_tokens", "return_finish_reason"))
    events = [GenerationEvent(0, "a", 2), GenerationEvent(0, "b", 5, finish_reason="length")]
    outputs = [reply.add(event)[0] for event in events]
    assert [item["num_output_tokens"].tolist() for item in outputs] == [[2], [3]]
    assert [item["finish_reason"].tolist() for item in outputs] == [[b"None"], [b"length"]]


def test_pieces_of_several_sequences_say_which_one_they_are_of():
    reply = streamed(sequences=2)
    ends = [reply.add(GenerationEvent(index, "x", 1, finish_reason="stop")) for index in (1, 0)]
    assert [(outputs["index"].tolist(), is_last) for outputs, is_last in ends] == [([1], False), ([0], True)]


def test_a_whole_reply_comes_once_with_all_sequences():
    reply = WholeReply("say ", 7, 0, True, 2, lambda token: f"<{token}>")
    logprob = [TokenLogprob(5, -0.5, 1)]
    assert reply.add(GenerationEvent(1, "b", 1, (logprob,))) == (None, False)
    assert reply.add(GenerationEvent(0, "a", 1, (logprob,), -0.5, "stop")) == (None, False)
    outputs, is_last = reply.add(GenerationEvent(1, "c", 2, (logprob,), -1.0, "length"))
    assert is_last
    assert outputs["text_output"].tolist() == [b"say a", b"say bc"]
    assert outputs["finish_reason"].tolist() == [b"stop", b"length"]
    assert outputs["num_output_tokens"].tolist() == [1, 2]
    assert outputs["cumulative_logprob"].tolist() == [-0.5, -1.0]
    told = {"5": {"logprob": -0.5, "rank": 1, "decoded_token": "<5>"}}
    assert [json.loads(text) for text in outputs["logprobs"]] == [[told], [told, told]]


class Sender:
    """A response sender that hands on what was sent."""

    def __init__(self, is_cancelled: bool = False) -> None:
        self.sent: queue.SimpleQueue = queue.SimpleQueue()
        self.is_cancelled = lambda: is_cancelled

    def send(self, response, flags: int) -> None:
        self.sent.put((response, flags))


@pytest.fixture
def responses():
    """A response thread and the requests that it cancelled."""
    cancelled: queue.SimpleQueue = queue.SimpleQueue()
    generator = SimpleNamespace(cancel=cancelled.put, statistics=GenerationStatistics())
    thread = ResponseThread(FAKE_TRITON, generator, SimpleNamespace(report=lambda statistics: None))
    yield thread, cancelled
    thread.close()


def test_events_become_responses_and_the_last_one_closes(responses):
    thread, _ = responses
    sender, asked = Sender(), object()
    thread.open(asked, Call(sender), streamed())
    thread.add(asked, GenerationEvent(0, "a", 1))
    thread.add(asked, GenerationEvent(0, "b", 2, finish_reason="stop"))
    sent = [sender.sent.get(timeout=5) for _ in range(2)]
    assert [(response.outputs["text_output"], flags) for response, flags in sent] == [([b"a"], 0), ([b"b"], 1)]


@pytest.mark.parametrize(("error", "code"), [
    (InvalidGenerationError("wrong"), "invalid"), (QueueFullError("full"), "unavailable"),
    (ComputationError("failed"), "internal"), (KeyError("bug"), "internal")])
def test_errors_have_the_code_that_says_whose_fault_it_is(responses, error, code):
    sender = Sender()
    responses[0].refuse(Call(sender), error)
    response, flags = sender.sent.get(timeout=5)
    assert (response.error.code, response.error.message, flags) == (code, str(error), 1)


def test_a_sequence_that_fails_ends_its_whole_request_once(responses):
    thread, cancelled = responses
    sender, asked = Sender(), object()
    thread.open(asked, Call(sender), streamed(sequences=2))
    for index in (0, 1):
        thread.add(asked, GenerationEvent(index, "", 0, finish_reason="error", error=ComputationError("failed")))
    assert sender.sent.get(timeout=5)[0].error.message == "failed"
    assert cancelled.get(timeout=5) is asked
    thread.close()
    assert sender.sent.empty()


def test_a_client_that_has_gone_has_its_request_cancelled(responses):
    thread, cancelled = responses
    sender, asked = Sender(is_cancelled=True), object()
    thread.open(asked, Call(sender), streamed())
    assert cancelled.get(timeout=5) is asked
    thread.add(asked, GenerationEvent(0, "", 1, finish_reason="cancelled"))
    response, flags = sender.sent.get(timeout=5)
    assert (response.error.code, flags) == ("cancelled", 1)


def test_a_request_is_cancelled_by_its_key_and_no_other(responses):
    thread, cancelled = responses
    others, asked, sender = object(), object(), Sender()
    thread.open(others, Call(Sender(), key="other"), streamed())
    thread.open(asked, Call(Sender(), key="mine"), streamed())
    thread.cancel(Call(sender, cancels="mine"))
    response, flags = sender.sent.get(timeout=5)
    assert (response.outputs["text_output"], flags) == ([b""], 1)
    assert cancelled.get(timeout=5) is asked
    assert cancelled.empty()


def test_cancelling_what_has_ended_is_no_error(responses):
    sender = Sender()
    responses[0].cancel(Call(sender, cancels="long ago"))
    assert sender.sent.get(timeout=5)[0].error is None


def test_who_asks_for_it_is_told_the_status_in_the_error(responses):
    sender = Sender()
    responses[0].refuse(Call(sender, tells_status=True), InvalidGenerationError("wrong"))
    assert sender.sent.get(timeout=5)[0].error.message == "INVALID_ARGUMENT: wrong"


def test_metrics_follow_the_statistics_and_buckets_add_up():
    FAMILIES.clear()
    metrics = GenerationMetrics(FAKE_TRITON, "tiny", "1", slots=8)
    statistics = GenerationStatistics(prompt_tokens=10, running=3)
    for duration_s in (0.004, 0.04, 2.0):
        statistics.inter_token.observe(duration_s)
    metrics.report(statistics)
    statistics.prompt_tokens, statistics.running = 15, 1
    metrics.report(statistics)
    values = {name.removeprefix("conch_generator_"): family.values for name, family in FAMILIES.items()}
    assert (values["prompt_tokens_total"], values["running"], values["slots"]) == ({"": 15}, {"": 1}, {"": 8})
    buckets = values["inter_token_seconds_bucket"]
    assert (buckets["0.005"], buckets["0.05"], buckets["1.0"], buckets["+Inf"]) == (1, 2, 2, 3)
    assert values["inter_token_seconds_count"] == {"": 3}
    assert values["inter_token_seconds_sum"][""] == pytest.approx(2.044)
