from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.models.tasks.recurrence import MAX_RULE_LENGTH, RuleError, next_date, normalised
from tests.unhurried import UNHURRIED

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class TestNormalised:
    @pytest.mark.parametrize(
        ("written", "stored"),
        [
            ("freq=daily", "FREQ=DAILY"),
            ("RRULE:FREQ=WEEKLY;BYDAY=MO,WE;INTERVAL=1", "FREQ=WEEKLY;BYDAY=MO,WE"),
            (" byday=fr ; freq=weekly; interval=2 ", "FREQ=WEEKLY;INTERVAL=2;BYDAY=FR"),
            ("FREQ=MONTHLY;BYDAY=+1MO", "FREQ=MONTHLY;BYDAY=1MO"),
            ("FREQ=MONTHLY;BYMONTHDAY=31,-1,31", "FREQ=MONTHLY;BYMONTHDAY=-1,31"),
            ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=3;", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=3"),
            ("FREQ=DAILY;UNTIL=20261231T170000Z", "FREQ=DAILY;UNTIL=20261231T170000Z"),
        ],
    )
    def test_is_one_form_for_one_rule(self, written, stored):
        assert normalised(written) == stored
        assert normalised(stored) == stored

    @pytest.mark.parametrize(
        ("rule", "reason"),
        [
            ("", "is not a recurrence rule"),
            ("every monday", "is not a recurrence rule"),
            ("FREQ=DAILY;FREQ=DAILY", "is not a recurrence rule"),
            ("FREQ=DAILY;BYHOUR=1", "is not a recurrence rule"),
            ("INTERVAL=2", "names no FREQ"),
            ("FREQ=HOURLY", "has another FREQ"),
            ("FREQ=DAILY;INTERVAL=0", "has a INTERVAL outside 1 to 999"),
            ("FREQ=DAILY;INTERVAL=1000", "has a INTERVAL outside 1 to 999"),
            ("FREQ=DAILY;COUNT=-1", "has a COUNT outside 1 to 9999"),
            ("FREQ=DAILY;COUNT=1;UNTIL=20261231", "has both COUNT and UNTIL"),
            ("FREQ=DAILY;UNTIL=20261331", "has an UNTIL that is no date"),
            ("FREQ=DAILY;UNTIL=20261231T170000", "has an UNTIL that is no date"),
            ("FREQ=DAILY;BYDAY=MO", "cannot have BYDAY with FREQ=DAILY"),
            ("FREQ=WEEKLY;BYDAY=1MO", "numbers a day of the week"),
            ("FREQ=WEEKLY;BYDAY=XX", "has a BYDAY that is no day"),
            ("FREQ=MONTHLY;BYDAY=5MO", "has a BYDAY that is no day"),
            ("FREQ=MONTHLY;BYDAY=1MO,TU", "numbers some days of the week"),
            ("FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=1", "has both BYDAY and BYMONTHDAY"),
            ("FREQ=MONTHLY;BYMONTHDAY=0", "has a BYMONTHDAY outside -31 to 31"),
            ("FREQ=MONTHLY;BYSETPOS=1", "has BYSETPOS, which needs BYDAY"),
            ("FREQ=YEARLY;BYMONTHDAY=1", "has BYMONTHDAY, which needs BYMONTH"),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "names a day that the month does not have"),
            ("FREQ=YEARLY;BYDAY=MO", "has BYDAY, which needs a number"),
            ("FREQ=DAILY;COUNT=१", "has a COUNT outside"),
            ("FREQ=DAILY;" + ";" * MAX_RULE_LENGTH, "has more than 200 characters"),
        ],
    )
    def test_what_is_not_understood_is_refused_with_the_reason(self, rule, reason):
        with pytest.raises(RuleError, match=reason):
            normalised(rule)


