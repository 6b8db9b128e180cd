"""Text over REST as an application developer asks for it: the official client, a small decoder, the real platform."""

import json
import re
import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from export.triton_config import generator_config
from tests.functional.platform import START_TIMEOUT_S, ServedPlatform, wait_until
from tests.functional.qwen_template import TEMPLATE
from tests.serving.generator.decoders import CONTEXT, END, VOCAB, write_version

MODEL = "tiny"
SLOTS = 4
MAX_GENERATIONS = 2
HELLO = [{"role": "user", "content": "今年财运？"}]
GREEDY = {"model": MODEL, "temperature": 0, "max_tokens": 12, "extra_body": {"ignore_eos": True}}
HARD_TEXT = "财运😀👩‍🚀é🇨🇳"
CALL = '<tool_call>{"name": "sky", "arguments": {"city": "北京"}}</tool_call>'
TOOLS = [{"type": "function", "function": {"name": "sky", "description": "天气<&>"}}]
BOS = "<|endoftext|>"
ASKED = f"{BOS}<|im_start|>user\n今年财运？<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A platform whose one generator is loaded by the first request."""
    home = tmp_path_factory.mktemp("generation")
    repository = home / "model_repository"
    write_version(repository / MODEL / "1", template=TEMPLATE, special_tokens={"bos_token": BOS})
    slots = f'parameters [ {{ key: "slots" value: {{ string_value: "{SLOTS}" }} }} ]\n'
    (repository / MODEL / "config.pbtxt").write_text(generator_config(MODEL) + slots)
    platform = ServedPlatform(home, repository, CONCH_GENERATION_MODEL=MODEL, CONCH_PRELOAD_MODELS=MODEL,
                              CONCH_MAX_GENERATIONS=str(MAX_GENERATIONS), MAX_NEW_TOKENS="2048").start()
    try:
        on_demand = {"model_type": MODEL, "policy": "on_demand"}
        assert platform.rest_patiently("POST", "/api/v1/models/load", on_demand).status == 200
        assert platform.rest("POST", "/optimize-memory", {"idle_s": 0}).body["unloaded"] == [MODEL]
        yield platform
    finally:
        platform.stop()


@pytest.fixture(scope="module")
def client(served):
    """OpenAI's own client; a proxy of the machine that tests run on is not asked."""
    with openai.OpenAI(base_url=f"http://127.0.0.1:{served.http_port}/v1", api_key=served.key, max_retries=0,
                       timeout=START_TIMEOUT_S, http_client=openai.DefaultHttpxClient(trust_env=False)) as client:
        # The first request, which loads the model.
        assert client.completions.create(prompt="x", **GREEDY).usage.completion_tokens == 12
        yield client


def chat(client, messages=HELLO, **options):
    extra = {**GREEDY["extra_body"], **options.pop("extra_body", {})}
    return client.chat.completions.create(messages=messages, **{**GREEDY, **options, "extra_body": extra})


def text_of(answer) -> str:
    return answer.choices[0].message.content


def raw_text(client, prompt: str, **options) -> str:
    return client.completions.create(prompt=prompt, **{**GREEDY, **options}).choices[0].text


