from itertools import combinations

import numpy as np
import pytest

from training.near_duplicates import MIN_SIMILARITY, find_near_duplicates, normalise


@pytest.mark.parametrize(("first", "second"), [
    ("我今年财运怎么样？", "我今年财运怎么样"), ("我今年 财运怎么样", "我今年财运怎么样!!"), ("ＡＢＣ 你好", "abc你好"),
    ("How do I Reset my password?", "how do i reset my password"),
])
def test_case_width_space_and_punctuation_do_not_count(first, second):
    assert normalise(first) == normalise(second)
    found = find_near_duplicates([first, second])
    assert found.form_of.tolist() == [0, 0]


@pytest.mark.parametrize(("first", "second", "near"), [
    ("我今年的财运怎么样", "我今年财运怎么样", True), ("我今年财运怎么样", "我明年感情好不好", False),
    ("what is the balance of my account please", "what is the balance of my account, pls", True),
    ("what is the balance of my account", "how do i bake a chocolate cake", False), ("?!", "...", False),
])
def test_few_other_characters_are_near_and_other_questions_are_not(first, second, near):
    found = find_near_duplicates([first, second])
    assert found.near == (((1,), (0,)) if near else ((), ()))


def pairs(found):
    """Return every pair of near forms, in both orders."""
    return [(first, second) for first, others in enumerate(found.near) for second in others]


def test_bands_miss_no_pair_that_a_comparison_of_all_with_all_finds():
    random = np.random.default_rng(0)
    alphabet = np.array(list("的一是在不了有和人这中大为上个国"))
    texts = ["".join(random.choice(alphabet, 12)) for _ in range(40)]
    texts += ["".join(random.choice(alphabet) if random.random() < 0.06 else character for character in text)
              for text in texts for _ in range(3)]
    found = find_near_duplicates(texts)

    def bigrams(form):
        marked = f"^{form}$"
        return {marked[start:start + 2] for start in range(len(marked) - 1)}

    expected = {(first, second) for first, second in combinations(range(len(found.forms)), 2)
                if len(bigrams(found.forms[first]) & bigrams(found.forms[second]))
                >= MIN_SIMILARITY * len(bigrams(found.forms[first]) | bigrams(found.forms[second]))}
    assert len(expected) > 30
    assert {(min(pair), max(pair)) for pair in pairs(found)} == expected


def test_groups_are_connected_within_their_members():
    found = find_near_duplicates(["我今年的财运怎么样啊", "我今年的财运怎么样", "我今年财运怎么样", "感情会好吗"])
    assert found.groups(range(4)) == [[0, 1, 2], [3]]
    assert found.groups([0, 2]) in ([[0, 2]], [[0], [2]])
    assert found.groups([]) == []


def test_no_texts_have_no_duplicates():
    assert find_near_duplicates([]).near == ()
