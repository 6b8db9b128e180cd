"""What a detector of personal data is: a pattern, a check and the type it finds. Knows none of them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from control_plane.privacy.normal_form import read_numerals

HIDDEN = "hidden"  # The group of a pattern that is replaced, where its keyword stays; else the whole match is.


def _accept_all(match: re.Match[str]) -> bool:
    return True


@dataclass(frozen=True)
class Detector:
    """Finds one kind of personal data in normalised text.

    No pattern looks further than a fixed number of characters from where it starts, so that the work grows with the
    text and no faster. None ends inside a run of digits or of letters and digits: what one leaves over is no new find.
    """

    kind: str                                                 # what stands in the placeholder: PHONE
    pattern: re.Pattern[str]
    accepts: Callable[[re.Match[str]], bool] = _accept_all    # judges what the pattern found
    reads_numerals: bool = False                              # reads 一三八 as 138

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of each find in `text`, from left to right, none inside another."""
        view = read_numerals(text) if self.reads_numerals else text
        group = HIDDEN if HIDDEN in self.pattern.groupindex else 0
        match = self.pattern.search(view)
        while match:
            accepted = self.accepts(match)
            if accepted:
                yield match.span(group)
            match = self.pattern.search(view, match.end(group) if accepted else match.start() + 1)