def metric(served, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{served.triton_metrics_port}/metrics") as response:
        [value] = re.findall(rf"^conch_generator_{name}\{{[^}}]*\}} (\S+)", response.read().decode(), re.MULTILINE)
    return float(value)


def test_a_conversation_goes_through_the_template_with_the_tokenisers_special_tokens(client):
    answer = chat(client)
    assert text_of(answer) == raw_text(client, ASKED)
    assert answer.choices[0].finish_reason == "length"
    # The special tokens are one token each; a byte of the rest is one.
    tokens = 4 + len(re.sub(r"<\|\w+\|>", "", ASKED).encode())
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (tokens, 12)


@pytest.mark.parametrize("kind", ["chat", "raw"])
def test_the_pieces_of_a_stream_are_the_text_and_the_usage_comes_last(client, kind):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    if kind == "chat":
        whole, chunks = chat(client), list(chat(client, **options))
        pieces = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
        expected = text_of(whole)
    else:
        whole = client.completions.create(prompt="Hello", **GREEDY)
        chunks = list(client.completions.create(prompt="Hello", **GREEDY, **options))
        pieces = [chunk.choices[0].text for chunk in chunks[:-1]]
        expected = whole.choices[0].text
    assert "".join(pieces) == expected
    assert len(pieces) > 3
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage == whole.usage


def test_n_answers_differ_come_by_their_index_and_are_those_of_the_stream(client):
    options = {"n": 3, "temperature": 1, "seed": 5}
    whole = [choice.message.content for choice in chat(client, **options).choices]
    assert len(set(whole)) == 3
    texts = ["", "", ""]
    for chunk in chat(client, **options, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == whole


def test_the_same_seed_gives_the_same_text_and_another_one_another(client):
    first, again, other = (text_of(chat(client, temperature=1, seed=seed)) for seed in (7, 7, 8))
    assert first == again != other


def test_a_stop_string_ends_the_answer_unless_it_is_too_short_yet(client):
    written = {"guided_regex": "one two one two!"}
    assert text_of(chat(client, max_tokens=99, extra_body=written)) == "one two one two!"
    stopped = chat(client, max_tokens=99, stop=["two"], extra_body=written)
    assert (text_of(stopped), stopped.choices[0].finish_reason) == ("one ", "stop")
    later = chat(client, max_tokens=99, stop=["two"], extra_body={**written, "min_tokens": 8})
    assert text_of(later) == "one two one "


def test_logit_bias_forbids_and_forces_tokens(client):
    first = raw_text(client, "Hello", max_tokens=1)
    others = {str(token): -100 for token in range(VOCAB) if token != 70}
    forbidden = raw_text(client, "Hello", max_tokens=1, logit_bias=others)
    assert len(forbidden) == 1
    assert forbidden != first
    assert raw_text(client, "Hello", logit_bias={"70": 100}) == forbidden * 12


def test_an_answer_of_a_minimum_length_goes_on_over_the_models_end(client):
    ends = {"logit_bias": {str(END): 100}, "extra_body": {}}
    assert client.completions.create(prompt="Hello", **{**GREEDY, **ends}).usage.completion_tokens == 1
    longer = client.completions.create(prompt="Hello", **{**GREEDY, **ends, "extra_body": {"min_tokens": 5}})
    assert (longer.usage.completion_tokens, longer.choices[0].finish_reason) == (6, "stop")


def test_logprobs_are_told_for_every_token(client):
    told = chat(client, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert len(told) == 12
    assert all(token.logprob == token.top_logprobs[0].logprob and len(token.top_logprobs) == 2 for token in told)
    raw = client.completions.create(prompt="Hello", logprobs=2, **GREEDY).choices[0].logprobs
    assert len(raw.tokens) == len(raw.token_logprobs) == len(raw.top_logprobs) == 12


def test_a_json_schema_is_kept(client):
    schema = {"type": "object", "additionalProperties": False, "required": ["intent", "year"], "properties": {
        "intent": {"enum": ["财运", "健康"]}, "year": {"type": "integer", "minimum": 2020, "maximum": 2030}}}
    answer = chat(client, max_tokens=90, response_format={
        "type": "json_schema", "json_schema": {"name": "asked", "schema": schema}})
    found = json.loads(text_of(answer))
    assert set(found) == {"intent", "year"}
    assert found["intent"] in ("财运", "健康")
    assert 2020 <= found["year"] <= 2030


@pytest.mark.parametrize("stream", [False, True])
def test_tools_go_through_the_template_and_calls_come_out_of_the_text(client, stream):
    answer = chat(client, tools=TOOLS, max_tokens=99, stream=stream, extra_body={"guided_regex": re.escape(CALL)})
    if stream:
        chunks = list(answer)
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        reason, text = chunks[-1].choices[0].finish_reason, "".join(
            chunk.choices[0].delta.content or "" for chunk in chunks)
    else:
        calls, text = answer.choices[0].message.tool_calls, text_of(answer)
        reason = answer.choices[0].finish_reason
    [call] = calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("sky", {"city": "北京"})
    assert (reason, text or None) == ("tool_calls", None)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "sky"}}])
def test_a_model_that_must_call_a_tool_does(client, stream, choice):
    tools = [{"type": "function", "function": {"name": "sky", "parameters": {"enum": [{"at": 1}, {"at": 2}]}}}]
    answer = chat(client, tools=tools, tool_choice=choice, max_tokens=99, stream=stream)
    if stream:
        calls = [call for chunk in answer for call in chunk.choices[0].delta.tool_calls or []]
    else:
        assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("tool_calls", None)
        calls = answer.choices[0].message.tool_calls
    [call] = calls
    assert call.function.name == "sky"
    assert json.loads(call.function.arguments) in ({"at": 1}, {"at": 2})


def test_the_template_gets_tools_and_earlier_calls_as_plain_json(client):
    call = {"id": "call_1", "type": "function", "function": {"name": "sky", "arguments": '{"city": "北京"}'}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "晴"}]
    tool = json.dumps(TOOLS[0], ensure_ascii=False)
    expected = (f"{BOS}<|im_start|>system\n<tools>\n{tool}\n</tools><|im_end|>\n<|im_start|>assistant\n"
                "<tool_call>sky北京</tool_call><|im_end|>\n<|im_start|>tool\n晴<|im_end|>\n<|im_start|>assistant\n")
    assert text_of(chat(client, messages, tools=TOOLS)) == raw_text(client, expected)


