from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.models.daily_log.task_log import LogRun, LogSource
from app.services.health.checks import OVERDUE_AFTER, CheckName
from tests.services.health.checking import failed_checks

DAY = date(2026, 3, 9)
END_OF_DAY = datetime(2026, 3, 10, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


class TestLoggedUntil:
    def test_is_none_before_the_first_day(self, service):
        assert service.measure().work.logged_until is None

    def test_is_the_end_of_the_newest_closed_day(self, service, log_run):
        log_run(DAY, is_final=True)
        log_run(DAY - timedelta(days=1), is_final=True)
        log_run(DAY + timedelta(days=1), is_final=False)

        assert service.measure().work.logged_until == datetime(2026, 3, 10, tzinfo=UTC)

    def test_is_none_during_the_only_day(self, service, log_run):
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
    def test_is_a_midnight_in_the_zone_of_the_days_run(self, service, log_run, zone, day, end):
        log_run(day - timedelta(days=1), is_final=True)
        log_run(day, is_final=True, time_zone=zone)

        assert service.measure().work.logged_until == end


class TestDailyLog:
    """The first task came on the 9th, so the daily log begins there."""

    @pytest.fixture(autouse=True)
    def all_processes_are_seen(self, all_processes_seen):
        pass

    def test_no_day_is_missing_before_the_first_task(self, service, clock):
        clock.now = END_OF_DAY + timedelta(days=300)

        assert failed_checks(service) == {}
        assert service.measure().work.overdue_days == 0

    @pytest.mark.usefixtures("first_task")
    def test_a_day_is_not_missing_for_an_hour_after_its_end(self, service, clock):
        clock.now = END_OF_DAY + OVERDUE_AFTER

        assert failed_checks(service) == {}

    @pytest.mark.usefixtures("first_task")
    def test_a_missing_day_is_reported_after_that_hour(self, service, clock):
        clock.now = END_OF_DAY + OVERDUE_AFTER + INSTANT

        assert failed_checks(service) == {CheckName.DAILY_LOG: "2026-03-09 is over and has not been logged"}
        assert service.measure().work.overdue_days == 1

    @pytest.mark.usefixtures("first_task")
    def test_a_day_that_was_logged_while_it_lasted_is_still_missing(self, service, clock, log_run):
        clock.now = END_OF_DAY + timedelta(hours=2)
        log_run(DAY, is_final=False)

        assert set(failed_checks(service)) == {CheckName.DAILY_LOG}

    @pytest.mark.usefixtures("first_task")
    def test_a_missing_day_between_logged_days_is_found(self, service, clock, log_run):
        clock.now = END_OF_DAY + timedelta(days=4)
        for number in (0, 2, 4):
            log_run(DAY + timedelta(days=number), is_final=True)

        assert failed_checks(service) == {
            CheckName.DAILY_LOG: "2 days are over and have not been logged, the first of them 2026-03-10"
        }

    @pytest.mark.usefixtures("first_task")
    def test_passes_again_once_all_days_are_logged(self, service, services, clock):
        clock.now = END_OF_DAY + timedelta(days=4)
        services.daily_log.log_due_days()

        assert failed_checks(service) == {}

    def test_a_day_that_the_zone_skipped_is_not_missing(self, service_with, clock, factories, log_run):
        """Samoa had no 30 December 2011."""
        factories.Task(revised_at=datetime(2011, 12, 29, 12, tzinfo=UTC))
        clock.now = datetime(2012, 1, 1, 0, tzinfo=UTC)
        for number in (29, 31):
            log_run(date(2011, 12, number), is_final=True)

        assert failed_checks(service_with(time_zone=ZoneInfo("Pacific/Apia"))) == {}

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
