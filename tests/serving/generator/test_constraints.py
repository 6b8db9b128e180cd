"""Constrained answers: what is allowed, what is refused."""

import json

import numpy as np
import pytest

from serving.errors import InvalidGenerationError
from serving.generator.constraints import GrammarCompiler
from serving.generator.sampling_parameters import parse_sampling_parameters
from serving.generator.vocabulary import Vocabulary
from tests.serving.generator.decoders import END, VOCAB

SCHEMA = {"type": "object", "properties": {"intent": {"enum": ["wealth", "love"]}, "year": {"type": "integer"}},
          "required": ["intent", "year"], "additionalProperties": False}


@pytest.fixture(scope="module")
def vocabulary(tiny_version):
    return Vocabulary(tiny_version, VOCAB, (END,))


@pytest.fixture(scope="module")
def compiler(vocabulary):
    return GrammarCompiler(vocabulary)


def allowed(constraint) -> set[int]:
    logits = np.zeros(VOCAB, dtype=np.float32)
    constraint.apply(logits)
    return set(np.flatnonzero(logits == 0).tolist())


def compiled(compiler, **guided):
    return compiler.compile(parse_sampling_parameters({"guided_decoding": guided}))


def test_without_a_grammar_there_is_no_constraint(compiler):
    assert compiler.compile(parse_sampling_parameters({})) is None


def test_a_regex_allows_what_may_follow_and_then_the_end(compiler, vocabulary):
    constraint = compiled(compiler, regex="[ab]c?")
    a, b, c = vocabulary.encode("abc").tolist()
    assert allowed(constraint) == {a, b}
    constraint.accept(a)
    assert allowed(constraint) == {c, END}
    assert not constraint.is_complete
    constraint.accept(c)
    assert constraint.is_complete


def test_copies_go_their_own_ways(compiler, vocabulary):
    constraint = compiled(compiler, regex="ab|cd")
    a, b, c, d = vocabulary.encode("abcd").tolist()
    other = constraint.copy()
    constraint.accept(a)
    other.accept(c)
    assert (allowed(constraint), allowed(other)) == ({b}, {d})


def test_whatever_is_chosen_is_json_of_the_schema(generator):
    for seed in range(5):
        asked = {"guided_decoding": {"json": SCHEMA}, "seed": seed, "max_tokens": 200}
        events = list(generator.generate("What?", asked))
        answer = "".join(event.text for event in events)
        assert answer.startswith('{"intent": "')
        # A number may grow until the tokens are used up; then the answer is cut short and says so.
        if events[-1].finish_reason == "stop":
            assert json.loads(answer)["intent"] in ("wealth", "love")


@pytest.mark.parametrize(("guided", "words"), [
    ({"regex": "(["}, "guided_decoding.regex cannot be used"),
    ({"json": "{"}, "guided_decoding.json is no JSON schema"),
    ({"json": "[]"}, "guided_decoding.json is no JSON schema"),
    ({"json": {"type": "nonsense"}}, "guided_decoding.json cannot be used: Invalid type: nonsense"),
])
def test_a_grammar_that_is_wrong_is_refused_with_its_fault(compiler, guided, words):
    with pytest.raises(InvalidGenerationError, match=words):
        compiled(compiler, **guided)
