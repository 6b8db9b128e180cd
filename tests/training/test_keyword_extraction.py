"""Words are admitted when the half of the questions that did not propose them bears them out, and by nothing less."""

import random

import pytest

from training.keyword_extraction import LabelledQuestion, candidate_words, extract_keywords, wilson_lower_bound

_FILLERS = ["我想知道", "请问一下", "能不能看看", "麻烦帮我算算", "今年", "明年", "最近", "到底", "怎么样", "好不好"]


def _questions(tells: dict[str, str], count: int, seed: int = 0, noise: float = 0.0) -> list[LabelledQuestion]:
    """Return `count` questions for each intent of `tells`, each with its word; `noise` of the labels are wrong."""
    draw = random.Random(seed)  # noqa: S311 - draws texts, no secrets
    questions = []
    for intent, word in tells.items():
        for number in range(count):
            text = draw.choice(_FILLERS) + word + draw.choice(_FILLERS)
            label = draw.choice(list(tells)) if draw.random() < noise else intent
            questions.append(LabelledQuestion(f"{seed}-{intent}-{number}", text, (label,)))
    return questions


TELLS = {"wealth": "财运", "career": "升职", "health": "身体"}


def test_the_words_that_tell_an_intent_are_found_and_those_that_all_share_are_not():
    found = extract_keywords(_questions(TELLS, 80), 0.8)
    assert {(item.keyword, item.intent) for item in found} >= {(word, intent) for intent, word in TELLS.items()}
    assert not {"今年", "明年", "最近", "怎么样"} & {item.keyword for item in found}
    assert all(item.precision_lower_bound >= 0.8 and item.q_value <= 0.05 for item in found)


def test_too_few_questions_to_be_sure_give_nothing():
    assert extract_keywords(_questions(TELLS, 20), 0.8) == []
    assert extract_keywords([], 0.8) == []


def test_a_word_whose_questions_are_labelled_at_random_is_not_admitted():
    assert extract_keywords(_questions(TELLS, 200, noise=1.0), 0.5) == []


def test_questions_without_an_intent_count_against_a_word():
    out_of_scope = [LabelledQuestion(f"none-{number}", f"{filler}财运", ()) for number, filler
                    in enumerate(_FILLERS * 20)]
    assert "财运" not in {item.keyword for item in extract_keywords(_questions(TELLS, 80) + out_of_scope, 0.8)}


def test_a_question_with_two_intents_counts_for_both():
    questions = _questions(TELLS, 60) + [LabelledQuestion(f"both-{number}", "桃花运势", ("wealth", "career"))
                                         for number in range(80)]
    intents = {item.intent for item in extract_keywords(questions, 0.8) if "桃花" in item.keyword}
    assert intents == {"wealth", "career"}


def test_a_lower_confidence_admits_no_less():
    questions = _questions(TELLS, 60, noise=0.2)
    counts = [len(extract_keywords(questions, confidence)) for confidence in (0.9, 0.7, 0.5, 0.3)]
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_the_same_questions_give_the_same_words_in_the_same_order():
    questions = _questions(TELLS, 80)
    assert extract_keywords(questions, 0.7) == extract_keywords(questions[::-1], 0.7)


@pytest.mark.parametrize(("hits", "matches", "expected"), [
    (0, 0, 0.0), (0, 10, 0.0), (10, 10, 0.7225), (16, 16, 0.8064), (8, 10, 0.4902), (81, 100, 0.7222)])
def test_wilsons_lower_bound(hits, matches, expected):
    assert wilson_lower_bound(hits, matches) == pytest.approx(expected, abs=5e-5)


def test_words_are_compared_as_rules_compare_them_and_numbers_and_placeholders_are_none():
    words = candidate_words("ＷＥＡＬＴＨ 财运 2026年 <PHONE>！")
    assert {"wealth", "财运"} <= words
    assert not any(character in word for word in words for character in "2<> ！")
