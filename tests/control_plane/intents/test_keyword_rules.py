import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import InvalidRequestError
from control_plane.intents.keyword_rules import (
    KEYWORD_MAX_CHARS,
    KeywordMatcher,
    KeywordRule,
    normalise_keyword,
    score_intents,
)


def _matcher(*rules: tuple[str, str, float]) -> KeywordMatcher:
    return KeywordMatcher(KeywordRule(number, *rule) for number, rule in enumerate(rules))


def _found(matcher: KeywordMatcher, text: str) -> list[tuple[str, str]]:
    return [(match.rule.keyword, match.rule.intent) for match in matcher.match(text)]


def test_no_rules_match_nothing():
    assert KeywordMatcher(()).match("我今年财运怎么样") == []
    assert score_intents([]) == {}


def test_within_one_intent_the_longest_of_overlapping_keywords_holds():
    matcher = _matcher(("财运", "wealth", 0.5), ("偏财运", "wealth", 0.8), ("偏财", "wealth", 0.3))
    assert _found(matcher, "偏财运和财运") == [("偏财运", "wealth"), ("财运", "wealth")]


def test_other_intents_overlap_freely_and_may_share_a_keyword():
    matcher = _matcher(("感情运势", "love", 0.8), ("运势", "general", 0.6), ("运势", "love", 0.2),
    ("情运", "study", 0.1))
    assert _found(matcher, "感情运势") == [("感情运势", "love"), ("情运", "study"), ("运势", "general")]


def test_a_match_says_where_it_stands():
    match, = _matcher(("财运", "wealth", 0.5)).match("我的财运")
    assert (match.start, match.end) == (2, 4)


@pytest.mark.parametrize(("text", "is_found"), [
    ("love", True), ("LOVE?", True), ("my love life", True), ("我的love运", True), ("glove", False), ("lovely", False),
    ("love2", False), ("ｌｏｖｅ", True), ("love_life", True), ("loveé", True)])
def test_latin_keywords_are_whole_words(text, is_found):
    assert bool(_matcher(("love", "love", 0.5)).match(text)) == is_found


def test_only_the_latin_end_of_a_mixed_keyword_needs_a_border():
    matcher = _matcher(("考gre", "study", 0.5))
    assert _found(matcher, "我想考GRE") == [("考gre", "study")]
    assert _found(matcher, "考green") == []


def test_an_emoji_before_a_keyword_moves_nothing():
    match, = _matcher(("财运", "wealth", 0.5)).match("🎉🎉财运")
    assert (match.start, match.end) == (2, 4)


def test_scores_combine_each_rule_once():
    matcher = _matcher(("财运", "wealth", 0.5), ("发财", "wealth", 0.8), ("工作", "career", 0.4))
    scores = score_intents(matcher.match("财运财运财运,发财,工作"))
    assert scores == pytest.approx({"wealth": 1 - 0.5 * 0.2, "career": 0.4})


def test_keywords_are_kept_in_the_form_in_which_texts_are_compared():
    assert normalise_keyword("  ＭＢＴＩ运势 ") == "mbti运势"
    assert _matcher((normalise_keyword("STRASSE"), "travel", 0.5)).match("Straße")


@pytest.mark.parametrize("keyword", ["", " ", "　", "a" * (KEYWORD_MAX_CHARS + 1), "财\n运", "财\0运", "\ud800"])
def test_keywords_that_no_text_has_are_refused(keyword):
    with pytest.raises(InvalidRequestError, match=r"^keyword: "):
        normalise_keyword(keyword)


_WITHIN_WORDS = {(one, other) for one in "ab" for other in "ab"}
_TEXT = st.text(alphabet="财运偏a b", max_size=12)


@given(st.sets(_TEXT.map(str.strip).filter(bool), max_size=6), _TEXT)
def test_it_finds_what_looking_for_each_keyword_finds(keywords, text):
    """One intent for each keyword, so that none hides another."""
    matcher = _matcher(*((keyword, f"intent-{keyword}", 0.5) for keyword in sorted(keywords)))
    assert {keyword for keyword, _ in _found(matcher, text)} == {
        keyword for keyword in keywords if any(_stands_alone(text, at, keyword) for at in range(len(text)))}


def _stands_alone(text: str, at: int, keyword: str) -> bool:
    """Return whether the keyword stands there and no word of the letters a and b goes on beyond its ends."""
    ends = ((text[at - 1:at] if at else "", keyword[0]), (keyword[-1], text[at + len(keyword):][:1]))
    return text.startswith(keyword, at) and not any(pair in _WITHIN_WORDS for pair in ends)
