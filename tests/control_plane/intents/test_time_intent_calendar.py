from datetime import date, timedelta

import pytest

from control_plane.intents.time_intent_calendar import (
    DAY,
    MONTH,
    WEEK,
    YEAR,
    Period,
    add_months,
    day_of_month,
    months,
    quarter,
    rolling,
    week_of,
    weekend_of,
    whole_years,
)


@pytest.mark.parametrize(("day", "monday"), [
    (date(2026, 1, 1), date(2025, 12, 29)), (date(2025, 12, 28), date(2025, 12, 22)),
    (date(2027, 1, 3), date(2026, 12, 28)), (date(2024, 12, 30), date(2024, 12, 30))])
def test_weeks_go_from_monday_to_sunday_across_the_turn_of_the_year(day, monday):
    assert week_of(day) == Period(monday, monday + timedelta(days=6), WEEK)
    assert weekend_of(day) == Period(monday + timedelta(days=5), monday + timedelta(days=6), DAY)


@pytest.mark.parametrize(("day", "count", "there"), [
    (date(2026, 1, 31), 1, date(2026, 2, 28)), (date(2028, 1, 31), 1, date(2028, 2, 29)),
    (date(2026, 12, 15), 1, date(2027, 1, 15)), (date(2026, 1, 31), -2, date(2025, 11, 30)),
    (date(2028, 2, 29), 12, date(2029, 2, 28)), (date(2026, 3, 31), -13, date(2025, 2, 28))])
def test_months_that_are_shorter_end_earlier(day, count, there):
    assert add_months(day, count) == there


@pytest.mark.parametrize(("number", "first", "last"), [
    (0, date(2025, 10, 1), date(2025, 12, 31)), (1, date(2026, 1, 1), date(2026, 3, 31)),
    (4, date(2026, 10, 1), date(2026, 12, 31)), (5, date(2027, 1, 1), date(2027, 3, 31))])
def test_quarters_go_on_beside_the_year(number, first, last):
    assert quarter(2026, number) == Period(first, last, MONTH)


def test_a_day_that_a_month_does_not_have_leaves_the_month():
    assert day_of_month(2026, 2, 29) == months(2026, 2, 2)
    assert day_of_month(2028, 2, 29) == Period(date(2028, 2, 29), date(2028, 2, 29), DAY)
    assert day_of_month(2026, 13, 1) is None


def test_windows_have_today_in_them():
    today = date(2026, 1, 31)
    assert rolling(today, 7, DAY, True) == Period(today, date(2026, 2, 6), DAY)
    assert rolling(today, 2, WEEK, False) == Period(date(2026, 1, 18), today, DAY)
    assert rolling(today, 1, MONTH, True) == Period(today, date(2026, 2, 27), DAY)
    assert rolling(today, 3, YEAR, True) == whole_years(2026, 2028)
    assert rolling(today, 3, YEAR, False) == whole_years(2024, 2026)
    assert rolling(today, 1, YEAR, True) == Period(today, date(2027, 1, 30), DAY)


def test_months_of_a_period_are_there_once():
    assert Period(date(2026, 11, 1), date(2027, 2, 28), MONTH).months == (11, 12, 1, 2)
    assert Period(date(2026, 11, 1), date(2028, 2, 28), MONTH).months == (11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)


def test_a_month_moved_by_years_is_whole_again():
    assert months(2026, 2, 2).moved(2) == months(2028, 2, 2)
    assert months(2028, 2, 2).moved(-2) == months(2026, 2, 2)
