"""Chat templates: what they get, what is refused, and that they can reach nothing."""

import pytest

from serving.errors import InvalidGenerationError, VersionLoadError
from serving.generator.chat import ChatTemplate
from tests.serving.generator.decoders import TEMPLATE

USER = {"role": "user", "content": "你好"}


def test_messages_become_the_prompt_of_the_next_answer():
    prompt = ChatTemplate(TEMPLATE, {}).render([{"role": "system", "content": "Be kind."}, USER])
    assert prompt == "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"


def test_tools_reach_the_template():
    template = ChatTemplate("{{ tools[0].name }}|{{ messages[0].tool_calls[0] }}", {})
    message = {"role": "assistant", "content": None, "tool_calls": ["call"]}
    assert template.render([message], [{"name": "clock"}]) == "clock|call"


def test_special_tokens_reach_the_template_by_their_names():
    template = ChatTemplate("{{ bos_token }}{{ extra[0] }}{{ eos_token }}", {"bos_token": "<s>", "extra": ["<x>"]})
    assert template.render([USER]) == "<s><x>"


def test_a_version_without_special_tokens_has_empty_ones():
    assert ChatTemplate("{{ bos_token + 'a' + eos_token }}", {}).render([USER]) == "a"


def test_json_is_written_as_it_is_and_not_for_html():
    template = ChatTemplate("{{ tools[0] | tojson }}|{{ tools | tojson(indent=1) }}", {})
    assert template.render([USER], [{"天气": "<&'"}]) == '{"天气": "<&\'"}|[\n {\n  "天气": "<&\'"\n }\n]'


def test_what_a_template_marks_as_said_by_the_assistant_is_part_of_the_prompt():
    source = "{% for message in messages %}a{% generation %}{{ message.content }}{% endgeneration %}b{% endfor %}"
    assert ChatTemplate(source, {}).render([USER]) == "a你好b"


@pytest.mark.parametrize(("messages", "words"), [
    ([], "1 to 1000"), ("hi", "1 to 1000"), ([USER] * 1001, "1 to 1000"), ([USER, "hi"], "message 1 must be"),
    ([{"role": "user", "content": 3}], "message 0 must be"), ([{"role": "king", "content": ""}], "has the role 'king'"),
    ([{"content": "x"}], "has the role None"),
])
def test_wrong_messages_are_refused_by_their_place(messages, words):
    with pytest.raises(InvalidGenerationError, match=words):
        ChatTemplate(TEMPLATE, {}).render(messages)


def test_wrong_tools_are_refused():
    with pytest.raises(InvalidGenerationError, match="tools must be a list"):
        ChatTemplate(TEMPLATE, {}).render([USER], "clock")


@pytest.mark.parametrize(("source", "words"), [
    ("{{ raise_exception('roles must alternate') }}", "refuses the messages: roles must alternate"),
    ("{{ 1 / 0 }}", "refuses the messages: division by zero"),
    ("{{ ''.__class__.__mro__ }}", "refuses the messages: .*unsafe"),
    ("{{ messages.append(1) }}", "refuses the messages"),
])
def test_a_template_that_fails_is_the_requests_error(source, words):
    with pytest.raises(InvalidGenerationError, match=words):
        ChatTemplate(source, {}).render([USER])


def test_a_version_may_have_no_template_and_a_broken_one_fails_the_load(tmp_path):
    assert ChatTemplate.load(tmp_path, {}) is None
    (tmp_path / "chat_template.jinja").write_text("{% for %}")
    with pytest.raises(VersionLoadError, match=r"chat_template\.jinja is not a chat template"):
        ChatTemplate.load(tmp_path, {})
