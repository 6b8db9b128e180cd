"""A clock for tests of what grows old."""


class Clock:
    """A monotonic clock in seconds that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s

    def pass_second(self) -> None:
        """Let a second pass, and a little more."""
        self.now_s += 1.1
