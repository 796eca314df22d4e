from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from app.models.daily_log.task_log import LogRun
from app.models.tasks.fields import TaskStatus
from tests import factories as all_factories
from tests.services.daily_log.days.march import INSTANT, TODAY, YESTERDAY, end_task, logged, logged_tasks, task_since

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestZone:
    def test_decides_which_day_is_today(self, service_in, manager, clock):
        clock.now = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)

        assert service_in("UTC").request_day(manager, None).log_date == date(2026, 3, 9)
        assert service_in("Europe/Berlin").request_day(manager, None).log_date == date(2026, 3, 10)
        assert service_in("America/New_York").request_day(manager, None).log_date == date(2026, 3, 9)

    @pytest.mark.parametrize(
        ("zone", "day", "last_instant"),
        [
            # This day had 23 hours, because clocks went forward in the night before.
            ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 29, 22, tzinfo=UTC)),
            ("Europe/Berlin", date(2026, 3, 28), datetime(2026, 3, 28, 23, tzinfo=UTC)),
            # This day had 25 hours, because clocks went back.
            ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 25, 23, tzinfo=UTC)),
            ("Europe/Berlin", date(2026, 10, 24), datetime(2026, 10, 24, 22, tzinfo=UTC)),
            # The first midnight of summer time does not exist there.
            ("Africa/Cairo", date(2026, 4, 23), datetime(2026, 4, 23, 22, tzinfo=UTC)),
            # The hour before midnight comes twice.
            ("Asia/Beirut", date(2026, 10, 24), datetime(2026, 10, 24, 22, tzinfo=UTC)),
            ("Pacific/Apia", date(2026, 3, 9), datetime(2026, 3, 9, 11, tzinfo=UTC)),
            ("Asia/Kathmandu", date(2026, 3, 9), datetime(2026, 3, 9, 18, 15, tzinfo=UTC)),
            ("Pacific/Niue", date(2026, 3, 9), datetime(2026, 3, 10, 11, tzinfo=UTC)),
        ],
    )
    def test_decides_when_a_day_ends(self, service_in, session, clock, zone, day, last_instant):
        service = service_in(zone)
        just_before = last_instant - INSTANT
        clock.now = last_instant - timedelta(hours=2)
        active, ended = all_factories.Task(), all_factories.Task()

        clock.now = just_before
        new = all_factories.Task()
        end_task(session, ended, TaskStatus.DONE, at=just_before)
        assert service.log_due_days() == []
        clock.now = last_instant
        all_factories.Task()
        end_task(session, active, TaskStatus.DONE, at=last_instant)
        assert service.log_due_days() == [day]

        assert set(logged(session, day)) == {active.id, new.id}
        run = session.get_one(LogRun, day)
        assert (run.time_zone, run.is_final) == (zone, True)

    def test_every_day_around_a_change_of_clocks_is_closed_once(self, service_in, clock):
        service = service_in("Europe/Berlin")
        task_since(datetime(2026, 10, 22, 22, tzinfo=UTC))
        clock.now = datetime(2026, 10, 23, 22, tzinfo=UTC)

        days = []
        for _ in range(5 * 24 * 2):
            days += service.log_due_days()
            clock.advance(minutes=30)

        assert days == [date(2026, 10, day) for day in range(23, 28)]

    @pytest.mark.parametrize("hours", [1, 5 * 24], ids=["as they come", "all at once"])
    def test_a_skipped_day_is_not_logged_and_the_day_before_it_is(self, service_in, clock, hours):
        """Samoa skipped from the 29th to the 31st of December 2011."""
        service = service_in("Pacific/Apia")
        task_since(datetime(2011, 12, 27, 12, tzinfo=UTC))
        clock.now = datetime(2011, 12, 28, 12, tzinfo=UTC)

        days = []
        for _ in range(5 * 24 // hours):
            clock.advance(hours=hours)
            days += service.log_due_days()

        assert days == [
            date(2011, 12, 27),
            date(2011, 12, 28),
            date(2011, 12, 29),
            date(2011, 12, 31),
            date(2012, 1, 1),
            date(2012, 1, 2),
        ]

    def test_each_run_stores_its_zone(self, service_in, task, session, clock):
        service_in("UTC").log_due_days()
        clock.advance(days=1)
        service_in("America/New_York").log_due_days()
        clock.advance(days=1)
        service_in("Asia/Tokyo").log_due_days()

        zones = dict(session.execute(select(LogRun.log_date, LogRun.time_zone)).all())
        assert zones == {
            YESTERDAY: "UTC",
            TODAY: "America/New_York",
            TODAY + timedelta(days=1): "Asia/Tokyo",
        }

    def test_no_closed_day_is_rewritten_in_another_zone(self, service_in, task, session, clock):
        service_in("UTC").log_due_days()
        before = logged_tasks(session, YESTERDAY)
        task.title = "Renamed"
        session.flush()

        for zone in ("Pacific/Kiritimati", "Pacific/Niue", "UTC"):
            assert YESTERDAY not in service_in(zone).log_due_days()

        assert logged_tasks(session, YESTERDAY) == before
