"""Finds the tool calls in what a model writes, piece by piece. Knows nothing of HTTP, nor of who wrote it.

Qwen 2.5 and 3 (and others after Nous Hermes) write `<tool_call>{"name": …, "arguments": {…}}</tool_call>`
(source: the chat templates in these models' repositories).
"""

import json
import uuid
from dataclasses import dataclass

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool; `arguments` is JSON text, as OpenAI's API has it."""

    id: str
    name: str
    arguments: str


class ToolCallSplitter:
    """Splits a stream of text into what is for the reader and the tool calls within it.

    What may be the beginning of a tag is held back until it is known. A call that is no JSON of the right form, or that
    never ends, is given out as the text that it is: nothing that a model wrote is lost.
    """

    def __init__(self) -> None:
        self._held = ""
        self.calls: list[ToolCall] = []

    def feed(self, piece: str) -> tuple[str, list[ToolCall]]:
        """Take the next piece; returns the text that is certain now and the calls that became complete."""
        self._held += piece
        text, found = "", []
        while True:
            opened = self._held.find(_OPEN)
            if opened < 0:
                keep = _partial_tag_chars(self._held)
                text += self._held[:len(self._held) - keep]
                self._held = self._held[len(self._held) - keep:]
                return text, found
            text += self._held[:opened]
            self._held = self._held[opened:]
            closed = self._held.find(_CLOSE)
            if closed < 0:
                return text, found
            end = closed + len(_CLOSE)
            call = parse_call(self._held[len(_OPEN):closed])
            if call is None:
                text += self._held[:end]
            else:
                found.append(call)
                self.calls.append(call)
            self._held = self._held[end:]

    def finish(self) -> str:
        """Return what was held back, as text."""
        text, self._held = self._held, ""
        return text


def _partial_tag_chars(text: str) -> int:
    """Return how many characters at the end of `text` may be the beginning of an opening tag."""
    return next((size for size in range(min(len(_OPEN) - 1, len(text)), 0, -1) if _OPEN.startswith(text[-size:])), 0)


def parse_call(text: str) -> ToolCall | None:
    """Return the call that a text is the JSON of; None where it is none."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        return None
    arguments = document.get("arguments", {})
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(f"call_{uuid.uuid4().hex[:24]}", document["name"], arguments)
