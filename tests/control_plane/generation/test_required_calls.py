"""A model that must call a tool can write nothing else, and what it writes becomes the call."""

import json

import pytest

from control_plane.errors import InvalidRequestError
from control_plane.generation.request import GenerationEvent, GenerationRequest
from control_plane.generation.required_calls import choose_tools, constrain_to_call, read_calls

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}},
         {"type": "function", "function": {"name": "clock"}}]


def test_one_of_all_tools_or_the_named_one_is_to_be_called():
    assert choose_tools(TOOLS, None) == ("weather", "clock")
    assert choose_tools(TOOLS, "clock") == ("clock",)


@pytest.mark.parametrize(("tools", "name", "says"), [
    ([], None, "needs tools to choose from"), ([{"type": "function", "function": {}}], None, r"function\.name"),
    (TOOLS, "news", "'news' is none of the tools, which are weather, clock")])
def test_a_choice_of_nothing_is_refused(tools, name, says):
    with pytest.raises(InvalidRequestError, match=says):
        choose_tools(tools, name)


def schema_of(*required):
    request = GenerationRequest(messages=[], tools=TOOLS, required_tools=required, sampling={"seed": 3})
    constrained = constrain_to_call(request)
    assert constrained.sampling["seed"] == 3
    return json.loads(constrained.sampling["guided_decoding"]["json"])


def test_the_answer_is_a_call_with_the_tools_own_arguments():
    schema = schema_of("weather")
    assert (schema["properties"]["name"], schema["properties"]["arguments"]) == ({"const": "weather"}, CITY)
    assert schema["required"] == ["name", "arguments"]
    names = [call["properties"]["name"]["const"] for call in schema_of("weather", "clock")["anyOf"]]
    assert names == ["weather", "clock"]


def test_each_answer_becomes_its_call_and_one_that_was_cut_short_stays_text():
    pieces = [GenerationEvent(0, '{"name": "clock", '), GenerationEvent(1, '{"name": "weath', logprobs=[{}]),
              GenerationEvent(0, '"arguments": {}}', "stop"), GenerationEvent(1, "er", "length")]
    first, call, cut = read_calls(piece for piece in pieces)
    assert (first.index, first.text, first.logprobs) == (1, "", [{}])
    assert (call.index, call.text, call.finish_reason) == (0, "", "stop")
    assert [(item.name, item.arguments) for item in call.tool_calls] == [("clock", "{}")]
    assert (cut.text, cut.tool_calls, cut.finish_reason) == ('{"name": "weather', (), "length")
