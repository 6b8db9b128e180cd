"""What a server elsewhere does, and what callers see of it: answers, streams, retries and named errors."""

import json

import httpx
import pytest

from control_plane.errors import (
    ProviderError,
    ProviderRejectedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from control_plane.providers.openai_endpoint import CHAT_PATH, OpenAIEndpoint
from export.catalog import RemoteEndpoint

ENDPOINT = RemoteEndpoint("https://llm.test/v1", "big", "LLM_KEY", timeout_s=7, retries=2)
BODY = {"messages": [{"role": "user", "content": "你好"}]}
ANSWER = {"choices": [{"message": {"content": "好"}}]}


class Server:
    """Answers with what it was given, one thing after another; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.requests, self.pauses_s = list(answers), [], []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def endpoint(self, api_key: str | None = "key") -> OpenAIEndpoint:
        return OpenAIEndpoint(ENDPOINT, api_key, httpx.MockTransport(self), self.pauses_s.append)


def lines(*chunks: str) -> httpx.Response:
    return httpx.Response(200, text="".join(f"data: {chunk}\n\n" for chunk in chunks))


def test_the_request_names_the_model_there_and_brings_the_key():
    server = Server(httpx.Response(200, json=ANSWER))
    assert server.endpoint().ask(CHAT_PATH, {**BODY, "model": "ours"}) == ANSWER
    [request] = server.requests
    assert str(request.url) == "https://llm.test/v1/chat/completions"
    assert request.headers["Authorization"] == "Bearer key"
    assert json.loads(request.content) == {**BODY, "model": "big", "stream": False}


def test_without_a_key_none_is_sent():
    server = Server(httpx.Response(200, json=ANSWER))
    server.endpoint(None).ask(CHAT_PATH, BODY)
    assert "Authorization" not in server.requests[0].headers


def test_a_stream_yields_its_chunks_and_ends_at_its_end_mark():
    server = Server(lines('{"n": 1}', '{"n": 2}', "[DONE]", '{"n": 3}'))
    assert list(server.endpoint().stream(CHAT_PATH, BODY)) == [{"n": 1}, {"n": 2}]
    assert json.loads(server.requests[0].content)["stream"] is True


@pytest.mark.parametrize("passing", [httpx.Response(429), httpx.Response(502), httpx.Response(503), httpx.Response(504),
                                     httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")], ids=str)
@pytest.mark.parametrize("streams", [False, True])
def test_what_passes_is_tried_again_after_growing_pauses(passing, streams):
    server = Server(passing, passing, lines('{"n": 1}') if streams else httpx.Response(200, json=ANSWER))
    endpoint = server.endpoint()
    answer = list(endpoint.stream(CHAT_PATH, BODY)) if streams else endpoint.ask(CHAT_PATH, BODY)
    assert answer == ([{"n": 1}] if streams else ANSWER)
    assert server.pauses_s == [0.5, 1.0]


def test_the_pause_that_the_server_asks_for_is_kept_within_reason():
    busy = [httpx.Response(429, headers={"Retry-After": seconds}) for seconds in ("3", "9999")]
    server = Server(*busy, httpx.Response(200, json=ANSWER))
    server.endpoint().ask(CHAT_PATH, BODY)
    assert server.pauses_s == [3.0, 10.0]


@pytest.mark.parametrize(("failure", "error", "said", "attempts"), [
    (httpx.Response(503, text="full"), ProviderUnavailableError, "503: full", 3),
    (httpx.ConnectError("refused"), ProviderUnavailableError, "cannot be reached: refused", 3),
    (httpx.ConnectTimeout("slow"), ProviderTimeoutError, "7 s", 3),
    (httpx.ReadTimeout("slow"), ProviderTimeoutError, "7 s", 1),
    (httpx.RemoteProtocolError("cut"), ProviderError, "broke off: cut", 1),
    (httpx.Response(422, text="bad role"), ProviderRejectedError, "422: bad role", 1),
    (httpx.Response(401, text="no"), ProviderError, "check the key in LLM_KEY", 1),
    (httpx.Response(500, text="oops"), ProviderError, "500: oops", 1),
    (httpx.Response(200, text="<html>" + "x" * 9999), ProviderError, "something else than a JSON object: <html>", 1),
    (httpx.Response(200, text="[1]"), ProviderError, "something else", 1),
    (httpx.Response(200, json={"error": {"message": "out of memory"}}), ProviderError, "out of memory", 1),
], ids=str)
def test_a_failure_is_named_for_what_it_is(failure, error, said, attempts):
    server = Server(*[failure] * attempts)
    with pytest.raises(error) as caught:
        server.endpoint().ask(CHAT_PATH, BODY)
    assert type(caught.value) is error
    assert said in str(caught.value)
    assert "https://llm.test/v1" in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert len(server.requests) == attempts


def test_garbage_within_a_stream_ends_it_with_an_error_after_what_was_right():
    stream = Server(lines('{"n": 1}', "garbage")).endpoint().stream(CHAT_PATH, BODY)
    assert next(stream) == {"n": 1}
    with pytest.raises(ProviderError, match="garbage"):
        next(stream)


def test_closing_a_stream_closes_the_connection():
    response = lines('{"n": 1}', '{"n": 2}')
    stream = Server(response).endpoint().stream(CHAT_PATH, BODY)
    next(stream)
    stream.close()
    assert response.is_closed
