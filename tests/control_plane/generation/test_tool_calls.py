"""Tool calls are found wherever the pieces of a stream are cut, and whatever is none stays text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.generation.tool_calls import ToolCallSplitter

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "北京"}}\n</tool_call>'


def split(pieces) -> tuple[str, list[tuple[str, object]]]:
    splitter = ToolCallSplitter()
    text, calls = "", []
    for piece in pieces:
        certain, found = splitter.feed(piece)
        text += certain
        calls += found
    assert calls == splitter.calls
    return text + splitter.finish(), [(call.name, json.loads(call.arguments)) for call in calls]


@pytest.mark.parametrize(("written", "text", "calls"), [
    ("你好", "你好", []),
    ("", "", []),
    (CALL, "", [("weather", {"city": "北京"})]),
    (f"Let me see. {CALL}\n{CALL}!", "Let me see. \n!", [("weather", {"city": "北京"})] * 2),
    ('<tool_call>{"name": "now"}</tool_call>', "", [("now", {})]),
    ('<tool_call>{"name": "now", "arguments": "{}"}</tool_call>', "", [("now", {})]),
    ("a < b <tool", "a < b <tool", []),
    ("<tool_call>not JSON</tool_call>", "<tool_call>not JSON</tool_call>", []),
    ('<tool_call>{"city": "北京"}</tool_call>.', '<tool_call>{"city": "北京"}</tool_call>.', []),
    ("<tool_call>[]</tool_call>", "<tool_call>[]</tool_call>", []),
    ('<tool_call>{"name": "now"', '<tool_call>{"name": "now"', []),
])
def test_text_and_calls_are_told_apart_wherever_the_stream_is_cut(written, text, calls):
    assert split([written]) == (text, calls)
    assert split(written) == (text, calls)
    for cut in range(len(written)):
        assert split([written[:cut], written[cut:]]) == (text, calls)


@given(st.lists(st.sampled_from(["<", "<tool", "_call>", "</tool_call>", "{", '"name"', "好", " ", CALL])))
def test_nothing_that_is_no_call_is_lost(pieces):
    text, calls = split(pieces)
    assert len(text) + len(calls) * len(CALL) == len("".join(pieces))


def test_each_call_has_an_id_of_its_own_and_text_is_not_held_back_longer_than_needed():
    splitter = ToolCallSplitter()
    assert splitter.feed("a <b") == ("a <b", [])
    assert splitter.feed("<to") == ("", [])
    assert splitter.feed("p>") == ("<top>", [])
    splitter.feed(CALL + CALL)
    assert len({call.id for call in splitter.calls}) == 2
