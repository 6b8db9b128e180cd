"""Says how far a training is, and lets whoever listens stop it. Knows nothing of what is computed."""

import time
from collections.abc import Callable

# Given the fraction done, 0 to 1, and a line for people; an exception that it raises stops the training.
Report = Callable[[float, str], None]


class Progress:
    """Counts the steps of a phase that takes the part `start` to `end` of the whole, and estimates what is left."""

    def __init__(self, report: Report, start: float, end: float) -> None:
        """Begin the phase now."""
        self._report, self._start, self._end = report, start, end
        self._began_s = time.monotonic()
        self._began_fraction: float | None = None

    def tell(self, fraction: float, text: str) -> None:
        """Report `fraction` of this phase, 0 to 1, with the time that is left of it at the speed so far."""
        left = self._left_s(fraction)
        self._report(self._start + fraction * (self._end - self._start),
                     text if left is None else f"{text}, {_duration(left)} left")

    def part(self, start: float, end: float) -> "Progress":
        """Return the progress of a phase within this one; 0 ≤ start < end ≤ 1."""
        width = self._end - self._start
        return Progress(self._report, self._start + start * width, self._start + end * width)

    def _left_s(self, fraction: float) -> float | None:
        """Return the seconds left; None before anything was done. A resumed phase counts from where it resumed."""
        if self._began_fraction is None:
            self._began_fraction = fraction
        done = fraction - self._began_fraction
        return (time.monotonic() - self._began_s) / done * (1 - fraction) if done > 0 else None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
