"""What our own backend does inside Triton is done to the request before it goes to vLLM's."""

import json
from dataclasses import replace

import pytest

from control_plane.errors import InferenceRejectedError, InvalidRequestError
from control_plane.generation.request import DROPPABLE, GenerationRequest
from control_plane.vllm.requests import request_for_vllm
from export.contract import CHAT_TEMPLATE_FILE
from export.manifest import read_manifest
from tests.control_plane.fakes import ADDRESS, publish_generator
from tests.control_plane.problem_assertions import assert_problem

TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ message | tojson }}{% endfor %}"
            "{% if tools %}{{ tools | tojson }}{% endif %}>")
HELLO = [{"role": "user", "content": "你好", DROPPABLE: True}]


@pytest.fixture
def manifest(tmp_path):
    """Of a version whose tokenizer puts <s> before every text, as Llama's does."""
    return read_manifest(publish_generator(
        tmp_path, "writer", engine="vllm", stop_token_ids=(2, 7), special_tokens={"bos_token": "<s>"},
        prompt_prefix="<s>", generation_defaults={"do_sample": True, "temperature": 0.7, "max_new_tokens": 9}))


def _sampling(manifest, **given) -> dict:
    return request_for_vllm(GenerationRequest(prompt="从前", sampling=given), manifest, None).sampling


def test_messages_become_a_prompt_that_begins_but_once(manifest):
    tools = [{"type": "function"}]
    asked = request_for_vllm(GenerationRequest(messages=HELLO, tools=tools), manifest, TEMPLATE)
    assert asked.prompt == '{"role": "user", "content": "你好"}[{"type": "function"}]>'
    assert (asked.messages, asked.tools) == (None, None)
    bare = request_for_vllm(GenerationRequest(messages=HELLO), replace(manifest, prompt_prefix=""), TEMPLATE)
    assert bare.prompt.startswith("<s>{")


def test_a_prompt_goes_on_as_it_is(manifest):
    request = GenerationRequest(prompt="<s>从前", echo=True)
    asked = request_for_vllm(request, manifest, None)
    assert (asked.prompt, asked.echo) == ("<s>从前", True)


def test_arguments_of_earlier_calls_are_objects(manifest):
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"city": "北京"}'}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    asked = request_for_vllm(GenerationRequest(messages=messages), manifest,
                             "{{ messages[0].tool_calls[0].function.arguments.city }}")
    assert asked.prompt == "北京"


def test_a_model_without_a_chat_template_takes_prompts_only(manifest):
    with pytest.raises(InferenceRejectedError, match="no chat template"):
        request_for_vllm(GenerationRequest(messages=HELLO), manifest, None)


def test_the_checkpoints_defaults_come_before_vllms_and_the_requests_before_both(manifest):
    assert _sampling(manifest)["temperature"] == 0.7
    assert _sampling(manifest, temperature=0.0, top_p=None) == {"temperature": 0.0, "stop_token_ids": [2, 7]}


def test_every_stop_token_of_the_version_ends_an_answer_unless_it_is_to_go_on(manifest):
    assert _sampling(manifest, stop_token_ids=[5])["stop_token_ids"] == [2, 5, 7]
    assert _sampling(manifest, ignore_eos=True, stop_token_ids=[5])["stop_token_ids"] == [5]
    assert "stop_token_ids" not in _sampling(manifest, ignore_eos=True)


def test_a_constraint_goes_by_vllms_name_as_json_within_the_json(manifest):
    constraint = {"json": '{"type": "object"}'}
    sampling = _sampling(manifest, guided_decoding=constraint)
    assert "guided_decoding" not in sampling
    assert json.loads(sampling["structured_outputs"]) == constraint


def test_what_cannot_be_handed_on_is_refused_and_named(manifest):
    with pytest.raises(InvalidRequestError, match="cannot take it") as caught:
        _sampling(manifest, logit_bias={"3": 1})
    assert caught.value.field == "logit_bias"


@pytest.fixture
def settings(settings):
    """Of a platform whose only Triton has vLLM's backend, with the model `writer` for it."""
    version = publish_generator(settings.model_repository, "writer", engine="vllm", golden_text="", golden_token_ids=())
    (version / CHAT_TEMPLATE_FILE).write_text(TEMPLATE, encoding="utf-8")
    return replace(settings, vllm_tritons=(ADDRESS,))


def test_a_conversation_over_rest_reaches_vllm_as_a_prompt(client):
    assert_problem(client.post("/load-model", json={"model_id": "writer", "device": "cpu"}), 409,
                   "device-not-available", "computes on a GPU")
    assert client.post("/load-model", json={"model_id": "writer", "device": "cuda"}).json["state"] == "loaded"
    answer = client.post("/v1/chat/completions", json={
        "model": "writer", "messages": [{"role": "user", "content": "你好"}]}).json
    assert answer["choices"][0]["message"]["content"] == '{"role": "user", "content": "你好"}>'