def test_chinese_and_emoji_survive_streaming_unbroken(client):
    chunks = chat(client, max_tokens=99, stream=True, extra_body={"guided_regex": re.escape(HARD_TEXT)})
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == HARD_TEXT
    assert max(map(len, pieces)) == 1


@pytest.mark.parametrize(("options", "status", "words"), [
    ({"model": "nope"}, 404, "no model is called 'nope'"),
    ({"messages": [{"role": "user", "content": "字" * 100}]}, 422, rf"has 3\d\d tokens .* may have {CONTEXT}"),
    ({"max_tokens": 4, "extra_body": {"min_tokens": 5}}, 422, "min_tokens is 5 but max_tokens is 4"),
    ({"logit_bias": {str(END + 1): 1}}, 422, rf"logit_bias has {END + 1}, but the model's tokens are 0 to {END}"),
    ({"logit_bias": {"1": 101}}, 422, "logit_bias"), ({"logit_bias": {"x": 1}}, 422, "logit_bias"),
    ({"max_tokens": 9999}, 422, "MAX_NEW_TOKENS"),
    ({"extra_body": {"guided_regex": "("}}, 422, "guided_decoding.regex cannot be used"),
    ({"messages": [{"role": "user", "content": ["x"]}]}, 422, "messages"),
])
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_answered_says_why(client, options, status, words, stream):
    with pytest.raises(openai.APIStatusError, match=words) as refusal:
        chat(client, **options, stream=stream)
    assert refusal.value.status_code == status


def test_a_prompt_that_is_too_long_is_cut_when_that_is_asked_for(client):
    answer = client.completions.create(prompt="x" * 300 + "Hello", **{
        **GREEDY, "extra_body": {**GREEDY["extra_body"], "truncate_prompt_tokens": 5}})
    assert answer.usage.prompt_tokens == 5
    assert answer.choices[0].text == raw_text(client, "Hello")


def test_a_query_loses_the_oldest_of_its_context_where_there_is_no_room(served, client):
    def ask(context, **options):
        answer = served.rest("POST", "/generate", {"query": "财运？", "context": context, "temperature": 0, **options})
        assert answer.status in (200, 202), answer.body
        return answer.body

    fitting = ask(["b" * 20])
    assert (fitting["dropped_context"], fitting["model_id"]) == (0, MODEL)
    cut = ask(["a" * 150, "b" * 20])
    assert (cut["dropped_context"], cut["result"], cut["usage"]) == (1, fitting["result"], fitting["usage"])
    assert ask(["a" * 100], max_length=9)["usage"]["completion_tokens"] == 9
    job = ask(["a" * 150, "b" * 20], use_async=True)
    jobs = f"/api/v1/jobs/{job['id']}"
    wait_until(lambda: served.rest("GET", jobs).body["state"] not in ("queued", "running"), START_TIMEOUT_S)
    assert served.rest("GET", jobs).body["result"] == cut


def begin_long(client):
    """Begin a stream of some megabytes and read the beginning."""
    stream = chat(client, stream=True, n=16, max_tokens=190, logprobs=True, top_logprobs=20)
    assert next(stream).choices
    return stream


def test_a_client_that_leaves_frees_its_slots(served, client):
    before = metric(served, "cancelled_total")

    def is_cancelled() -> bool:
        # On a busy machine an answer may be complete before it is noticed that its client has gone.
        begin_long(client).close()
        wait_until(lambda: metric(served, "running") == 0)
        return metric(served, "cancelled_total") > before

    wait_until(is_cancelled, timeout_s=60)
    # Who has left counts among MAX_GENERATIONS until what was on its way is read.
    assert text_of(chat(client.with_options(max_retries=5)))


def test_many_at_once_each_get_the_text_that_they_get_alone(client):
    client = client.with_options(max_retries=5)
    questions = [[{"role": "user", "content": f"第{number}个问题"}] for number in range(6)]
    alone = [text_of(chat(client, messages)) for messages in questions]
    with ThreadPoolExecutor(MAX_GENERATIONS) as pool:
        assert list(pool.map(lambda messages: text_of(chat(client, messages)), questions)) == alone


def test_over_the_limit_one_is_told_so_while_the_others_go_on(client):
    # With little room for what nobody has read, the platform cannot be done with a stream before it is read.
    transport = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)])
    with client.with_options(http_client=httpx.Client(transport=transport, trust_env=False)) as slow:
        running = [begin_long(slow) for _ in range(MAX_GENERATIONS)]
        with pytest.raises(openai.RateLimitError, match="CONCH_MAX_GENERATIONS") as refusal:
            chat(client)
        assert refusal.value.response.headers["Retry-After"]
        for stream in running:
            assert next(stream).choices
            stream.close()
    wait_until(lambda: _is_answered(client))


def _is_answered(client) -> bool:
    try:
        return bool(text_of(chat(client)))
    except openai.RateLimitError:
        return False
