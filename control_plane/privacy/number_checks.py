"""Which numbers are what: check digits, dates and prefixes. Pure; knows no text around them.

Sources: GB 11643-1999 (identity numbers), ISO/IEC 7812-1 annex B (Luhn), GB/T 2260 (codes of the provinces).
"""

import ipaddress
from datetime import date

_PROVINCES = {*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66),
              71, 81, 82, 83}
_IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_IDENTITY_CHECK_DIGITS = "10X98765432"
_FIRST_YEAR, _LAST_YEAR = 1900, 2099  # of birth, and of the dates that people write
# What cards in use begin with: 3 (JCB, American Express), 4 (Visa), 5 and 22 to 27 (Mastercard), 6 (UnionPay),
# 9 (UnionPay debit cards of before 2009).
_CARD_BEGINNINGS = ("3", "4", "5", "6", "9", "22", "23", "24", "25", "26", "27")


def is_identity_number(number: str) -> bool:
    """Return whether 18 characters, 17 digits and a digit or X, are an identity number, mistyped ones included.

    Its province and date of birth must be possible. A wrong check digit is forgiven, unless a card's is right.
    """
    if int(number[:2]) not in _PROVINCES or not is_date(number[6:14]):
        return False
    return has_identity_check_digit(number) or not is_card_number(number)


def has_identity_check_digit(number: str) -> bool:
    """Return whether the last of 18 characters is the check digit of GB 11643: ISO 7064 MOD 11-2."""
    total = sum(weight * int(digit) for weight, digit in zip(_IDENTITY_WEIGHTS, number, strict=False))
    return number[17].upper() == _IDENTITY_CHECK_DIGITS[total % 11]


def is_old_identity_number(number: str) -> bool:
    """Return whether 15 digits are an identity number of before 1999, which has two digits for the year."""
    return int(number[:2]) in _PROVINCES and is_date("19" + number[6:12])


def is_card_number(number: str) -> bool:
    """Return whether 13 to 19 digits are a bank card's: its beginning and Luhn's check digit."""
    if not number.isdecimal() or not number.startswith(_CARD_BEGINNINGS):
        return False
    if len(number) == 15 and not number.startswith(("34", "37")):  # Only American Express has 15 digits.
        return False
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return (doubled + sum(int(digit) for digit in number[-1::-2])) % 10 == 0


def is_date(digits: str) -> bool:
    """Return whether 8 digits are a day of the years 1900 to 2099, written YYYYMMDD."""
    try:
        return _FIRST_YEAR <= date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).year <= _LAST_YEAR
    except ValueError:
        return False


def is_internet_address(text: str) -> bool:
    """Return whether `text` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
