"""Texts that say nearly the same stand in one group, others do not, whatever the texts are."""

from hypothesis import given
from hypothesis import strategies as st

from control_plane.labelling.near_duplicates import group_near_duplicates


def test_near_duplicates_stand_together_the_biggest_group_first():
    texts = ["孩子高考能考上吗", "我今年的财运怎么样", "我今年财运怎么样", "什么时候能结婚呢", "我今年的财运怎么样啊"]
    assert group_near_duplicates(texts) == [[1, 2, 4], [0], [3]]


def test_what_differs_in_one_word_of_many_is_near_and_another_question_is_not():
    texts = ["will I earn more money at my new job this coming year",
             "Will I earn more money at my new job this coming year?",
             "should we move to the south before our second child is born"]
    assert group_near_duplicates(texts) == [[0, 1], [2]]


def test_what_is_alike_through_a_third_is_one_group():
    texts = ["一二三四五六七八九十", "二三四五六七八九十甲", "三四五六七八九十甲乙", "四五六七八九十甲乙丙"]
    assert group_near_duplicates(texts) == [[0, 1, 2, 3]]


@given(st.lists(st.text(max_size=20), max_size=12))
def test_every_text_is_in_one_group_and_equal_ones_are_in_the_same(texts):
    groups = group_near_duplicates(texts)
    assert sorted(row for group in groups for row in group) == list(range(len(texts)))
    group_of = {row: number for number, group in enumerate(groups) for row in group}
    for row, text in enumerate(texts):
        assert group_of[row] == group_of[texts.index(text)]


def test_a_huge_text_is_judged_by_its_beginning():
    assert group_near_duplicates(["财运" * 50 + "甲" * 100_000, "财运" * 50 + "乙" * 100_000, "x"]) == [[0], [1], [2]]
    assert group_near_duplicates(["财" * 1_000_000, "财" * 300]) == [[0, 1]]
