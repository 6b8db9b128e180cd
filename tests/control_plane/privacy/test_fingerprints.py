"""Equal questions have equal fingerprints, nothing else has, and nobody makes one without the key."""

import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.privacy.fingerprints import fingerprint, read_privacy_key, subject_digest
from control_plane.privacy.masking import mask_personal_data
from control_plane.secrets_store import SecretError
from control_plane.settings import Settings

KEY = "0123456789abcdef"


@pytest.mark.parametrize("text", [
    "我今年财运怎么样?", "我今年财运怎么样", "我今年,财运怎么样……", " 我今年 财运怎么样!! ", "我今年财运怎么样～😊",
    "我今年财运怎么样\u200b？"])
def test_width_punctuation_and_space_make_no_difference(text):
    assert fingerprint(text, KEY) == fingerprint("我今年财运怎么样", KEY)


def test_case_and_width_of_letters_make_no_difference():
    assert fingerprint("ＭＢＴＩ是infj", KEY) == fingerprint("mbti 是 INFJ", KEY)


@pytest.mark.parametrize(("one", "other"), [
    ("我今年财运怎么样", "我明年财运怎么样"), ("<PHONE>是谁", "phone是谁"), ("<PHONE>是谁", "<EMAIL>是谁"),
    ("???", "!!!"), ("", "?")])
def test_other_questions_have_other_fingerprints(one, other):
    assert fingerprint(one, KEY) != fingerprint(other, KEY)


def test_questions_with_different_phones_are_the_same_question():
    texts = ["13800138000这个号码好吗", "１３９ ００１３ ９０００ 这个号码好吗？"]
    assert len({fingerprint(mask_personal_data(text).text, KEY) for text in texts}) == 1


def test_without_the_key_nothing_is_equal():
    assert fingerprint("财运", KEY) != fingerprint("财运", KEY + "x")
    assert subject_digest("user-1", KEY) != subject_digest("user-1", KEY + "x")


def test_a_person_is_no_question():
    assert subject_digest("财运", KEY) != fingerprint("财运", KEY)
    assert subject_digest("user-1", KEY) == subject_digest("user-1", KEY)
    assert subject_digest("user-1", KEY) != subject_digest("User-1", KEY)


def test_fingerprints_of_today_are_those_of_tomorrow():
    assert fingerprint("我今年财运怎么样", KEY) == "00aae855a80b3fa9d9f782c65bae715d"
    assert subject_digest("user-1", KEY) == "d2c5a430dba49cdb8b7a060c2f19c234"


@given(st.text())
def test_any_text_has_a_digest(text):
    assert re.fullmatch("[0-9a-f]{32}", fingerprint(text, KEY))
    assert re.fullmatch("[0-9a-f]{32}", subject_digest(text, KEY))


def test_the_key_is_made_once_for_its_owner_only(tmp_path):
    settings = Settings(home=tmp_path)
    key = read_privacy_key(settings)
    assert read_privacy_key(settings) == key
    assert stat.S_IMODE((tmp_path / "privacy.key").stat().st_mode) == 0o600


def test_a_key_that_is_given_is_taken_and_none_is_made(tmp_path):
    assert read_privacy_key(Settings(home=tmp_path, privacy_key=KEY)) == KEY
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_can_be_guessed_is_refused(tmp_path):
    with pytest.raises(SecretError, match=r"CONCH_PRIVACY_KEY.*has 6 characters.*at least 16"):
        read_privacy_key(Settings(home=tmp_path, privacy_key="secret"))
