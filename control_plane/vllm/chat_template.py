"""Chat messages to a prompt, by the template that came with a checkpoint. Knows no model and no Triton.

Our own backend does this inside Triton (serving.generator.chat), NVIDIA's vLLM backend takes prompts only. Templates
are programs: they run in jinja2's sandbox, with the names that transformers gives them ("Writing a chat template").
"""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, NoReturn

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

from control_plane.errors import InferenceRejectedError

# Templates of tokenisers that lack one of these find it empty.
_NO_TOKENS = {"bos_token": "", "eos_token": ""}


class _GenerationTag(Extension):
    """Templates mark what the assistant said as `{% generation %}`, for training; here it means nothing."""

    tags: ClassVar = {"generation"}

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def render_chat(source: str, special_tokens: Mapping[str, str | list[str]], messages: list[dict],
                tools: list[dict] | None) -> str:
    """Return the prompt that asks for the next message of the assistant.

    Raises InferenceRejectedError when the template refuses the conversation, or is no template.
    """
    try:
        return _compiled(source).render(messages=messages, tools=tools, add_generation_prompt=True,
                                        **{**_NO_TOKENS, **special_tokens})
    # A template is a program: it may raise whatever Python raises.
    except Exception as error:
        raise InferenceRejectedError(f"the model's chat template refuses the messages: {error}") from error


@lru_cache(maxsize=16)
def _compiled(source: str) -> jinja2.Template:
    """Compiling takes some milliseconds, more than rendering."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                extensions=["jinja2.ext.loopcontrols", _GenerationTag])
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_raise, strftime_now=_now)
    return environment.from_string(source)


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(value: Any, **options: Any) -> str:
    """jinja2's own filter writes what HTML and ASCII need; models were trained on plain JSON."""
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _now(pattern: str) -> str:
    return datetime.now().strftime(pattern)
