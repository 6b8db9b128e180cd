"""Chat templates in the web process: what transformers would render, and nothing that a sandbox forbids."""

import pytest
from jinja2.exceptions import SecurityError

from control_plane.errors import InferenceRejectedError
from control_plane.vllm.chat_template import render_chat

HELLO = [{"role": "user", "content": "你好"}]


def test_a_conversation_is_rendered_with_the_names_that_templates_know():
    source = ("{{ bos_token }}{% for message in messages %}{% generation %}<{{ message.role }}>{{ message.content }}"
              "{{ eos_token }}{% endgeneration %}{% endfor %}"
              "{% if add_generation_prompt %}<assistant>{% endif %}{{ tools | tojson }}")
    tools = [{"type": "function", "function": {"name": "天气"}}]
    assert render_chat(source, {"bos_token": "<s>"}, HELLO, tools) == (
        '<s><user>你好<assistant>[{"type": "function", "function": {"name": "天气"}}]')


@pytest.mark.parametrize(("source", "reason"), [
    ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
    ("{% for", "unexpected"),
    ("{{ messages[0].content.missing.deeper }}", "no attribute"),
])
def test_a_template_that_refuses_or_is_none_is_an_error_of_the_request(source, reason):
    with pytest.raises(InferenceRejectedError, match=rf"chat template refuses the messages: .*{reason}"):
        render_chat(source, {}, HELLO, None)


@pytest.mark.parametrize("source", [
    "{{ messages.__class__.__mro__ }}", "{{ cycler.__init__.__globals__ }}", "{{ messages.append(1) }}"])
def test_a_template_cannot_leave_its_sandbox(source):
    with pytest.raises(InferenceRejectedError) as caught:
        render_chat(source, {}, HELLO, None)
    assert isinstance(caught.value.__cause__, SecurityError)
