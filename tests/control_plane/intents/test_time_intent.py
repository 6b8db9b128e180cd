"""Several times in one question, years that are left to the first of two, text as people type it, zones."""

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.intents.time_intent import parse_time_intent, today_in

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(("text", "kind", "start", "end"), [
    ("今年到明年", "year_range", "2026-01-01", "2027-12-31"),
    ("从今年一直到2028年", "year_range", "2026-01-01", "2028-12-31"),
    ("今年和明年哪个好", "year_range", "2026-01-01", "2027-12-31"),
    ("明年、后年", "year_range", "2027-01-01", "2028-12-31"),
    ("明年11月到2月", "month_range", "2027-11-01", "2028-02-29"),
    ("11月到明年2月", "month_range", "2026-11-01", "2027-02-28"),
    ("明年3月至6月", "month_range", "2027-03-01", "2027-06-30"),
    ("今天到周末", "date_range", "2026-11-21", "2026-11-22"),
    ("明年5月20号到6月2号", "date_range", "2027-05-20", "2027-06-02"),
    ("今年5月到明年", "date_range", "2026-05-01", "2027-12-31"),
    ("去年离婚了,今年能再婚吗", "this_year", "2026-01-01", "2026-12-31"),
    ("今年换了工作,下个月财运怎样", "next_month", "2026-12-01", "2026-12-31"),
    ("上半年亏的下半年能赚回来吗", "second_half", "2026-07-01", "2026-12-31"),
    ("今年订婚好还是后年好", "year_after_next", "2028-01-01", "2028-12-31"),
    ("今年还是明年", "year_range", "2026-01-01", "2027-12-31"),
    ("今年二月的事,明年一月了吗", "explicit_month", "2027-01-01", "2027-01-31"),
    ("今年和下个月", "next_month", "2026-12-01", "2026-12-31"),
    ("1990年5月20日出生,明年运势", "next_year", "2027-01-01", "2027-12-31"),
    ("今年农历五月运势", "this_year", "2026-01-01", "2026-12-31"),
])
def test_of_several_times_one_is_meant(text, kind, start, end):
    found = parse_time_intent(text, TODAY)
    assert (found.type, found.start.isoformat(), found.end.isoformat()) == (kind, start, end)


@pytest.mark.parametrize("text", ["２０２７年３月", "2027 年 3 月", "2027年　三月", "2027年\n3月份", "二〇二七年三月"])
def test_widths_spaces_and_numerals_do_not_matter(text):
    assert parse_time_intent(text, TODAY).to_json() == {
        "type": "explicit_month", "target_years": [2027], "target_months": [3], "start": "2027-03-01",
        "end": "2027-03-31"}


@pytest.mark.parametrize(("text", "simplified"), [
    ("後年", "后年"), ("這個月", "这个月"), ("下週", "下周"), ("5月20號", "5月20号")])
def test_traditional_characters_mean_the_same(text, simplified):
    assert parse_time_intent(text, TODAY) == parse_time_intent(simplified, TODAY) is not None


def test_the_example_of_the_contract():
    assert parse_time_intent("我今年财运怎么样", TODAY).to_json() == {"type": "this_year", "target_years": [2026]}


@pytest.mark.parametrize(("today", "text", "start", "end"), [
    (date(2026, 1, 31), "下个月", "2026-02-01", "2026-02-28"), (date(2026, 12, 31), "明天", "2027-01-01", "2027-01-01"),
    (date(2026, 12, 31), "下周", "2027-01-04", "2027-01-10"), (date(2027, 1, 1), "上周", "2026-12-21", "2026-12-27"),
    (date(2027, 1, 1), "这周", "2026-12-28", "2027-01-03"), (date(2028, 2, 28), "明天", "2028-02-29", "2028-02-29"),
    (date(2028, 2, 29), "一年后", "2029-01-01", "2029-12-31"),
    (date(2026, 12, 31), "两个月后", "2027-02-01", "2027-02-28"),
    (date(2026, 1, 15), "上个季度", "2025-10-01", "2025-12-31"),
    (date(2026, 11, 22), "周末", "2026-11-21", "2026-11-22"),
    (date(2026, 3, 31), "过去一个月", "2026-03-01", "2026-03-31"),
])
def test_borders_of_months_weeks_and_years(today, text, start, end):
    found = parse_time_intent(text, today)
    assert (found.start.isoformat(), found.end.isoformat()) == (start, end)


def test_a_week_across_the_turn_of_the_year_is_of_both_years():
    assert parse_time_intent("这周", date(2027, 1, 1)).target_years == (2026, 2027)


_PIECES = st.sampled_from([*"今明后去前年月日周天号到至和的上下半第一二十百零〇两末", "个月", "2026", "12", "31", "29",
"2", "-", "/", " ", "未来",
                           "近", "季度", "出生", "next", "year", " of ", "may", "农历", "\ud800", "\0", "²"])


@given(st.lists(_PIECES, max_size=14).map("".join), st.dates(date(1950, 1, 1), date(2100, 12, 31)))
def test_whatever_is_typed_gives_days_in_order_or_nothing(text, today):
    found = parse_time_intent(text, today)
    if found is not None:
        assert found.start <= found.end
        assert found.to_json()["target_years"] == list(range(found.start.year, found.end.year + 1))


@pytest.mark.parametrize("text", ["一" * 100_000, "2026" * 25_000, " " * 100_000, "年" * 100_000, "第十" * 50_000])
def test_of_long_texts_the_beginning_is_read(text):
    assert parse_time_intent(text + "明年", TODAY) is None
    assert parse_time_intent("明天," + text, TODAY).type == "tomorrow"


def test_today_is_that_of_the_zone():
    late = datetime(2026, 12, 31, 17, 30, tzinfo=timezone.utc)
    assert today_in("Asia/Shanghai", late) == date(2027, 1, 1)
    assert today_in("UTC", late) == date(2026, 12, 31)
    assert today_in("America/New_York", late.astimezone(timezone(timedelta(hours=9)))) == date(2026, 12, 31)
