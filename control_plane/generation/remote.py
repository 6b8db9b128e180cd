"""Has a server elsewhere generate, and turns its OpenAI chunks into ours. Knows nothing of Triton and of our routes."""

import json
from collections.abc import Iterator

from control_plane.generation.request import DROPPABLE, GenerationEvent, GenerationRequest
from control_plane.generation.tool_calls import ToolCall
from control_plane.providers.openai_endpoint import CHAT_PATH, COMPLETIONS_PATH, OpenAIEndpoint


def generate_elsewhere(endpoint: OpenAIEndpoint, request: GenerationRequest) -> Iterator[GenerationEvent]:
    """Yield the pieces of the answers as they come; raises ProviderError and its kinds."""
    path = COMPLETIONS_PATH if request.messages is None else CHAT_PATH
    prompt_tokens = completion_tokens = 0
    calls = _CallParts()
    finished: dict[int, str] = {}
    for chunk in endpoint.stream(path, _body(request)):
        usage = chunk.get("usage") or {}
        prompt_tokens = usage.get("prompt_tokens", prompt_tokens)
        completion_tokens = usage.get("completion_tokens", completion_tokens)
        for choice in chunk.get("choices") or []:
            index, delta = choice.get("index", 0), choice.get("delta") or {}
            calls.add(index, delta.get("tool_calls") or [])
            if choice.get("finish_reason"):
                finished[index] = choice["finish_reason"]
            text = delta.get("content") or choice.get("text") or ""
            logprobs = (choice.get("logprobs") or {}).get("content")
            if text or logprobs:
                yield GenerationEvent(index, text, None, prompt_tokens, completion_tokens, logprobs)
    # Usage comes with the last chunk, after the reasons to end, so that these are passed on when all is there.
    for position, (index, reason) in enumerate(finished.items()):
        yield GenerationEvent(index, "", reason, prompt_tokens, completion_tokens if position == 0 else 0,
                              tool_calls=calls.of(index))


def _body(request: GenerationRequest) -> dict:
    """Return OpenAI's request; what OpenAI has no name for goes by vLLM's."""
    sampling = dict(request.sampling)
    constraint = sampling.pop("guided_decoding", {})
    if "json" in constraint:
        sampling["response_format"] = {"type": "json_schema", "json_schema": {
            "name": "answer", "schema": json.loads(constraint["json"])}}
    elif constraint:
        sampling["guided_regex"] = constraint["regex"]
    body = {**sampling, "stream_options": {"include_usage": True}}
    if request.messages is None:
        return {**body, "prompt": request.prompt, **({"echo": True} if request.echo else {})}
    if "logprobs" in sampling:
        body |= {"logprobs": True, "top_logprobs": sampling["logprobs"]}
    messages = [{key: value for key, value in message.items() if key != DROPPABLE} for message in request.messages]
    return {**body, "messages": messages, **_tools(request)}


def _tools(request: GenerationRequest) -> dict:
    """Return OpenAI's fields; where several tools are named of which one must be called, they are all of them."""
    match request.required_tools:
        case _ if not request.tools:
            return {}
        case ():
            return {"tools": request.tools}
        case (name,):
            return {"tools": request.tools, "tool_choice": {"type": "function", "function": {"name": name}}}
    return {"tools": request.tools, "tool_choice": "required"}


class _CallParts:
    """Puts tool calls together, whose arguments come in pieces."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], dict] = {}

    def add(self, choice: int, deltas: list[dict]) -> None:
        for delta in deltas:
            part = self._parts.setdefault((choice, delta.get("index", 0)), {"id": "", "name": "", "arguments": ""})
            function = delta.get("function") or {}
            part["id"] = delta.get("id") or part["id"]
            part["name"] += function.get("name") or ""
            part["arguments"] += function.get("arguments") or ""

    def of(self, choice: int) -> tuple[ToolCall, ...]:
        return tuple(ToolCall(**part) for (index, _), part in self._parts.items() if index == choice)
