"""Check digits against published examples, and against every single wrong digit."""

import pytest

from control_plane.privacy.number_checks import (
    has_identity_check_digit,
    is_card_number,
    is_date,
    is_identity_number,
    is_old_identity_number,
)

IDENTITY = "11010519491231002X"  # the example of GB 11643-1999
CARD = "4111111111111111"        # the test number that card networks publish


def changed(number: str) -> list[str]:
    """Return `number` with each of its digits changed in each way."""
    return [number[:place] + digit + number[place + 1:] for place, old in enumerate(number) if old.isdigit()
            for digit in "0123456789" if digit != old]


def test_the_check_digit_of_an_identity_number_finds_every_single_typo():
    assert has_identity_check_digit(IDENTITY)
    assert has_identity_check_digit(IDENTITY.lower())
    assert not any(has_identity_check_digit(number) for number in changed(IDENTITY))


@pytest.mark.parametrize(("number", "expected"), [
    (IDENTITY, True), ("110105194912310021", True), ("110105194913310021", False), ("990105194912310021", False),
    ("11010519490230002X", False), ("110105194902300028", False)])
def test_a_wrong_check_digit_is_forgiven_where_the_birthday_is_possible(number, expected):
    assert is_identity_number(number) == expected


def test_old_identity_numbers_have_a_birthday_and_a_province():
    assert is_old_identity_number("110105491231002")
    assert not is_old_identity_number("110105491331002")
    assert not is_old_identity_number("990105491231002")


def test_the_check_digit_of_a_card_finds_every_single_typo():
    assert is_card_number(CARD)
    assert not any(is_card_number(number) for number in changed(CARD))


@pytest.mark.parametrize(("number", "expected"), [
    ("378282246310005", True), ("6011111111111117", True), ("5555555555554444", True), ("1111111111111117", False),
    ("411111111111111X", False), ("0" * 16, False)])
def test_a_card_begins_as_cards_do(number, expected):
    assert is_card_number(number) == expected


@pytest.mark.parametrize(("digits", "expected"), [
    ("20240229", True), ("20230229", False), ("18991231", False), ("21000101", False), ("20261301", False)])
def test_dates_are_days_of_the_calendar(digits, expected):
    assert is_date(digits) == expected
