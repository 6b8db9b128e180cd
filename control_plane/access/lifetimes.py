"""How long a key is valid, as people write it: 90d, 12h."""

import re
from datetime import timedelta

# Of what parse_lifetime takes, for JSON schemas; which of these are too long it says alone.
LIFETIME_PATTERN = "^([1-9][0-9]{0,5})(m|h|d)$"
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=3650)


def parse_lifetime(text: str) -> timedelta:
    """Return how long `text` means; raises ValueError that says what it may be."""
    match = re.fullmatch(LIFETIME_PATTERN, text)
    lifetime = timedelta(**{_UNITS[match.group(2)]: int(match.group(1))}) if match else None
    if lifetime is None or lifetime > _LONGEST:
        raise ValueError(f"{text!r} is not how long a key is valid: a whole number and m, h or d, like 90d, and at "
                         f"most {_LONGEST.days}d")
    return lifetime
