from datetime import date

import pytest

from control_plane.intents.time_intent import parse_time_intent

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(("text", "kind", "start", "end"), [
    ("How is TODAY?", "today", "2026-11-21", "2026-11-21"), ("tonight", "today", "2026-11-21", "2026-11-21"),
    ("the day after tomorrow", "day_after_tomorrow", "2026-11-23", "2026-11-23"),
    ("this week", "this_week", "2026-11-16", "2026-11-22"),
    ("next weekend", "next_weekend", "2026-11-28", "2026-11-29"),
    ("this weekend", "weekend", "2026-11-21", "2026-11-22"),
    ("next friday", "explicit_date", "2026-11-27", "2026-11-27"),
    ("my luck next month", "next_month", "2026-12-01", "2026-12-31"),
    ("last quarter", "last_quarter", "2026-07-01", "2026-09-30"),
    ("the week after next", "week_after_next", "2026-11-30", "2026-12-06"),
    ("this year", "this_year", "2026-01-01", "2026-12-31"),
    ("year before last", "year_before_last", "2024-01-01", "2024-12-31"),
    ("love in 2027?", "explicit_year", "2027-01-01", "2027-12-31"),
    ("2027 forecast", "explicit_year", "2027-01-01", "2027-12-31"),
    ("from 2025 to 2027", "year_range", "2025-01-01", "2027-12-31"),
    ("between 2025 and 2027", "year_range", "2025-01-01", "2027-12-31"),
    ("this year and next year", "year_range", "2026-01-01", "2027-12-31"),
    ("in May", "explicit_month", "2026-05-01", "2026-05-31"),
    ("may next year", "explicit_month", "2027-05-01", "2027-05-31"),
    ("March 2027", "explicit_month", "2027-03-01", "2027-03-31"),
    ("Feb 29, 2028", "explicit_date", "2028-02-29", "2028-02-29"),
    ("may 5th", "explicit_date", "2026-05-05", "2026-05-05"),
    ("first half of next year", "first_half", "2027-01-01", "2027-06-30"),
    ("Q3 2027", "explicit_quarter", "2027-07-01", "2027-09-30"), ("q1", "explicit_quarter", "2026-01-01", "2026-03-31"),
    ("next three years", "recent_years", "2026-01-01", "2028-12-31"),
    ("past 6 months", "recent_months", "2026-05-22", "2026-11-21"),
    ("in ten days", "explicit_date", "2026-12-01", "2026-12-01"),
    ("2 years ago", "explicit_year", "2024-01-01", "2024-12-31"),
])
def test_expressions(text, kind, start, end):
    found = parse_time_intent(text, TODAY)
    assert (found.type, found.start.isoformat(), found.end.isoformat()) == (kind, start, end)


@pytest.mark.parametrize("text", [
    "may I ask something", "will I march on", "2026 dollars", "I have 2026 people", "in 2026 dollars", "next to me",
    "yesterdays", "weekly", "0 days ago", "in 99999 years", "next 500 years"])
def test_what_names_no_time(text):
    assert parse_time_intent(text, TODAY) is None
