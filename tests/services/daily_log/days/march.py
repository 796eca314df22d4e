"""Days of March, the steps that log them, and the logged rows."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.daily_log.task_log import LogRun, TaskLog
from tests import factories as all_factories

YESTERDAY = date(2026, 3, 9)
TODAY = date(2026, 3, 10)
# A task since this morning leaves yesterday as the only day to log.
MORNING = datetime(2026, 3, 9, 6, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
LOGGED_COLUMNS = ("project_id", "number", "title", "status", "priority", "assignee_id", "due_at")


def task_since(recorded_at, **values):
    return all_factories.Task(revised_at=recorded_at, **values)


def log_today(service, actor):
    service.request_day(actor, None)
    service.log_due_days()


def logged(session, day):
    statement = select(TaskLog).where(TaskLog.log_date == day).execution_options(populate_existing=True)
    return {row.task_id: row for row in session.scalars(statement)}


def end_task(session, task, status, *, at):
    task.change_status(status, at=at)
    session.flush()


def logged_tasks(session, day):
    return {
        task_id: tuple(getattr(row, name) for name in LOGGED_COLUMNS) for task_id, row in logged(session, day).items()
    }


def sources(session):
    """Map each logged day, as its number in the month, to the source of its run."""
    return {day.day: source for day, source in session.execute(select(LogRun.log_date, LogRun.source))}


def days_of_march(first, last):
    return [date(2026, 3, day) for day in range(first, last + 1)]


def make_tasks(resources, count):
    with Session(resources.engine) as session:
        all_factories.bind(session)
        ids = [task_since(MORNING).id for _ in range(count)]
        session.commit()
    return sorted(ids)


def days_and_tasks(resources):
    statement = select(TaskLog.log_date, TaskLog.task_id).order_by(TaskLog.log_date, TaskLog.task_id)
    with resources.new_session() as session:
        return [tuple(row) for row in session.execute(statement)]
