from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.clock import in_zone
from app.csv_files.moments import moment_of, parse_date
from app.models.imports.task_import import DateFormat
from tests.unhurried import UNHURRIED

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def naive(*fields):
    return datetime(*fields)  # noqa: DTZ001 - text without an offset is read like this


def parse_moment(text, date_format=DateFormat.US):
    parsed = parse_date(text, date_format)
    return None if parsed is None else moment_of(parsed)


class TestNamedMonth:
    @pytest.mark.parametrize(("number", "name"), [*enumerate(MONTHS, 1)])
    def test_has_three_letters_in_any_case(self, number, name):
        expected = naive(2026, number, 5)

        assert parse_moment(f"05/{name}/2026") == parse_moment(f"5/{name.upper()}/26") == expected
        assert parse_moment(f"05.{name.lower()}.26", DateFormat.DAY_FIRST) == expected

    @pytest.mark.parametrize("text", ["05/Mai/26", "31/Apr/26", "Mar/05/26", "05/March/26", "0/Mar/26", "05-Mar-26"])
    def test_a_day_that_does_not_exist_is_none(self, text):
        assert parse_moment(text) is None

    @pytest.mark.parametrize("text", ["05/Mar/126", "05/Mar/6", "05/Mar/02026", "05/Mar/", "05/Mar"])
    def test_a_year_has_two_or_four_digits(self, text):
        assert parse_moment(text) is None


class TestTimeOfDay:
    @pytest.mark.parametrize(
        ("text", "hour", "minute"),
        [
            ("12:00 AM", 0, 0),
            ("12:59 am", 0, 59),
            ("1:05AM", 1, 5),
            ("11:59 AM", 11, 59),
            ("12:00 PM", 12, 0),
            ("12:30pm", 12, 30),
            ("1:00 Pm", 13, 0),
            ("11:59 PM", 23, 59),
            ("0:00", 0, 0),
            ("23:59", 23, 59),
            ("09:05", 9, 5),
        ],
    )
    def test_is_read_with_and_without_am_and_pm(self, text, hour, minute):
        assert parse_moment(f"3/9/2026 {text}") == naive(2026, 3, 9, hour, minute)

    def test_seconds_may_follow(self):
        assert parse_moment("3/9/2026 1:02:03 PM") == naive(2026, 3, 9, 13, 2, 3)

    @pytest.mark.parametrize(
        "text", ["0:30 AM", "13:00 PM", "24:00", "12:60", "1:5", "5 PM", "1:00:60", "1:00 XM", "1:00 P", "1:00 PM x"]
    )
    def test_an_impossible_time_is_none(self, text):
        assert parse_moment(f"3/9/2026 {text}") is None


class TestDayFirst:
    def test_decides_which_of_two_numbers_is_the_month(self):
        assert parse_moment("3/9/2026") == naive(2026, 3, 9)
        assert parse_moment("3/9/2026", DateFormat.DAY_FIRST) == naive(2026, 9, 3)

    def test_is_needed_for_dots(self):
        assert parse_moment("3.9.2026") is None
        assert parse_moment("3.9.2026", DateFormat.DAY_FIRST) == naive(2026, 9, 3)

    @pytest.mark.parametrize("date_format", [DateFormat.US, DateFormat.DAY_FIRST])
    def test_does_not_matter_when_the_year_comes_first(self, date_format):
        assert parse_moment("2026-03-09", date_format) == naive(2026, 3, 9)

    @pytest.mark.parametrize("date_format", [DateFormat.US, DateFormat.DAY_FIRST])
    @pytest.mark.parametrize("text", ["3/9.2026", "3.9/2026", "3/9/26", "3-9-2026", "2026/3/9", "3 / 9 / 2026"])
    def test_other_formats_are_none(self, text, date_format):
        assert parse_moment(text, date_format) is None


