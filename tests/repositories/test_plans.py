"""PostgreSQL's plans for statements that touch every task: an inner loop is fast only in a small table."""

import re
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import event

from app.repositories.daily_log.days import TaskLogRepository
from tests.servers import ROOT

DAY = date(2026, 3, 10)
MIDNIGHT = datetime(2026, 3, 11, tzinfo=UTC)
# PostgreSQL hashes `x NOT IN (SELECT …)` only while the result fits into work_mem; then it loops over both sides.
UNSAFE = re.compile(r"NOT\s+IN\s*\(\s*SELECT|\.not_in\(|\.notin_\(|<>\s*ALL\s*\(\s*SELECT", re.IGNORECASE)


class TestDayThatIsLoggedAgain:
    @pytest.mark.parametrize("instant", [None, MIDNIGHT])
    def test_joins_without_a_loop_over_every_task(self, logs, connection, plans, instant):
        logs.ensure_partition(DAY)

        with plans() as seen:
            logs.write_day(DAY, instant=instant, is_first=False)

        plan = "\n".join(seen)
        assert "Delete on task_logs" in plan
        assert "SubPlan" not in plan
        assert "Nested Loop" not in plan


class TestSources:
    def test_no_statement_uses_not_in_with_a_query(self):
        sources = [*(ROOT / "app/repositories").glob("*.py"), *(ROOT / "migrations/versions").glob("*.py")]
        assert sources

        assert [path.name for path in sources if UNSAFE.search(path.read_text("utf-8"))] == []


@pytest.fixture
def logs(session):
    return TaskLogRepository(session)


@pytest.fixture
def plans(connection):
    """Explain each statement before it runs, with the rows and settings of that moment."""

    class Plans(list):
        def __call__(self):
            return self

        def __enter__(self):
            event.listen(connection, "before_cursor_execute", self.explain)
            return self

        def __exit__(self, *_error):
            event.remove(connection, "before_cursor_execute", self.explain)

        def explain(self, _connection, cursor, statement, parameters, _context, _executemany):
            if re.match(r"\s*(INSERT|UPDATE|DELETE|WITH)\b", statement):
                cursor.execute(f"EXPLAIN {statement}", parameters)
                self.extend(row[0] for row in cursor.fetchall())

    return Plans()
