"""/v1/chat/completions and /v1/completions over a server elsewhere that answers what each test scripts."""

import json

import openai
import pytest

from control_plane.generation.request import GenerationRequest
from tests.control_plane.problem_assertions import assert_problem

pytestmark = pytest.mark.usefixtures("far")
HELLO = [{"role": "user", "content": "你好"}]
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "北京"}}</tool_call>'
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def _chat(client, **body):
    return client.post("/v1/chat/completions", json={"model": "far", "messages": HELLO, **body})


def test_a_conversation_is_answered_as_openai_does(client, elsewhere):
    answer = _chat(client, temperature=0, stop="。", seed=3, max_tokens=5).json
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "far"
    assert answer["choices"] == [{"index": 0, "finish_reason": "stop", "logprobs": None,
                                  "message": {"role": "assistant", "content": "好的"}}]
    assert answer["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    [asked] = elsewhere.asked
    assert asked["messages"] == HELLO
    assert {key: asked[key] for key in ("model", "temperature", "stop", "seed", "max_tokens")} == {
        "model": "big", "temperature": 0, "stop": ["。"], "seed": 3, "max_tokens": 5}


def test_what_openai_has_no_name_for_goes_on_by_vllms(client, elsewhere):
    given = {"min_tokens": 2, "logit_bias": {"5": -100}, "truncate_prompt_tokens": 9}
    assert _chat(client, **given).status_code == 200
    assert {name: elsewhere.asked[0][name] for name in given} == given


def test_a_text_is_continued(client, elsewhere):
    answer = client.post("/v1/completions", json={"model": "far", "prompt": "从前"}).json
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [{"index": 0, "finish_reason": "stop", "logprobs": None, "text": "好的"}]
    assert elsewhere.asked[0]["prompt"] == "从前"


def test_a_stream_is_made_of_openais_chunks(client):
    response = _chat(client, stream=True, stream_options={"include_usage": True})
    assert response.mimetype == "text/event-stream"
    lines = [line for line in response.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas == [{"role": "assistant", "content": "好"}, {"content": "的"}, {}]
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]] == [None, None, "stop"]
    assert [chunk["usage"] for chunk in chunks] == [None] * 3 + [
        {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}]


@pytest.mark.parametrize("stream", [False, True])
def test_the_official_client_converses(official, stream):
    answer = official.chat.completions.create(model="far", messages=HELLO, stream=stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in answer] if stream else [
        answer.choices[0].message.content]
    assert "".join(pieces) == "好的"


def test_the_official_client_reads_tool_calls_out_of_the_text(official, elsewhere):
    elsewhere.pieces = ["Let me see. ", CALL[:15], CALL[15:]]
    answer = official.chat.completions.create(model="far", messages=HELLO, tools=TOOLS)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me see. "
    [call] = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "北京"})
    assert elsewhere.asked[0]["tools"] == TOOLS


def test_without_tools_nothing_is_taken_for_a_call(client, elsewhere):
    elsewhere.pieces = [CALL]
    for options in ({}, {"tools": TOOLS, "tool_choice": "none"}):
        assert _chat(client, **options).json["choices"][0]["message"]["content"] == CALL
        assert "tools" not in elsewhere.asked[-1]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_server_elsewhere_is_told_that_a_tool_must_be_called(client, elsewhere, choice):
    others = [{"type": "function", "function": {"name": "clock"}}]
    assert _chat(client, tools=[*TOOLS, *others], tool_choice=choice).status_code == 200
    assert elsewhere.asked[0]["tool_choice"] == choice
    assert "response_format" not in elsewhere.asked[0]


@pytest.mark.parametrize(("tools", "choice"), [
    (None, "required"), (TOOLS, {"type": "function", "function": {"name": "clock"}}), (TOOLS, "perhaps"),
    (TOOLS, {"type": "function", "function": {"name": "weather", "more": 1}})])
def test_a_choice_of_tools_that_makes_no_sense_is_refused(client, tools, choice):
    answer = _chat(client, tool_choice=choice, **({"tools": tools} if tools else {}))
    assert answer.status_code == 422
    assert "tool_choice" in answer.text


def test_an_error_in_the_middle_of_a_stream_is_its_last_event(official, elsewhere):
    elsewhere.garbage_after = 1
    pieces = []
    with pytest.raises(openai.APIError, match="garbage"):
        pieces.extend(chunk.choices[0].delta.content
                      for chunk in official.chat.completions.create(model="far", messages=HELLO, stream=True))


@pytest.mark.parametrize(("status", "answered", "name"), [
    (503, 503, "provider-unavailable"), (422, 422, "provider-rejected"), (401, 502, "provider"),
    (500, 502, "provider")])
@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_refuses_is_a_problem_with_a_status_of_its_own(client, elsewhere, status, answered, name, stream):
    elsewhere.status = status
    assert_problem(_chat(client, stream=stream), answered, name)


def test_parts_of_text_are_joined_and_a_developer_is_the_system(client, elsewhere):
    _chat(client, messages=[{"role": "developer", "content": [{"type": "text", "text": "Be "},
                                                              {"type": "text", "text": "kind."}]}, *HELLO])
    assert elsewhere.asked[0]["messages"][0] == {"role": "system", "content": "Be kind."}


def test_earlier_calls_and_their_results_go_on_as_they_are(client, elsewhere):
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "北京"}'}}
    messages = [*HELLO, {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "晴"}]
    _chat(client, messages=messages)
    assert elsewhere.asked[0]["messages"] == messages


@pytest.mark.parametrize(("body", "field"), [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "wizard", "content": "a"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
    ({"temperature": 2.5}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"n": 17}, "n"),
    ({"min_tokens": -1}, "min_tokens"),
    ({"logit_bias": {"5": 101}}, "logit_bias.5"),
    ({"logit_bias": {"five": 1}}, "logit_bias.five.[key]"),
    ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
    ({"stop": ["x"] * 65}, "stop"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 4096}, "max_tokens"),
    ({"stream": "yes"}, "stream"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"tools": [{"type": "function"}]}, "tools.0.function"),
])
def test_wrong_fields_are_named(client, elsewhere, body, field):
    assert_problem(_chat(client, **body), 422, "invalid-request", field=field)
    assert elsewhere.asked == []


@pytest.mark.parametrize(("model", "status", "name"), [
    ("nope", 404, "model-not-found"), ("tiny", 409, "model-not-servable"), ("writer", 409, "model-not-exported")])
def test_a_model_that_cannot_write_says_why(client, model, status, name):
    assert_problem(_chat(client, model=model), status, name)


def test_no_more_are_generated_at_once_than_is_allowed(client, services, elsewhere):
    running = [services.generation.generate("far", _request()) for _ in range(services.settings.max_generations)]
    response = _chat(client)
    assert_problem(response, 429, "too-many-concurrent-requests", "CONCH_MAX_GENERATIONS")
    assert response.headers["Retry-After"]
    running.pop().close()
    assert _chat(client).status_code == 200
    for events in running:
        events.close()


def _request():
    return GenerationRequest(messages=HELLO)
