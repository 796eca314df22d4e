"""Half a million active tasks, more than the number at which plans change: every job ends, and ends again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.composition.resources import Resources
from app.composition.services import serving
from app.database.engine import JOB_TIMEOUTS
from app.models.daily_log.task_log import LogRun
from tests import servers
from tests.conftest import simulate_clock
from tests.fakes import FakeJobQueue, FixedClock

TASK_COUNT = 475_000
TENTH = TASK_COUNT // 10
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ADD_TASKS = """
    INSERT INTO tasks (project_id, number, position, title, status, priority, creator_id)
    SELECT 1, n, n, 'Task ' || n, 'todo', 'medium', 1 FROM generate_series(1, :count) AS n
"""

pytestmark = pytest.mark.deep


class TestDailyLog:
    def test_a_day_is_logged_repeatedly_and_then_closed(self, tracker):
        assert tracker.log_today() == TASK_COUNT
        first_ids = tracker.ids_of_rows()

        assert tracker.log_today() == TASK_COUNT
        assert tracker.ids_of_rows() == first_ids

        tracker.execute("UPDATE tasks SET deleted_at = now() WHERE number % 10 = 3")
        assert tracker.log_today() == TASK_COUNT - TENTH
        tracker.execute("UPDATE tasks SET title = title || '!' WHERE number % 10 = 4")
        assert tracker.log_today() == TASK_COUNT - TENTH
        assert tracker.count_rows("title LIKE '%!'") == TENTH
        tracker.execute("UPDATE tasks SET deleted_at = NULL WHERE number % 10 = 3")
        assert tracker.log_today() == TASK_COUNT
        assert tracker.count_rows("true") == TASK_COUNT

        tracker.execute("UPDATE tasks SET status = 'done' WHERE number % 10 = 5")
        tracker.clock.advance(days=3)
        assert sorted(tracker.log_due_days()) == [NOON.date() + timedelta(days=day) for day in range(3)]
        runs = [tracker.run_of(NOON.date() + timedelta(days=day)) for day in range(3)]
        assert [(run.is_final, run.task_count) for run in runs] == [(True, TASK_COUNT - TENTH)] * 3


class Tracker:
    def __init__(self, resources, connection):
        self.resources = resources
        self._connection = connection
        self.clock = FixedClock(NOON, tell=lambda now: (simulate_clock(connection, now), connection.commit()))
        resources.clock = self.clock

    def execute(self, statement, **values):
        outcome = self._connection.execute(text(statement), values)
        self._connection.commit()
        return outcome

    def log_today(self):
        """Log today, and return the number of tasks that the run counted."""
        day = self.clock().date()
        self.execute("INSERT INTO log_requests (log_date, requested_by) VALUES (:day, 1)", day=day)
        self.clock.advance(minutes=1)
        assert day in self.log_due_days()
        return self.run_of(day).task_count

    def log_due_days(self):
        days = []
        while True:
            with serving(self.resources) as services:
                if not (logged := services.daily_log.log_due_days()):
                    return days
            days += logged

    def run_of(self, day):
        with self.resources.new_session() as session:
            return session.get_one(LogRun, day)

    def ids_of_rows(self):
        statement = text("SELECT min(id), max(id), sum(id) FROM task_logs")
        row = self._connection.execute(statement).one()
        self._connection.commit()
        return row

    def count_rows(self, condition):
        count = self._connection.execute(text(f"SELECT count(*) FROM task_logs WHERE {condition}")).scalar_one()
        self._connection.commit()
        return count


@pytest.fixture
def tracker(base_settings, postgres_url):
    with servers.migrated_database(postgres_url, has_simulated_clock=True) as url:
        settings = replace(base_settings, database_url=url, time_zone=ZoneInfo("UTC"))
        resources = Resources(settings, job_queue=FakeJobQueue(), timeouts=JOB_TIMEOUTS)
        with resources.engine.connect() as connection:
            connection.execute(text("SET synchronous_commit = off"))
            tracker = Tracker(resources, connection)
            tracker.execute("INSERT INTO users (username, role, is_active) VALUES ('creator', 'user', false)")
            tracker.execute(ADD_TASKS, count=TASK_COUNT)
            yield tracker
        resources.engine.dispose()