class TestNextDate:
    @pytest.mark.parametrize(
        ("rule", "following"),
        [
            ("FREQ=DAILY", "2026-03-28T17:00+01:00"),
            ("FREQ=DAILY;INTERVAL=2", "2026-03-29T17:00+02:00"),
            ("FREQ=WEEKLY;BYDAY=MO,WE", "2026-03-30T17:00+02:00"),
            ("FREQ=MONTHLY", "2026-04-27T17:00+02:00"),
            ("FREQ=MONTHLY;BYMONTHDAY=-1", "2026-03-31T17:00+02:00"),
            ("FREQ=MONTHLY;BYDAY=-1FR", "2026-04-24T17:00+02:00"),
            ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", "2026-04-01T17:00+02:00"),
            ("FREQ=YEARLY", "2027-03-27T17:00+01:00"),
            ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2028-02-29T17:00+01:00"),
            ("FREQ=YEARLY;BYMONTH=5;BYDAY=1MO", "2026-05-04T17:00+02:00"),
        ],
    )
    def test_keeps_the_time_of_day_across_the_change_of_clocks(self, rule, following):
        due_at = datetime.fromisoformat("2026-03-27T17:00+01:00")

        assert after(rule, due_at) == (datetime.fromisoformat(following), rule)

    def test_a_day_stays_a_day(self):
        due_at = datetime(2026, 3, 28, 23, 59, 59, tzinfo=BERLIN)

        assert after("FREQ=DAILY", due_at)[0] == datetime(2026, 3, 29, 23, 59, 59, tzinfo=BERLIN)

    def test_a_month_without_the_day_is_left_out(self):
        due_at = datetime(2026, 1, 31, 9, tzinfo=BERLIN)

        assert after("FREQ=MONTHLY", due_at)[0] == datetime(2026, 3, 31, 9, tzinfo=BERLIN)

    def test_dates_that_have_passed_are_left_out_and_count(self):
        due_at = datetime(2026, 3, 2, 9, tzinfo=BERLIN)

        assert after("FREQ=DAILY;COUNT=5", due_at, now=due_at + timedelta(days=2, hours=1)) == (
            datetime(2026, 3, 5, 9, tzinfo=BERLIN),
            "FREQ=DAILY;COUNT=2",
        )
        assert after("FREQ=DAILY;COUNT=3", due_at, now=due_at + timedelta(days=2, hours=1)) is None

    @pytest.mark.parametrize("until", ["20260303", "20260303T080000Z"])
    def test_the_end_is_included(self, until):
        rule, due_at = f"FREQ=DAILY;UNTIL={until}", datetime(2026, 3, 2, 9, tzinfo=BERLIN)

        assert after(rule, due_at) == (datetime(2026, 3, 3, 9, tzinfo=BERLIN), rule)
        assert after(rule, due_at + timedelta(days=1)) is None

    def test_ends_with_the_years_that_can_be_kept(self):
        assert after("FREQ=YEARLY;INTERVAL=999", datetime(9500, 1, 1, tzinfo=BERLIN)) is None

    @given(
        day=st.dates(date(2020, 1, 1), date(2030, 12, 31)),
        days=st.sets(st.sampled_from(DAYS), min_size=1),
        interval=st.integers(1, 5),
        zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia"]),
    )
    @hypothesis_settings(UNHURRIED, max_examples=200)
    def test_weeks_are_those_of_a_calendar(self, day, days, interval, zone):
        """The model walks through a calendar, day by day."""
        rule = normalised(f"FREQ=WEEKLY;INTERVAL={interval};BYDAY={','.join(sorted(days, key=DAYS.index))}")
        local = ZoneInfo(zone)
        due_at = datetime.combine(day, time(12), local)

        following, _rule = after(rule, due_at, zone=local)

        monday = day - timedelta(days=day.weekday())
        candidate = day + timedelta(days=1)
        while DAYS[candidate.weekday()] not in days or ((candidate - monday).days // 7) % interval:
            candidate += timedelta(days=1)
        assert following.astimezone(local).date() == candidate

    @given(
        rule=st.sampled_from(
            ["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SU", "FREQ=MONTHLY", "FREQ=MONTHLY;BYDAY=2TU", "FREQ=YEARLY"]
        ),
        count=st.integers(1, 12),
        late_days=st.integers(0, 40),
    )
    @hypothesis_settings(UNHURRIED, max_examples=100)
    def test_a_count_is_used_up_whoever_is_late(self, rule, count, late_days):
        due_at, written, dates = datetime(2026, 1, 6, 9, tzinfo=BERLIN), f"{rule};COUNT={count}", []
        while True:
            dates.append(due_at)
            following = after(written, due_at, now=due_at + timedelta(days=late_days))
            if following is None:
                break
            assert following[0] > due_at + timedelta(days=late_days)
            due_at, written = following

        assert len(dates) <= count
        assume(late_days == 0)
        assert len(dates) == count


def after(rule, due_at, *, now=None, zone=BERLIN):
    following = next_date(rule, due_at=due_at, now=now or due_at, zone=zone)
    if following is None:
        return None
    assert following.due_at.tzinfo is UTC
    return following.due_at, following.rule
