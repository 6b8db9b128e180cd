"""A detector finds what its pattern says and its check accepts, once, and goes on behind a find that was refused."""

import re

from control_plane.privacy.detector import Detector


def spans(detector, text):
    return [text[start:end] for start, end in detector.find(text)]


def test_without_a_check_every_match_is_a_find():
    assert spans(Detector("N", re.compile(r"\d\d")), "1234 56") == ["12", "34", "56"]


def test_the_hidden_group_is_the_find_where_there_is_one():
    assert spans(Detector("N", re.compile(r"no (?P<hidden>\d+)")), "no 12, no 3") == ["12", "3"]


def test_a_refused_match_hides_none_that_begins_inside_it():
    detector = Detector("N", re.compile(r"\d\d"), lambda match: match.group() == "23")
    assert spans(detector, "123") == ["23"]


def test_numerals_are_read_only_where_it_is_said():
    assert spans(Detector("N", re.compile(r"\d{3}")), "一二三") == []
    assert spans(Detector("N", re.compile(r"\d{3}"), reads_numerals=True), "一二三") == ["一二三"]
