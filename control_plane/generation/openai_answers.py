"""Answers of generators in the shapes of OpenAI's API (source: its API reference). Knows no HTTP."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from control_plane.generation.request import GenerationEvent
from control_plane.generation.tool_calls import ToolCall


@dataclass
class Answer:
    """One of the n answers, put together."""

    text: str = ""
    finish_reason: str | None = None
    completion_tokens: int = 0
    logprobs: list[dict] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)


@dataclass
class Answers:
    """All answers to one request, as far as they have come."""

    prompt_tokens: int = 0
    dropped_messages: int = 0
    by_index: dict[int, Answer] = field(default_factory=dict)

    def add(self, event: GenerationEvent) -> None:
        """Take the next piece."""
        answer = self.by_index.setdefault(event.index, Answer())
        answer.text += event.text
        answer.finish_reason = event.finish_reason or answer.finish_reason
        answer.completion_tokens = max(answer.completion_tokens, event.completion_tokens)
        answer.logprobs += event.logprobs or []
        answer.tool_calls += event.tool_calls
        self.dropped_messages = max(self.dropped_messages, event.dropped_messages)
        self.prompt_tokens = max(self.prompt_tokens, event.prompt_tokens)

    @property
    def completion_tokens(self) -> int:
        """Tokens of all answers together."""
        return sum(answer.completion_tokens for answer in self.by_index.values())

    def usage(self) -> dict:
        """Return OpenAI's usage object."""
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens,
                "total_tokens": self.prompt_tokens + self.completion_tokens}


class AnswerFormat:
    """Shapes the answers to one request; chat and raw completions differ in names only."""

    def __init__(self, model: str, is_chat: bool) -> None:
        self._is_chat = is_chat
        self._facts = {"id": f"{'chatcmpl' if is_chat else 'cmpl'}-{uuid.uuid4().hex}", "created": int(time.time()),
                       "model": model}

    def whole(self, answers: Answers, with_logprobs: bool) -> dict:
        """Return the answer of a request that does not stream."""
        choices = [self._choice(index, answer, with_logprobs) for index, answer in sorted(answers.by_index.items())]
        return {**self._facts, "object": "chat.completion" if self._is_chat else "text_completion",
                "choices": choices, "usage": answers.usage()}

    def chunks(self, events: Iterator[GenerationEvent], with_usage: bool) -> Iterator[dict]:
        """Yield the chunks of a stream as the pieces come; usage, where asked for, is the last one."""
        answers = Answers()
        for event in events:
            is_first = event.index not in answers.by_index
            answers.add(event)
            yield self._chunk([self._piece(event, is_first, answers.by_index[event.index])], with_usage)
        if with_usage:
            yield {**self._chunk([], with_usage), "usage": answers.usage()}

    def _choice(self, index: int, answer: Answer, with_logprobs: bool) -> dict:
        choice = {"index": index, "finish_reason": _reason(answer),
                  "logprobs": self._logprobs(answer.logprobs) if with_logprobs else None}
        if not self._is_chat:
            return {**choice, "text": answer.text}
        message = {"role": "assistant", "content": (answer.text or None) if answer.tool_calls else answer.text}
        if answer.tool_calls:
            message["tool_calls"] = [_tool_call(call) for call in answer.tool_calls]
        return {**choice, "message": message}

    def _piece(self, event: GenerationEvent, is_first: bool, answer: Answer) -> dict:
        choice = {"index": event.index, "finish_reason": _reason(answer) if event.finish_reason else None,
                  "logprobs": self._logprobs(event.logprobs) if event.logprobs else None}
        if not self._is_chat:
            return {**choice, "text": event.text}
        delta: dict = {"role": "assistant"} if is_first else {}
        if event.text or is_first:
            delta["content"] = event.text
        if event.tool_calls:
            before = len(answer.tool_calls) - len(event.tool_calls)
            delta["tool_calls"] = [{"index": before + place, **_tool_call(call)}
                                   for place, call in enumerate(event.tool_calls)]
        return {**choice, "delta": delta}

    def _logprobs(self, tokens: list[dict]) -> dict:
        if self._is_chat:
            return {"content": tokens}
        return {"tokens": [token["token"] for token in tokens],
                "token_logprobs": [token["logprob"] for token in tokens],
                "top_logprobs": [{item["token"]: item["logprob"] for item in token.get("top_logprobs", [])}
                                 for token in tokens]}

    def _chunk(self, choices: list[dict], with_usage: bool) -> dict:
        kind = "chat.completion.chunk" if self._is_chat else "text_completion"
        return {**self._facts, "object": kind, "choices": choices, **({"usage": None} if with_usage else {})}


def _reason(answer: Answer) -> str:
    if answer.tool_calls and answer.finish_reason == "stop":
        return "tool_calls"
    return answer.finish_reason or "stop"


def _tool_call(call: ToolCall) -> dict:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
