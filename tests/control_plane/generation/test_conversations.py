"""Turns of one conversation belong to one target; others move only when their own target goes."""

from collections import Counter

import pytest

from control_plane.generation.conversations import conversation_key, rank_targets
from control_plane.generation.request import GenerationRequest

TARGETS = ("one:1", "two:1", "three:1")
SYSTEM, HELLO = {"role": "system", "content": "你是助手"}, {"role": "user", "content": "你好"}
ANSWER = {"role": "assistant", "content": "你好！"}


def chat(*messages: dict, model: str = "writer", **request: object) -> bytes:
    return conversation_key(model, GenerationRequest(messages=list(messages), **request))


def completion(prompt: str) -> bytes:
    return conversation_key("writer", GenerationRequest(prompt=prompt))


def test_a_conversation_has_the_same_key_in_every_turn():
    turns = [SYSTEM, HELLO, ANSWER, {"role": "user", "content": "我今年财运怎么样"}]
    assert chat(*turns) == chat(*turns[:2], sampling={"temperature": 0})


@pytest.mark.parametrize("other", [
    chat(HELLO), chat(SYSTEM, {"role": "user", "content": "再见"}), chat({**SYSTEM, "content": "x"}, HELLO),
    chat({"role": "assistant", "content": "你是助手"}, HELLO), chat(SYSTEM, HELLO, model="other"), completion("你好")])
def test_what_begins_otherwise_has_another_key(other):
    assert other != chat(SYSTEM, HELLO)


def test_what_nobody_has_asked_yet_counts_whole():
    assert chat(SYSTEM) != chat(SYSTEM, ANSWER)
    assert chat() == chat()


def test_a_prompt_has_the_key_of_its_beginning():
    assert completion("从" * 256 + "a") == completion("从" * 256 + "bc")
    assert completion("从" * 255 + "a") != completion("从" * 255 + "b")
    assert completion("") != completion("a")


def test_the_order_of_targets_depends_on_the_key_alone():
    for number in range(20):
        ranked = rank_targets(completion(str(number)), TARGETS)
        assert sorted(ranked) == sorted(TARGETS)
        assert ranked == rank_targets(completion(str(number)), reversed(TARGETS))


def test_every_target_has_its_share():
    first = Counter(rank_targets(completion(str(number)), TARGETS)[0] for number in range(600))
    assert min(first.values()) > 150


def test_when_a_target_goes_only_its_conversations_move_and_they_spread():
    moved = Counter()
    for number in range(300):
        key = completion(str(number))
        before, after = rank_targets(key, TARGETS), rank_targets(key, TARGETS[:2])
        assert after == [target for target in before if target != "three:1"]
        if before[0] == "three:1":
            moved[after[0]] += 1
    assert min(moved["one:1"], moved["two:1"]) > 20
