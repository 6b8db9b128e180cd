"""Has a model call a tool, by letting it write nothing but the JSON of a call. Knows nothing of HTTP."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from control_plane.errors import InvalidRequestError
from control_plane.generation.request import GenerationEvent, GenerationRequest
from control_plane.generation.tool_calls import parse_call

_ANY_ARGUMENTS = {"type": "object"}


def choose_tools(tools: list[dict], name: str | None) -> tuple[str, ...]:
    """Return the names of which one must be called: all of the tools', or `name`; raises InvalidRequestError."""
    names = tuple(str(tool["function"].get("name") or "") for tool in tools)
    if not names or "" in names:
        raise InvalidRequestError("tool_choice", "a call needs tools to choose from, each with a function.name")
    if name is not None and name not in names:
        raise InvalidRequestError("tool_choice", f"{name!r} is none of the tools, which are {', '.join(names)}")
    return names if name is None else (name,)


def constrain_to_call(request: GenerationRequest) -> GenerationRequest:
    """Return the request with the calls that it permits as the JSON schema of its answer."""
    calls = [_call_schema(tool["function"]) for tool in request.tools or ()
             if tool["function"]["name"] in request.required_tools]
    schema = calls[0] if len(calls) == 1 else {"anyOf": calls}
    return replace(request, sampling={**request.sampling, "guided_decoding": {"json": json.dumps(schema)}})


def read_calls(events: Iterator[GenerationEvent]) -> Iterator[GenerationEvent]:
    """Turn answers that are calls into calls, each with its last piece; what was cut short is given out as text."""
    written: dict[int, str] = {}
    with closing(events):
        for event in events:
            written[event.index] = written.get(event.index, "") + event.text
            if event.finish_reason:
                call = parse_call(written[event.index])
                yield replace(event, text="", tool_calls=(call,)) if call else replace(event, text=written[event.index])
            elif event.logprobs:
                yield replace(event, text="")


def _call_schema(function: dict) -> dict:
    return {"type": "object", "additionalProperties": False, "required": ["name", "arguments"], "properties": {
        "name": {"const": function["name"]}, "arguments": function.get("parameters") or _ANY_ARGUMENTS}}
