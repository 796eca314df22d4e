"""SQL statements that write tasks, and the versions that the triggers wrote."""

import pytest
from sqlalchemy import text

from tests.repositories.tasks.history.march import NOON


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def run(connection):
    """Run SQL as psql would, without any of our code."""

    def run(statement, **values):
        return connection.execute(text(statement), values)

    return run


@pytest.fixture
def versions(run):
    """List the versions of these tasks, or of all tasks, oldest first."""

    def versions(*task_ids):
        rows = run(
            "SELECT * FROM task_history WHERE :of_all OR task_id = ANY(:ids) ORDER BY task_id, revision",
            of_all=not task_ids,
            ids=list(task_ids),
        )
        return rows.all()

    return versions


@pytest.fixture
def creator_id(factories):
    factories.User(username="grace")
    return factories.User().id


@pytest.fixture
def project_id(run):
    return run("SELECT id FROM projects WHERE key = 'GEN'").scalar_one()


@pytest.fixture
def values_of(project_id, creator_id):
    """Columns and rows of tasks with these numbers, all called One, each at the position of its number."""

    def values_of(*numbers):
        rows = (f"({project_id}, {number}, 'One', 'todo', 'medium', {creator_id}, {number})" for number in numbers)
        return f"(project_id, number, title, status, priority, creator_id, position) VALUES {', '.join(rows)}"

    return values_of


@pytest.fixture
def task(run, values_of):
    return run(f"INSERT INTO tasks {values_of(1)} RETURNING id").scalar_one()