class TestNamedFormats:
    @pytest.mark.parametrize(
        ("date_format", "text"),
        [
            (DateFormat.YEAR_FIRST, "2026/3/9 17:05"),
            (DateFormat.YEAR_FIRST, "2026.03.09 5:05 PM"),
            (DateFormat.JIRA, "09/Mar/26 5:05 PM"),
            (DateFormat.JIRA, "9.Mar.2026 17:05"),
            (DateFormat.MONTH_NAME, "Mar 9, 2026 5:05 PM"),
            (DateFormat.MONTH_NAME, "March 9 2026 17:05"),
            (DateFormat.MONTH_NAME, "9 Mar 2026 17:05"),
            (DateFormat.MONTH_NAME, "9. March 2026 5:05 pm"),
            (DateFormat.ISO, "2026W111T1705"),
        ],
    )
    def test_read_their_own_dates_and_iso(self, date_format, text):
        assert parse_moment(text, date_format) == naive(2026, 3, 9, 17, 5)
        assert parse_moment("2026-03-09T17:05", date_format) == naive(2026, 3, 9, 17, 5)

    @pytest.mark.parametrize("text", ["Sept 9, 2026", "9 Sept. 2026", "Sep 9, 2026", "9 September 2026"])
    def test_know_both_abbreviations_of_september(self, text):
        assert parse_date(text, DateFormat.MONTH_NAME) == date(2026, 9, 9)

    @pytest.mark.parametrize(
        ("text", "parsed"),
        [
            ("2026W10", date(2026, 3, 2)),
            ("2026-W10-1", date(2026, 3, 2)),
            ("2026W10T05", naive(2026, 3, 2, 5)),
            ("20260302T05", naive(2026, 3, 2, 5)),
            ("2026-03-02 05", naive(2026, 3, 2, 5)),
        ],
    )
    def test_keep_the_time_of_a_short_iso_text(self, text, parsed):
        found = parse_date(text, DateFormat.ISO)

        assert (found, type(found)) == (parsed, type(parsed))

    @pytest.mark.parametrize(
        ("date_format", "text"),
        [
            (DateFormat.ISO, "3/9/2026"),
            (DateFormat.ISO, "9/Mar/26"),
            (DateFormat.JIRA, "3/9/2026"),
            (DateFormat.YEAR_FIRST, "3/9/2026"),
            (DateFormat.YEAR_FIRST, "2026/13/1"),
            (DateFormat.MONTH_NAME, "Marc 9, 2026"),
            (DateFormat.MONTH_NAME, "Mar 32, 2026"),
            (DateFormat.MONTH_NAME, "3/9/2026"),
            (DateFormat.US, "Mar 9, 2026"),
        ],
    )
    def test_refuse_the_dates_of_others(self, date_format, text):
        assert parse_moment(text, date_format) is None


class TestYear:
    @pytest.mark.parametrize("text", ["0001-12-31", "9999-01-01", "12/31/0001", "1/1/9999", "0000-01-01", "1/1/0000"])
    def test_a_year_that_an_offset_could_leave_is_none(self, text):
        assert parse_moment(text) is None

    @pytest.mark.parametrize("text", ["0002-01-01T00:00:00+23:59", "9998-12-31T23:59:59-23:59"])
    def test_the_first_and_the_last_year_allow_any_offset(self, text):
        moment = in_zone(parse_moment(text), ZoneInfo("UTC"))

        assert moment.year in {1, 2, 9998, 9999}


class TestInZone:
    def test_uses_the_zone_when_there_is_no_offset(self):
        assert in_zone(naive(2026, 7, 1), ZoneInfo("Europe/Berlin")) == datetime(2026, 6, 30, 22, tzinfo=UTC)

    def test_its_own_offset_counts(self):
        noon = datetime(2026, 7, 1, 12, tzinfo=UTC)

        assert in_zone(noon, ZoneInfo("Europe/Berlin")) == noon

    def test_is_returned_in_utc(self):
        assert in_zone(datetime.fromisoformat("2026-07-01T00:00:00+14:00"), ZoneInfo("UTC")).tzinfo is UTC

    def test_an_hour_that_the_clock_skips_is_some_moment(self):
        assert in_zone(naive(2026, 3, 29, 2, 30), ZoneInfo("Europe/Berlin")) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


class TestAnyText:
    @given(text=st.text() | st.from_regex(r"\s?[\d]{1,9}[/.]\w{1,4}[/.]\d{1,5}( \d{1,3}:\d\d(:\d\d)?( ?[ap]m)?)?\s?"))
    @hypothesis_settings(UNHURRIED, max_examples=500)
    def test_is_a_moment_that_can_be_stored_or_none(self, text):
        for date_format in DateFormat:
            moment = parse_moment(text, date_format)
            assert moment is None or in_zone(moment, ZoneInfo("Pacific/Kiritimati")).tzinfo is UTC
