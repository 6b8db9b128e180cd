"""What a language model is asked, and that only a list of known intents passes for its answer."""

import json

import pytest

from control_plane.generation.openai_answers import Answers
from control_plane.generation.request import GenerationEvent
from control_plane.labelling.taxonomy import Intent
from control_plane.recognition.llm import IntentLlm
from control_plane.tuning_errors import LlmAnswerError

INTENTS = [Intent(1, "wealth", "财运", "money and luck with it", "active", None),
           Intent(2, "love", "感情", "love and relationships", "active", None)]


class Generation:
    """Stands in for GenerationService: says one text."""

    def __init__(self, text: str) -> None:
        self.text, self.asked = text, []

    def answer(self, model, request, time_limit_s):
        self.asked.append((model, request, time_limit_s))
        answers = Answers()
        answers.add(GenerationEvent(0, self.text, "stop"))
        return answers


def ask(text: str) -> list[str]:
    return IntentLlm(Generation(text), "qwen", 3.0).ask("我会发财吗", INTENTS)


@pytest.mark.parametrize(("text", "names"), [
    ('{"intents": ["wealth"]}', ["wealth"]),
    ('{"intents": []}', []),
    ('Sure! ```json\n{"intents": ["love", "wealth", "love"]}\n```', ["love", "wealth"]),
])
def test_a_list_of_known_intents_is_an_answer_however_it_is_wrapped(text, names):
    assert ask(text) == names


@pytest.mark.parametrize("text", [
    "", "wealth", "{", "[]", '{"intents": "wealth"}', '{"intents": ["fame"]}', '{"intents": [1]}',
    '{"intents": [["love"]]}', '{"other": []}', "}{", "null", "x" * 100_000])
def test_anything_else_is_an_error_that_shows_a_little_of_it(text):
    with pytest.raises(LlmAnswerError) as caught:
        ask(text)
    assert len(str(caught.value)) < 400


def test_the_model_is_told_every_intent_and_held_to_their_names():
    generation = Generation('{"intents": []}')
    IntentLlm(generation, "qwen", 3.0).ask("我会发财吗", INTENTS)
    [(model, request, limit_s)] = generation.asked
    assert (model, limit_s) == ("qwen", 3.0)
    assert all(word in request.messages[0]["content"] for word in ("wealth", "财运", "love", "relationships"))
    assert request.messages[1] == {"role": "user", "content": "我会发财吗"}
    schema = json.loads(request.sampling["guided_decoding"]["json"])
    assert schema["properties"]["intents"]["items"] == {"enum": ["wealth", "love"]}
    assert request.sampling["temperature"] == 0
