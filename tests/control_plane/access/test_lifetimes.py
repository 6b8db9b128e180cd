"""Lifetimes are read as people write them, and others are refused with what they may be."""

from datetime import timedelta

import pytest

from control_plane.access.lifetimes import parse_lifetime


@pytest.mark.parametrize(("text", "lifetime"), [
    ("30m", timedelta(minutes=30)), ("12h", timedelta(hours=12)), ("90d", timedelta(days=90)),
    ("3650d", timedelta(days=3650))])
def test_lifetimes_are_read(text, lifetime):
    assert parse_lifetime(text) == lifetime


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5d", "90 d", "90D", "3651d", "9999999999d", "٩d",
                                  "1w", "1d\n"])
def test_other_texts_are_refused_with_an_example(text):
    with pytest.raises(ValueError, match="like 90d, and at most 3650d"):
        parse_lifetime(text)
