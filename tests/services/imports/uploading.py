"""Upload CSV files and read back what they left in the database."""

import io
from datetime import UTC, datetime

from sqlalchemy import func, select

from app.models.people.user import User
from app.models.projects.project import Project
from app.services.imports.imports import ImportOptions
from tests.factories import general_project
from tests.stored import list_tasks

JANUARY = datetime(2026, 1, 15, 12, tzinfo=UTC)
COUNTS = ("read_count", "created_count", "updated_count", "skipped_count", "refused_count", "error_count")

# Rows for tasks that exist (see `existing`) and for new ones, each more than once, with known and unknown people.
MIXED_ROWS = (
    "task_name,description,status,priority,created_at,assignee,due_at,labels,external_ref",
    "Renamed,,todo,medium,,,,,A",
    "There,Said,done,high,2026-01-15,ada,,,",
    "New,,,,2026-01-15,Grace,,x,",
    "Of ref,,,,,,,,B",
    "Renamed,,todo,medium,,,,,A",
    "New,,done,,2026-01-15,GRACE,,x,",
    "Of ref,,done,,,,,,B",
    "There,Said,done,high,2026-01-15,ADA,,,",
    "New,,,,2026-01-16,grace,,x,",
    "Renamed again,,todo,medium,,,,,A",
    "New,,,,2026-01-15,Zoë,,x,",
    "New,,done,,2026-01-15,GRACE,,x,",
)


def upload(service, actor, *lines, key=None, wait_seconds=None, **options):
    return service.import_csv(
        actor,
        stream_of(*lines),
        filename="tasks.csv",
        options=ImportOptions(**options),
        idempotency_key=key,
        wait_seconds=wait_seconds,
    )


def stream_of(*lines):
    return io.BytesIO("\n".join([*lines, ""]).encode())


def counts_of(outcome):
    body = outcome.row.values
    return {name: body[name] for name in COUNTS}


def report(service, actor, outcome, *, limit=200):
    problems, cursor = [], None
    while True:
        page = service.list_errors(actor, outcome.import_id, cursor=cursor, limit=limit)
        problems += [(item["row"], item["line"], item["column"], item["value"]) for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return problems


def task_now(session, task):
    session.refresh(task)
    return task


def titles(session):
    return [task.title for task in list_tasks(session)]


def users_called(session, name):
    return session.scalar(select(func.count()).where(func.lower(User.username) == name))


def last_number(session):
    project = general_project(session)
    return session.scalar(select(Project.last_task_number).where(Project.id == project.id))


class InterruptedStream:
    """A stream that calls any callables among its pieces on the way."""

    def __init__(self, *pieces):
        self._pieces = [*pieces]

    def read(self, _size):
        while self._pieces:
            piece = self._pieces.pop(0)
            if not callable(piece):
                return piece
            piece()
        return b""
