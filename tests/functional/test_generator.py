"""A tiny generator in the real Triton: HTTP, server-sent events, gRPC streams, cancellation, errors, metrics."""

import json
import queue
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tritonclient.grpc as triton

from export.triton_config import generator_config
from serving.processes import start_child
from serving.triton.distribution import find_distribution, lay_out_backends
from serving.triton.server import ServerOptions, server_command, server_environment
from tests.functional.platform import free_ports, http
from tests.serving.generator.decoders import write_version

GREEDY = {"temperature": 0, "max_tokens": 12, "ignore_eos": True}
LONG = {"max_tokens": 240, "ignore_eos": True, "n": 16}  # not over before its client leaves
START_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Triton with the tiny generator in two slots."""
    folder = tmp_path_factory.mktemp("generator")
    write_version(folder / "repository" / "tiny" / "1")
    config = generator_config("tiny") + 'parameters [ { key: "slots" value: { string_value: "2" } } ]\n'
    (folder / "repository" / "tiny" / "config.pbtxt").write_text(config)
    distribution, ports = find_distribution(), free_ports(3)
    options = ServerOptions(folder / "repository", lay_out_backends(distribution, folder / "backends"), "127.0.0.1",
                            *ports, secret="known")
    environment = {**server_environment(distribution), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = start_child([*server_command(distribution, options), "--load-model=tiny"], environment, folder / "log")
    url = f"http://127.0.0.1:{ports[0]}/v2"
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_ready(url):
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.1)
    yield SimpleNamespace(url=url, grpc=f"127.0.0.1:{ports[1]}", log=folder / "log",
                          metrics=f"http://127.0.0.1:{ports[2]}/metrics")
    process.terminate()
    process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return http("GET", f"{url}/models/tiny/ready", None, {}).status == 200
    except OSError:
        return False


def generate(server, **body):
    return http("POST", f"{server.url}/models/tiny/generate", body, {"Content-Type": "application/json"})


def metric(server, name: str) -> float:
    with urllib.request.urlopen(server.metrics) as response:
        [value] = re.findall(rf"^conch_generator_{name}\{{[^}}]*\}} (\S+)", response.read().decode(), re.MULTILINE)
    return float(value)


def wait_for_metric(server, name: str, is_reached) -> None:
    deadline = time.monotonic() + 20
    while not is_reached(metric(server, name)):
        assert time.monotonic() < deadline, f"{name} is {metric(server, name)}"
        time.sleep(0.1)


class GrpcStream:
    """One gRPC stream with one request after another."""

    def __init__(self, server) -> None:
        self.client = triton.InferenceServerClient(server.grpc)
        self.answers: queue.SimpleQueue = queue.SimpleQueue()
        self.client.start_stream(lambda result, error: self.answers.put((result, error)))

    def ask(self, prompt: str, parameters: dict | None = None, **sampling) -> None:
        inputs = []
        for name, value, kind in [("text_input", prompt.encode(), "BYTES"), ("stream", True, "BOOL"),
                                  ("sampling_parameters", json.dumps(sampling).encode(), "BYTES")]:
            inputs.append(triton.InferInput(name, [1], kind))
            inputs[-1].set_data_from_numpy(np.array([value], dtype=bool if kind == "BOOL" else object))
        self.client.async_stream_infer("tiny", inputs, parameters=parameters)

    def error(self):
        """Return the error that ends the answer, None where it ends well."""
        while True:
            result, error = self.answers.get(timeout=20)
            if error or result.get_response().parameters["triton_final_response"].bool_param:
                return error

    def text(self) -> str:
        """Return the whole answer."""
        pieces = []
        while True:
            result, error = self.answers.get(timeout=20)
            assert error is None, error
            pieces.append(result.as_numpy("text_output")[0].decode())
            if result.get_response().parameters["triton_final_response"].bool_param:
                return "".join(pieces)


def test_the_room_for_requests_is_stated_at_load(server):
    assert re.search(r"tiny 1: 2 slots of 256 tokens, \d+ MiB", server.log.read_text())


def test_generate_answers_with_prompt_and_text_reason_and_counts(server):
    answer = generate(server, text_input="Hello", **GREEDY).body
    assert answer["text_output"].startswith("Hello")
    assert (answer["finish_reason"], answer["num_input_tokens"], answer["num_output_tokens"]) == ("length", 5, 12)


def test_a_stream_of_pieces_is_the_text_of_one_answer(server):
    expected = generate(server, text_input="Hello", exclude_input_in_output=True, **GREEDY).body["text_output"]
    body = json.dumps({"text_input": "Hello", "stream": True, **GREEDY}).encode()
    with urllib.request.urlopen(f"{server.url}/models/tiny/generate_stream", body) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in response.read().decode().splitlines() if line.startswith("data: ")]
    assert len(events) > 3
    assert "".join(event["text_output"] for event in events) == expected
    assert events[-1]["finish_reason"] == "length"


def test_chat_messages_go_through_the_models_template(server):
    sampling = json.dumps(GREEDY)
    chat = generate(server, messages=json.dumps([{"role": "user", "content": "hi"}]), sampling_parameters=sampling)
    prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    plain = generate(server, text_input=prompt, exclude_input_in_output=True, sampling_parameters=sampling)
    assert chat.body["text_output"] == plain.body["text_output"]


def test_many_grpc_streams_at_once_each_get_the_text_that_they_get_alone(server):
    prompts = [f"Question {number}" for number in range(6)]

    def ask(prompt: str) -> str:
        stream = GrpcStream(server)
        stream.ask(prompt, **GREEDY)
        text = stream.text()
        stream.client.close()
        return text

    alone = [ask(prompt) for prompt in prompts]
    with ThreadPoolExecutor(len(prompts)) as pool:
        assert list(pool.map(ask, prompts)) == alone


@pytest.mark.parametrize(("body", "words"), [
    ({"text_input": "x", "temperature": -1}, "temperature is -1"),
    ({"text_input": ""}, "the prompt is empty"),
    ({"text_input": "x" * 300}, "the prompt has 300 tokens"),
    ({"text_input": "x", "sampling_parameters": '{"stop": ' + json.dumps(["a"] * 1000) + "}"}, "1000 strings"),
    ({"text_input": "x", "sampling_parameters": '{"guided_decoding": {"json": "{"}}'}, "is no JSON schema"),
    ({"messages": '[{"role": "king", "content": "x"}]'}, "has the role 'king'"),
    ({}, "either text_input or messages"),
])
def test_a_wrong_request_is_refused_with_the_reason_and_disturbs_nobody(server, body, words):
    stream = GrpcStream(server)
    stream.ask("beside", **GREEDY)
    refused = generate(server, **body)
    assert refused.status == 400
    assert words in refused.body["error"]
    assert stream.text()
    stream.client.close()


def test_clients_that_leave_free_their_slots(server):
    before = metric(server, "cancelled_total")
    for _ in range(3):
        waiting = GrpcStream(server)
        waiting.ask("go on", **LONG)
        # Once it answers, this tritonserver may die of it (docs/decisions/0012).
        waiting.client.stop_stream(cancel_requests=True)
        waiting.client.close()
        answering = HTTPConnection(server.url.split("/")[2], timeout=20)
        answering.request("POST", "/v2/models/tiny/generate_stream",
                          json.dumps({"text_input": "go on", "stream": True, **LONG}))
        assert answering.getresponse().readline().startswith(b"data:")
        answering.close()
    wait_for_metric(server, "running", lambda value: value == 0)
    wait_for_metric(server, "cancelled_total", lambda value: value >= before + 3)
    assert generate(server, text_input="Hello", **GREEDY).status == 200


def test_a_stream_is_cancelled_by_its_key_while_it_answers(server):
    stream, error = GrpcStream(server), None
    for _ in range(20):  # On a busy machine an answer may be complete before it is cancelled.
        stream.ask("go on", {"request_key": "mine", "error_status": True}, **LONG)
        stream.answers.get(timeout=20)
        assert generate(server, cancel="another").status == 200
        answer = generate(server, cancel="mine")
        assert (answer.status, answer.body["text_output"]) == (200, "")
        if error := stream.error():
            break
    assert error.message() == "CANCELLED: cancelled"
    stream.client.close()
    wait_for_metric(server, "running", lambda value: value == 0)


def test_metrics_count_tokens_and_times(server):
    before = metric(server, "output_tokens_total")
    generate(server, text_input="Hello", **GREEDY)
    wait_for_metric(server, "output_tokens_total", lambda value: value >= before + 12)
    assert metric(server, "first_token_seconds_count") >= 1
    assert metric(server, "slots") == 2
