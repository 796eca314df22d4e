"""The tasks of a project are not logged for the days at whose end it was archived, and no other day changes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from app.models.projects.project import ProjectArchival
from tests.services.daily_log.days.march import LONG_AGO, NOON, TODAY, days_of_march, log_today, logged, task_since

pytestmark = pytest.mark.usefixtures("factories", "clock")


class TestArchivedProject:
    def test_missed_days_are_filled_in_as_they_were(self, service, projects, boss, session, clock, ops):
        task, other = task_since(LONG_AGO, project_id=ops.id), task_since(LONG_AGO)
        for day, act in ((4, projects.archive), (6, projects.restore), (7, projects.archive), (7, projects.restore)):
            clock.now = datetime(2026, 3, day, 12, tzinfo=UTC) + timedelta(minutes=act == projects.restore)
            act(boss, "OPS")
        clock.now = NOON

        service.log_due_days()

        with_task = [day for day in days_of_march(1, 9) if task.id in logged(session, day)]
        assert with_task == [*days_of_march(1, 3), *days_of_march(6, 9)]
        assert all(other.id in logged(session, day) for day in days_of_march(1, 9))

    def test_days_that_are_logged_stay_as_they_are(self, service, projects, boss, session, ops):
        task = task_since(LONG_AGO, project_id=ops.id)
        service.log_due_days()

        projects.archive(boss, "OPS")
        service.log_due_days()

        assert all(task.id in logged(session, day) for day in days_of_march(1, 9))

    def test_today_is_logged_without_them_from_then_on(self, service, projects, boss, session, ops):
        task = task_since(LONG_AGO, project_id=ops.id)
        log_today(service, boss)
        assert task.id in logged(session, TODAY)

        projects.archive(boss, "OPS")
        log_today(service, boss)
        assert task.id not in logged(session, TODAY)

        projects.restore(boss, "OPS")
        log_today(service, boss)
        assert task.id in logged(session, TODAY)

    def test_archiving_never_reaches_into_a_closed_day(self, service, projects, boss, session, clock, ops):
        """As when the clock of the database was set back after midnight."""
        task_since(LONG_AGO)
        service.log_due_days()
        clock.now = datetime(2026, 3, 9, 12, tzinfo=UTC)

        projects.archive(boss, "OPS")

        assert session.scalars(select(ProjectArchival.archived_at)).all() == [
            datetime.combine(date(2026, 3, 10), datetime.min.time(), UTC)
        ]


@pytest.fixture
def projects(services):
    return services.projects
