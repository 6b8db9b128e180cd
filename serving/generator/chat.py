"""Chat messages to a prompt, by the checkpoint's own template. Knows no tokens.

Templates are programs that come with a checkpoint: they run in jinja2's sandbox, with the names that transformers gives
them (source: transformers, "Writing a chat template").
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

from serving.errors import InvalidGenerationError, VersionLoadError

TEMPLATE_FILE = "chat_template.jinja"
ROLES = ("system", "user", "assistant", "tool")
DROPPABLE = "droppable"  # a key of a message; true lets it be left out of a prompt that is too long
MAX_MESSAGES = 1000
# Templates of versions without special tokens, and of tokenisers that lack one of these, find them empty.
_NO_TOKENS = {"bos_token": "", "eos_token": ""}


class _GenerationTag(Extension):
    """Templates mark what the assistant said as `{% generation %}`, for training; here it means nothing."""

    tags: ClassVar = {"generation"}

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """The chat template of a version."""

    def __init__(self, source: str, special_tokens: Mapping[str, str | list[str]]) -> None:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                    extensions=["jinja2.ext.loopcontrols", _GenerationTag])
        environment.filters["tojson"] = _to_json
        environment.globals.update(raise_exception=_raise, strftime_now=_now)
        self._template = environment.from_string(source)
        self._special_tokens = {**_NO_TOKENS, **special_tokens}

    @classmethod
    def load(cls, version_dir: Path, special_tokens: Mapping[str, str | list[str]]) -> "ChatTemplate | None":
        """Read the template of a version, None where it has none; raises VersionLoadError when it is no template.

        `special_tokens` are those of the tokeniser by their names, such as bos_token.
        """
        path = version_dir / TEMPLATE_FILE
        if not path.is_file():
            return None
        try:
            return cls(path.read_text(encoding="utf-8"), special_tokens)
        except (jinja2.TemplateError, OSError, ValueError) as error:
            raise VersionLoadError(f"{path} is not a chat template: {error}") from error

    def render(self, messages: Any, tools: Any = None) -> str:
        """Return the prompt that asks for the next message of the assistant; `tools` are for templates that take them.

        Raises InvalidGenerationError when a message is wrong or the template refuses the conversation.
        """
        _check(messages)
        if tools is not None and not (isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)):
            raise InvalidGenerationError("tools must be a list of objects")
        try:
            return self._template.render(messages=messages, tools=tools, add_generation_prompt=True,
                                         **self._special_tokens)
        # A template is a program: it may raise whatever Python raises.
        except Exception as error:
            raise InvalidGenerationError(f"the model's chat template refuses the messages: {error}") from error


def droppable(messages: Any) -> list[int]:
    """Return the places of the messages that may be left out of a prompt that is too long, the oldest first."""
    _check(messages)
    return [place for place, message in enumerate(messages) if message.get(DROPPABLE) is True]


def _check(messages: Any) -> None:
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_MESSAGES:
        raise InvalidGenerationError(f"messages must be a list of 1 to {MAX_MESSAGES} messages")
    for place, message in enumerate(messages):
        # A message that calls tools has no text.
        if not isinstance(message, dict) or not isinstance(message.get("content"), str | None):
            raise InvalidGenerationError(f'message {place} must be {{"role": ROLE, "content": TEXT}}')
        if message.get("role") not in ROLES:
            raise InvalidGenerationError(f"message {place} has the role {message.get('role')!r}; "
                                         f"give one of {', '.join(ROLES)}")


def _raise(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _to_json(value: Any, **options: Any) -> str:
    """jinja2's own filter writes what HTML and ASCII need; models were trained on plain JSON."""
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _now(pattern: str) -> str:
    return datetime.now().strftime(pattern)
