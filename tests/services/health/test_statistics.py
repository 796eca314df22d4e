from dataclasses import replace

import pytest
from sqlalchemy import text

from app.composition.resources import Resources
from app.composition.services import serving
from app.services.health.statistics import MIN_CHANGED_ROWS
from tests import servers
from tests.fakes import FakeJobQueue

ADD_TASKS = """
    INSERT INTO tasks (project_id, number, position, title, status, priority, creator_id)
    SELECT 1, n, n, 'Task ' || n, 'todo', 'medium', 1 FROM generate_series(:first, :last) AS n
"""


class TestRefresh:
    """Each test has a database of its own, because statistics cover only committed rows."""

    def test_a_table_with_many_changes_is_analyzed_once(self, database):
        database.execute("ALTER TABLE tasks SET (autovacuum_enabled = off)")
        database.execute("ALTER TABLE task_history SET (autovacuum_enabled = off)")
        database.execute(ADD_TASKS, first=1, last=MIN_CHANGED_ROWS)
        assert database.refresh() == []
        assert database.known_titles() == 0

        database.execute(ADD_TASKS, first=MIN_CHANGED_ROWS + 1, last=4 * MIN_CHANGED_ROWS)
        assert database.refresh() == ["public.task_history", "public.tasks"]
        assert database.known_titles() > 0
        assert database.refresh() == []

        database.execute("UPDATE tasks SET title = title || '!' WHERE number <= 100")
        assert database.refresh() == []

    def test_a_month_of_the_daily_log_is_analyzed(self, database):
        database.execute(
            "CREATE TABLE task_logs_2026_03 PARTITION OF task_logs"
            " FOR VALUES FROM ('2026-03-01') TO ('2026-04-01') WITH (autovacuum_enabled = off)"
        )
        database.execute(
            "INSERT INTO task_logs (log_date, task_id, project_id, number, title, status, priority)"
            " SELECT '2026-03-10', n, 1, n, 'Task', 'todo', 'medium' FROM generate_series(1, :count) AS n",
            count=2 * MIN_CHANGED_ROWS,
        )

        assert database.refresh() == ["public.task_logs_2026_03"]

    def test_a_locked_table_is_left_for_the_next_time(self, database):
        database.execute("ALTER TABLE tasks SET (autovacuum_enabled = off)")
        database.execute("ALTER TABLE task_history SET (autovacuum_enabled = off)")
        database.execute(ADD_TASKS, first=1, last=3 * MIN_CHANGED_ROWS)

        with database.resources.engine.connect() as other:
            other.execute(text("LOCK TABLE tasks IN SHARE UPDATE EXCLUSIVE MODE"))
            assert "public.tasks" in database.refresh()
            assert database.known_titles() == 0

        assert database.refresh() == ["public.tasks"]
        assert database.known_titles() > 0


class Database:
    def __init__(self, resources, connection):
        self.resources = resources
        self._connection = connection

    def execute(self, statement, **values):
        """Execute a statement and flush its statistics, which PostgreSQL would do later by itself."""
        outcome = self._connection.execute(text(statement), values)
        self._connection.execute(text("SELECT pg_stat_force_next_flush()"))
        self._connection.commit()
        return outcome

    def refresh(self):
        with serving(self.resources) as services:
            return services.statistics.refresh()

    def known_titles(self):
        statement = "SELECT count(*) FROM pg_stats WHERE tablename = 'tasks' AND attname = 'title'"
        count = self._connection.execute(text(statement)).scalar_one()
        self._connection.commit()
        return count


@pytest.fixture
def database(base_settings, postgres_url):
    with servers.migrated_database(postgres_url) as url:
        resources = Resources(replace(base_settings, database_url=url), job_queue=FakeJobQueue())
        with resources.engine.connect() as connection:
            database = Database(resources, connection)
            database.execute("INSERT INTO users (username, role, is_active) VALUES ('creator', 'user', false)")
            yield database
        resources.engine.dispose()
