from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.models.daily_log.task_log import LogRun, LogSource
from app.services.health.checks import OVERDUE_AFTER, CheckName
from tests.services.health.checking import wrong_with

DAY = date(2026, 3, 9)
END_OF_DAY = datetime(2026, 3, 10, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


class TestLoggedUntil:
    def test_is_none_before_the_first_day(self, service):
        assert service.measure().work.logged_until is None

    def test_is_the_end_of_the_newest_day_that_is_logged_for_good(self, service, log_run):
        log_run(DAY, is_final=True)
        log_run(DAY - timedelta(days=1), is_final=True)
        log_run(DAY + timedelta(days=1), is_final=False)

        assert service.measure().work.logged_until == datetime(2026, 3, 10, tzinfo=UTC)

    def test_is_none_while_the_only_day_lasts(self, service, log_run):
        log_run(DAY, is_final=False)

        assert service.measure().work.logged_until is None

    @pytest.mark.parametrize(
        ("zone", "day", "end"),
        [
            ("Pacific/Auckland", date(2026, 3, 9), datetime(2026, 3, 9, 11, tzinfo=UTC)),
            ("America/New_York", date(2026, 1, 31), datetime(2026, 2, 1, 5, tzinfo=UTC)),
            # Days of 23 and of 25 hours.
            ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),
            ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 25, 23, tzinfo=UTC)),
        ],
    )
    def test_is_a_midnight_of_the_zone_that_the_day_was_logged_in(self, service, log_run, zone, day, end):
        log_run(day - timedelta(days=1), is_final=True)
        log_run(day, is_final=True, time_zone=zone)

        assert service.measure().work.logged_until == end


class TestDailyLog:
    """The record begins on the 9th."""

    @pytest.fixture(autouse=True)
    def everybody_is_at_work(self, everybody_at_work):
        pass

    def test_without_a_task_no_day_is_missed(self, service, clock):
        clock.now = END_OF_DAY + timedelta(days=300)

        assert wrong_with(service) == {}
        assert service.measure().work.overdue_days == 0

    @pytest.mark.usefixtures("first_task")
    def test_a_day_is_given_an_hour_after_its_end(self, service, clock):
        clock.now = END_OF_DAY + OVERDUE_AFTER

        assert wrong_with(service) == {}

    @pytest.mark.usefixtures("first_task")
    def test_a_day_that_is_not_logged_by_then_is_named(self, service, clock):
        clock.now = END_OF_DAY + OVERDUE_AFTER + INSTANT

        assert wrong_with(service) == {CheckName.DAILY_LOG: "2026-03-09 is over and has not been logged"}
        assert service.measure().work.overdue_days == 1

    @pytest.mark.usefixtures("first_task")
    def test_one_that_was_logged_while_it_lasted_is_not_logged_yet(self, service, clock, log_run):
        clock.now = END_OF_DAY + timedelta(hours=2)
        log_run(DAY, is_final=False)

        assert set(wrong_with(service)) == {CheckName.DAILY_LOG}

    @pytest.mark.usefixtures("first_task")
    def test_a_day_among_others_that_were_logged_is_found(self, service, clock, log_run):
        clock.now = END_OF_DAY + timedelta(days=4)
        for number in (0, 2, 4):
            log_run(DAY + timedelta(days=number), is_final=True)

        assert wrong_with(service) == {
            CheckName.DAILY_LOG: "2 days are over and have not been logged, the first of them 2026-03-10"
        }

    @pytest.mark.usefixtures("first_task")
    def test_it_is_right_again_once_all_are_logged(self, service, services, clock):
        clock.now = END_OF_DAY + timedelta(days=4)
        services.daily_log.log_due_days()

        assert wrong_with(service) == {}

    def test_a_day_that_the_zone_left_out_is_not_missed(self, service_with, clock, factories, log_run):
        """Samoa had no 30th of December 2011."""
        factories.Task(revised_at=datetime(2011, 12, 29, 12, tzinfo=UTC))
        clock.now = datetime(2012, 1, 1, 0, tzinfo=UTC)
        for number in (29, 31):
            log_run(date(2011, 12, number), is_final=True)

        assert wrong_with(service_with(time_zone=ZoneInfo("Pacific/Apia"))) == {}

    @pytest.fixture
    def first_task(self, factories):
        return factories.Task(revised_at=END_OF_DAY - timedelta(hours=12))


@pytest.fixture
def log_run(session):
    def make(day, *, is_final, time_zone="UTC"):
        moment = datetime.combine(day, datetime.min.time(), tzinfo=UTC)
        session.add(
            LogRun(
                log_date=day,
                time_zone=time_zone,
                started_at=moment,
                finished_at=moment,
                task_count=1,
                source=LogSource.SCHEDULED,
                is_final=is_final,
            )
        )
        session.flush()

    return make
