from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import written_deadline
from app.models.imports.task_import import DateFormat
from tests.csv_files.reading_cells import read, refusal
from tests.unhurried import UNHURRIED

FIRST_MOMENT, LAST_MOMENT = (datetime.fromisoformat(text) for text in ("0002-01-01", "9998-12-31T23:59:59.999999"))
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Pacific/Kiritimati", "America/St_Johns"]


class TestMoment:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("3/9/2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("12/31/2026", datetime(2026, 12, 31, tzinfo=UTC)),
            ("03/09/2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("2/29/2028", datetime(2028, 2, 29, tzinfo=UTC)),
            ("3/9/2026 9:05", datetime(2026, 3, 9, 9, 5, tzinfo=UTC)),
            ("3/9/2026 17:05:30", datetime(2026, 3, 9, 17, 5, 30, tzinfo=UTC)),
            ("3/9/2026 5:05 PM", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09", datetime(2026, 3, 9, tzinfo=UTC)),
            ("2026-03-09 17:05", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09T17:05:00Z", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09T17:05:00.000Z", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09T17:05:00-05:00", datetime(2026, 3, 9, 22, 5, tzinfo=UTC)),
            ("05/Mar/26 2:15 PM", datetime(2026, 3, 5, 14, 15, tzinfo=UTC)),
            ("05/Mar/26", datetime(2026, 3, 5, tzinfo=UTC)),
        ],
    )
    def test_is_read_in_the_formats_of_people_and_trackers(self, text, expected):
        assert read("created_at", text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("9.3.2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("9/3/2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("31.12.2026 17:05", datetime(2026, 12, 31, 17, 5, tzinfo=UTC)),
            ("29.02.2028", datetime(2028, 2, 29, tzinfo=UTC)),
            ("2026-03-09", datetime(2026, 3, 9, tzinfo=UTC)),
            ("05/Mar/26 2:15 PM", datetime(2026, 3, 5, 14, 15, tzinfo=UTC)),
        ],
    )
    def test_the_day_may_come_first(self, text, expected):
        assert read("created_at", text, date_format=DateFormat.DAY_FIRST) == expected

    def test_an_empty_cell_means_no_date(self):
        assert read("due_at", "") is None

    def test_a_date_without_a_time_means_midnight_in_the_workspaces_zone(self):
        assert read("created_at", "7/1/2026", zone="Europe/Berlin") == datetime(2026, 6, 30, 22, tzinfo=UTC)

    def test_its_own_offset_counts(self):
        assert read("due_at", "2026-07-01T00:00:00Z", zone="Europe/Berlin") == datetime(2026, 7, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        "text",
        [
            "2/30/2026",
            "2/29/2026",
            "13/1/2026",
            "0/1/2026",
            "1/0/2026",
            "31/12/2026",
            "31.02.2026",
            "9.3.2026",
            "3/9/26",
            "3/9",
            "3/9/02026",
            "2026-02-30",
            "2026-13-01",
            "yesterday",
            "45000",
            "3/9/2026 25:00",
            "3/9/2026 5 pm",
            "3/9/2026 17:05+05:00",
            "-3/9/2026",
            "٣/٩/٢٠٢٦",
            "9" * 6000 + "/1/2026",
            "0001-01-01",
            "1/1/0001",
            "9999-12-31",
            "12/31/9999",
            "0001-01-01T00:00+14:00",
            "9999-12-31T23:59-14:00",
        ],
        ids=lambda text: ascii(text)[:30],
    )
    def test_a_date_that_does_not_exist_or_cannot_be_stored_is_refused(self, text):
        advice = "set date_format=day_first, or write" if text in {"13/1/2026", "31/12/2026", "9.3.2026"} else "write"
        expected = f"{text[:200]!r} is not a date; {advice} YYYY-MM-DD or M/D/YYYY"

        assert refusal("due_at", text) == refusal("created_at", text) == expected

    @pytest.mark.parametrize("text", ["31.02.2026", "29.2.2026", "1.13.2026", "9.3.26"])
    def test_a_date_that_does_not_exist_is_refused_with_the_day_first(self, text):
        reason = refusal("due_at", text, date_format=DateFormat.DAY_FIRST)

        assert reason == f"{text!r} is not a date; write YYYY-MM-DD or D.M.YYYY"

    @pytest.mark.parametrize(
        ("text", "date_format", "advice"),
        [
            ("9.3.2026", DateFormat.US, "set date_format=day_first, or write YYYY-MM-DD or M/D/YYYY"),
            ("12/31/2026", DateFormat.DAY_FIRST, "set date_format=us, or write YYYY-MM-DD or D.M.YYYY"),
            ("2026.03.09", DateFormat.DAY_FIRST, "set date_format=year_first, or write YYYY-MM-DD or D.M.YYYY"),
            ("3/9/2026", DateFormat.ISO, "set date_format=us or day_first, or write YYYY-MM-DD"),
            ("March 9, 2026", DateFormat.US, "set date_format=month_name, or write YYYY-MM-DD or M/D/YYYY"),
            ("9.3.2026", DateFormat.JIRA, "set date_format=day_first, or write YYYY-MM-DD or D/Mon/YY"),
        ],
    )
    def test_a_refusal_says_which_option_would_read_the_date(self, text, date_format, advice):
        expected = f"{text!r} is not a date; {advice}"

        assert refusal("due_at", text, date_format=date_format) == expected
        assert refusal("created_at", text, date_format=date_format) == expected

    @given(day=st.dates(date(2, 1, 1), date(9998, 12, 31)), date_format=st.sampled_from(DateFormat))
    @UNHURRIED
    def test_every_day_is_read_in_each_format(self, day, date_format):
        year, month = f"{day.year:04}", MONTHS[day.month - 1]
        written = {
            DateFormat.US: f"{day.month}/{day.day}/{year}",
            DateFormat.DAY_FIRST: f"{day.day}.{day.month:02}.{year}",
            DateFormat.YEAR_FIRST: f"{year}/{day.month:02}/{day.day}",
            DateFormat.ISO: day.isoformat(),
            DateFormat.JIRA: f"{day.day:02}/{month[:3]}/{year}",
            DateFormat.MONTH_NAME: f"{month} {day.day}, {year}",
        }
        expected = datetime(day.year, day.month, day.day, tzinfo=UTC)

        assert read("created_at", day.isoformat(), date_format=date_format) == expected
        assert read("created_at", written[date_format], date_format=date_format) == expected

    @given(moment=st.datetimes(FIRST_MOMENT, LAST_MOMENT, timezones=st.just(UTC)))
    @UNHURRIED
    def test_every_moment_reads_back_as_we_wrote_it(self, moment):
        assert read("due_at", moment.isoformat(), zone="Europe/Berlin") == moment


class TestDeadline:
    """The test of moments has the formats."""

    @pytest.mark.parametrize(
        ("text", "zone", "expected"),
        [
            ("2026-03-09", "UTC", datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)),
            ("3/9/2026", "UTC", datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)),
            ("9/Mar/26", "UTC", datetime(2026, 3, 9, 23, 59, 59, tzinfo=UTC)),
            ("7/1/2026", "Europe/Berlin", datetime(2026, 7, 1, 21, 59, 59, tzinfo=UTC)),
            # The day has 23 hours, then 25.
            ("2026-03-29", "Europe/Berlin", datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC)),
            ("2026-10-25", "Europe/Berlin", datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)),
            # The next day begins at one o'clock: its midnight is skipped.
            ("2018-11-03", "America/Sao_Paulo", datetime(2018, 11, 4, 2, 59, 59, tzinfo=UTC)),
            # The last hour of the day is repeated.
            ("2018-02-17", "America/Sao_Paulo", datetime(2018, 2, 18, 2, 59, 59, tzinfo=UTC)),
        ],
    )
    def test_a_date_without_a_time_means_the_end_of_the_day_in_the_workspaces_zone(self, text, zone, expected):
        assert read("due_at", text, zone=zone) == expected

    @pytest.mark.parametrize("text", ["2026-03-09 00:00", "2026-03-09T00:00:00", "3/9/2026 0:00", "3/9/2026 12:00 AM"])
    def test_midnight_that_is_written_is_midnight(self, text):
        assert read("due_at", text) == datetime(2026, 3, 9, tzinfo=UTC)

    @given(day=st.dates(date(2, 1, 1), date(9998, 12, 31)), zone=st.sampled_from(ZONES))
    @UNHURRIED
    def test_the_end_of_any_day_in_any_zone_is_written_as_that_day(self, day, zone):
        deadline = read("due_at", day.isoformat(), zone=zone)

        written = written_deadline(deadline, ZoneInfo(zone))
        assert read("due_at", written.isoformat(), zone=zone) == deadline
        assert not isinstance(written, datetime)
