from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.clock import in_zone
from app.csv_files.moments import parse_moment
from tests.unhurried import UNHURRIED

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class TestNamedMonth:
    @pytest.mark.parametrize(("number", "name"), [*enumerate(MONTHS, 1)])
    def test_is_told_by_three_letters_in_any_case(self, number, name):
        expected = naive(2026, number, 5)

        assert parse_moment(f"05/{name}/2026") == parse_moment(f"5/{name.upper()}/26") == expected
        assert parse_moment(f"05.{name.lower()}.26", is_day_first=True) == expected

    @pytest.mark.parametrize("words", ["05/Mai/26", "31/Apr/26", "Mar/05/26", "05/March/26", "0/Mar/26", "05-Mar-26"])
    def test_no_such_day(self, words):
        assert parse_moment(words) is None

    @pytest.mark.parametrize("words", ["05/Mar/126", "05/Mar/6", "05/Mar/02026", "05/Mar/", "05/Mar"])
    def test_the_year_has_two_digits_or_four(self, words):
        assert parse_moment(words) is None


class TestTimeOfDay:
    @pytest.mark.parametrize(
        ("words", "hour", "minute"),
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
    def test_is_read_with_and_without_halves_of_the_day(self, words, hour, minute):
        assert parse_moment(f"3/9/2026 {words}") == naive(2026, 3, 9, hour, minute)

    def test_seconds_may_follow(self):
        assert parse_moment("3/9/2026 1:02:03 PM") == naive(2026, 3, 9, 13, 2, 3)

    @pytest.mark.parametrize(
        "words", ["0:30 AM", "13:00 PM", "24:00", "12:60", "1:5", "5 PM", "1:00:60", "1:00 XM", "1:00 P", "1:00 PM x"]
    )
    def test_one_that_no_clock_shows_is_none(self, words):
        assert parse_moment(f"3/9/2026 {words}") is None


class TestDayFirst:
    def test_decides_which_of_two_numbers_is_the_month(self):
        assert parse_moment("3/9/2026") == naive(2026, 3, 9)
        assert parse_moment("3/9/2026", is_day_first=True) == naive(2026, 9, 3)

    def test_is_needed_for_dots(self):
        assert parse_moment("3.9.2026") is None
        assert parse_moment("3.9.2026", is_day_first=True) == naive(2026, 9, 3)

    @pytest.mark.parametrize("is_day_first", [True, False])
    def test_does_not_matter_where_the_year_comes_first(self, is_day_first):
        assert parse_moment("2026-03-09", is_day_first=is_day_first) == naive(2026, 3, 9)

    @pytest.mark.parametrize("is_day_first", [True, False])
    @pytest.mark.parametrize("words", ["3/9.2026", "3.9/2026", "3/9/26", "3-9-2026", "2026/3/9", "3 / 9 / 2026"])
    def test_what_could_be_anything_is_none(self, words, is_day_first):
        assert parse_moment(words, is_day_first=is_day_first) is None


class TestYear:
    @pytest.mark.parametrize("words", ["0001-12-31", "9999-01-01", "12/31/0001", "1/1/9999", "0000-01-01", "1/1/0000"])
    def test_one_whose_days_an_offset_could_lead_out_of_is_none(self, words):
        assert parse_moment(words) is None

    @pytest.mark.parametrize("words", ["0002-01-01T00:00:00+23:59", "9998-12-31T23:59:59-23:59"])
    def test_the_outermost_ones_can_be_kept_with_any_offset(self, words):
        moment = in_zone(parse_moment(words), ZoneInfo("UTC"))

        assert moment.year in {1, 2, 9998, 9999}


class TestInZone:
    def test_without_an_offset_the_zone_is_meant(self):
        assert in_zone(naive(2026, 7, 1), ZoneInfo("Europe/Berlin")) == datetime(2026, 6, 30, 22, tzinfo=UTC)

    def test_an_offset_of_its_own_counts(self):
        noon = datetime(2026, 7, 1, 12, tzinfo=UTC)

        assert in_zone(noon, ZoneInfo("Europe/Berlin")) == noon

    def test_is_told_in_utc(self):
        assert in_zone(datetime.fromisoformat("2026-07-01T00:00:00+14:00"), ZoneInfo("UTC")).tzinfo is UTC

    def test_an_hour_that_a_clock_skips_is_kept_as_some_moment(self):
        assert in_zone(naive(2026, 3, 29, 2, 30), ZoneInfo("Europe/Berlin")) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


class TestAnyWords:
    @given(words=st.text() | st.from_regex(r"\s?[\d]{1,9}[/.]\w{1,4}[/.]\d{1,5}( \d{1,3}:\d\d(:\d\d)?( ?[ap]m)?)?\s?"))
    @hypothesis_settings(UNHURRIED, max_examples=500)
    def test_are_a_moment_that_can_be_kept_or_none(self, words):
        for is_day_first in (True, False):
            moment = parse_moment(words, is_day_first=is_day_first)
            assert moment is None or in_zone(moment, ZoneInfo("Pacific/Kiritimati")).tzinfo is UTC


def naive(*parts):
    return datetime(*parts)  # noqa: DTZ001 - as words without an offset are read
