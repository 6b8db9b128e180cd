from datetime import date

from control_plane.intents.time_intent_calendar import DAY, MONTH, WEEK, YEAR, one_day
from control_plane.intents.time_intent_expressions import Reading, far_away, find_expressions, rule

TODAY = date(2026, 1, 31)


def _rules(*patterns: str):
    return [rule(pattern, lambda match, today: Reading(match[0], one_day(today))) for pattern in patterns]


def test_the_longest_holds_wherever_it_stands_among_the_rules():
    for rules in (_rules("ab", "bcd", "d"), _rules("d", "bcd", "ab")):
        assert [item.reading.type for item in find_expressions("abcd d", TODAY, rules)] == ["bcd", "d"]


def test_of_equally_long_ones_the_first_holds():
    found = find_expressions("abc", TODAY, _rules("bc", "ab"))
    assert [(item.start, item.end) for item in found] == [(0, 2)]


def test_what_a_rule_cannot_read_hides_nothing():
    rules = [rule("abc", lambda match, today: None), *_rules("b")]
    assert [item.reading.type for item in find_expressions("abc", TODAY, rules)] == ["b"]


def test_far_away_days_months_and_years():
    assert far_away(TODAY, 1, DAY).period == one_day(date(2026, 2, 1))
    assert far_away(TODAY, -2, WEEK).period == one_day(date(2026, 1, 17))
    assert far_away(TODAY, 1, MONTH).period.end == date(2026, 2, 28)
    assert far_away(TODAY, -10, YEAR).period.years == (2016,)
