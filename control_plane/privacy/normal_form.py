"""The one form of a text that every detector reads. Knows nothing of personal data.

Full-width characters, digits of other scripts and characters that nobody sees are the cheapest disguises of a number;
they are gone before a detector looks.
"""

import re
import unicodedata

# Everything of the categories Cf (formatting: zero-width, direction, tags), Cs (halves of surrogate pairs, which no
# database takes) and Cc (control, except tab and line ends), and what Unicode calls default-ignorable beyond these:
# fillers and variation selectors. A test compares the list with Python's Unicode database.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4"
    "\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]")
# Marks that found no letter to join, as in the keycap emoji. Left in place, one could join the `>` of a placeholder.
_STRAY_MARKS = re.compile(
    "(?<=[\x00-\x7f\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
    "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\u302a-\u302f\u3099\u309a\ufe20-\ufe2f]+")
# Written digits, each one character, so that a position in the translated text is one in the text. 两 and the radio
# alphabet's 洞 and 拐 are left out: they are words far more often.
_WRITTEN_DIGITS = ("零〇○", "一幺壹", "二贰貳", "三叁參", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖")
_VALUES = {char: str(value) for value, chars in enumerate(_WRITTEN_DIGITS) for char in chars}
_NUMERAL = re.compile(f"[{''.join(_VALUES)}]")
# What may be a digit of another script: neither ASCII nor a Chinese character or punctuation, which most texts are of.
_OTHER = re.compile("[^\x00-\x7f\u3000-\u303f\u3400-\u9fff]")


def normalise(text: str) -> str:
    """Return `text` in NFKC, without invisible characters, with ASCII digits for those of any script. Idempotent."""
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    return _STRAY_MARKS.sub("", _OTHER.sub(_read_digit, folded))


def read_numerals(text: str) -> str:
    """Return `text`, of the same length, with Chinese numerals for single digits written as ASCII digits."""
    return _NUMERAL.sub(lambda match: _VALUES[match.group()], text)


def _read_digit(match: re.Match[str]) -> str:
    char = match.group()
    return str(unicodedata.digit(char)) if char.isdigit() else char
