"""Messages as chat templates want them, whoever renders the template. Knows no template."""

import json


def message_for_template(message: dict) -> dict:
    """Return a message with the arguments of earlier calls as objects; those that are no JSON stay text."""
    calls = [{**call, "function": {**call["function"], "arguments": _as_object(call["function"]["arguments"])}}
             for call in message.get("tool_calls") or []]
    return {**message, **({"tool_calls": calls} if calls else {})}


def _as_object(arguments: str) -> object:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
