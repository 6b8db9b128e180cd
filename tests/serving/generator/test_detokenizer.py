"""Text as it comes: whole characters, no part of a stop string, and in the end what the tokeniser would say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from serving.generator.detokenizer import Detokenizer, StopStrings
from serving.generator.sampling_parameters import SamplingParameters
from serving.generator.vocabulary import Vocabulary
from tests.serving.generator.decoders import END, VOCAB


@pytest.fixture(scope="module")
def vocabulary(tiny_version):
    return Vocabulary(tiny_version, VOCAB, (END,))


@pytest.fixture(scope="module")
def tokenizer(tiny_version):
    return Tokenizer.from_file(str(tiny_version / "tokenizer.json"))


def pieces(vocabulary, tokens, **parameters) -> list[str]:
    detokenizer = Detokenizer(vocabulary, SamplingParameters(**parameters))
    told = []
    for token in tokens:
        text, is_stopped = detokenizer.add(token)
        told.append(text)
        if is_stopped:
            return told
    return [*told, detokenizer.finish()]


def test_a_character_of_many_tokens_comes_whole(vocabulary):
    told = pieces(vocabulary, vocabulary.encode("é世🙂a").tolist())
    assert told == ["", "é", "", "", "世", "", "", "", "🙂", "a", ""]


def test_the_text_of_the_minimum_of_tokens_is_not_searched_for_stop_strings(vocabulary):
    tokens = vocabulary.encode("abcabc").tolist()
    assert "".join(pieces(vocabulary, tokens, stop=("bc",))) == "a"
    for least in (1, 2, 3, 4):
        assert "".join(pieces(vocabulary, tokens, stop=("bc",), min_tokens=least)) == ("a" if least == 1 else "abca")
    assert "".join(pieces(vocabulary, tokens, stop=("bc",), min_tokens=6)) == "abcabc"


@given(tokens=st.lists(st.integers(0, VOCAB - 1), max_size=30))
def test_whatever_tokens_come_the_text_is_what_the_tokeniser_says(vocabulary, tokenizer, tokens):
    assert "".join(pieces(vocabulary, tokens)) == tokenizer.decode(tokens, skip_special_tokens=True)


def test_special_tokens_are_left_out_unless_asked_for(vocabulary):
    tokens = vocabulary.encode("a<|im_end|>b").tolist()
    assert "".join(pieces(vocabulary, tokens)) == "ab"
    assert "".join(pieces(vocabulary, tokens, skip_special_tokens=False)) == "a<|im_end|>b"


@given(text=st.text("ab", max_size=25), strings=st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3))
def test_no_part_of_a_stop_string_is_ever_told_and_nothing_else_is_lost(text, strings):
    """Against the definition: the text up to where the first stop string is complete, less that string."""
    ends = [(text.find(string) + len(string), -len(string)) for string in strings if string in text]
    expected = text[:min(ends)[0] + min(ends)[1]] if ends else text
    stops, told, is_stopped = StopStrings(strings, includes=False), "", False
    for letter in text:
        piece, is_stopped = stops.add(letter)
        told += piece
        assert expected.startswith(told)
        if is_stopped:
            break
    assert told + ("" if is_stopped else stops.held) == expected
    assert is_stopped is bool(ends)


def test_a_stop_string_may_be_part_of_the_output(vocabulary):
    tokens = vocabulary.encode("one END two").tolist()
    assert "".join(pieces(vocabulary, tokens, stop=("END",))) == "one "
    assert "".join(pieces(vocabulary, tokens, stop=("END",), include_stop_str_in_output=True)) == "one END"


def test_what_was_held_back_for_a_stop_string_comes_at_the_end(vocabulary):
    assert pieces(vocabulary, vocabulary.encode("aEN").tolist(), stop=("END",)) == ["a", "", "", "EN"]
