"""Replaces personal data in a text by typed placeholders, before anything is written. Pure: keeps and logs nothing.

`<PHONE>` says that a phone number stood there, which training needs, and not which.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from control_plane.privacy.birth_dates import BIRTH_DATES
from control_plane.privacy.contacts import ACCOUNTS, CONTACTS, LONG_ADDRESSES
from control_plane.privacy.detector import Detector
from control_plane.privacy.names import NAMES
from control_plane.privacy.normal_form import normalise
from control_plane.privacy.numbers import LONG_NUMBERS, NUMBERS
from control_plane.privacy.places import PLACES

# In this order: an e-mail address may hold a phone number; an account's id is what is no phone number; and a detector
# that minds the characters beside its find comes after those that may replace them, or masking twice would find more.
DETECTORS: tuple[Detector, ...] = (*CONTACTS, *NUMBERS, *LONG_NUMBERS, *ACCOUNTS, *BIRTH_DATES, *PLACES, *NAMES,
                                     *LONG_ADDRESSES)
KINDS: tuple[str, ...] = tuple(dict.fromkeys(detector.kind for detector in DETECTORS))


@dataclass(frozen=True)
class MaskedText:
    """A text without the personal data that was found in it, normalised (NFKC), and how many finds of each kind."""

    text: str
    counts: Mapping[str, int]


def mask_personal_data(text: str) -> MaskedText:
    """Return `text` normalised and masked; any text is taken. Masking a masked text changes nothing.

    The work grows with the length of the text and no faster.
    """
    counts: Counter[str] = Counter()
    masked = normalise(text)
    for detector in DETECTORS:
        masked = _apply(detector, masked, counts)
    return MaskedText(masked, dict(counts))


def _apply(detector: Detector, text: str, counts: Counter[str]) -> str:
    parts, end_of_last = [], 0
    for start, end in detector.find(text):
        parts += [text[end_of_last:start], f"<{detector.kind}>"]
        end_of_last = end
        counts[detector.kind] += 1
    return "".join([*parts, text[end_of_last:]]) if parts else text
