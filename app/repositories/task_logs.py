"""The SQL of the record: writing a day in one statement, and reading it by day, task, project and assignee."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, delete, func, literal, select, text, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.project import Project
from app.models.task import Task
from app.models.task_log import LogRequest, LogRun, TaskLog
from app.models.user import User
from app.repositories.pages import DEFAULT_PAGE_SIZE, AnySelect, Page, decode_cursor, is_date, json_object, page_of

# One run at a time, whoever starts it: the second waits and finds the day written.
LOG_LOCK = 7_203_114_120

LOG_FIELDS: dict[str, Any] = {
    "id": TaskLog.id,
    "log_date": TaskLog.log_date,
    "task_id": TaskLog.task_id,
    "ref": Project.key + "-" + cast(TaskLog.number, Text),
    "project": Project.key,
    "title": TaskLog.title,
    "status": TaskLog.status,
    "priority": TaskLog.priority,
    "assignee": User.username,
    "due_at": TaskLog.due_at,
}
RUN_FIELDS: dict[str, Any] = {
    "log_date": LogRun.log_date,
    "time_zone": LogRun.time_zone,
    "started_at": LogRun.started_at,
    "finished_at": LogRun.finished_at,
    "task_count": LogRun.task_count,
    "source": LogRun.source,
    "is_final": LogRun.is_final,
}

# Active at the instant: here already, and not yet deleted or ended. What has ended since was open, or begun.
_WRITE_DAY = text("""
    INSERT INTO task_logs (log_date, task_id, project_id, number, title, status, priority, assignee_id, due_at)
    SELECT :log_date, id, project_id, number, title,
           CASE WHEN status IN ('todo', 'in_progress', 'blocked') THEN status
                WHEN started_at < :instant THEN 'in_progress'::task_status
                ELSE 'todo'::task_status END,
           priority, assignee_id, due_at
      FROM tasks
     WHERE (deleted_at IS NULL OR deleted_at >= :instant)
       AND (status IN ('todo', 'in_progress', 'blocked') OR completed_at >= :instant)
       AND recorded_at < :instant
    ON CONFLICT (log_date, task_id) DO UPDATE
       SET (project_id, number, title, status, priority, assignee_id, due_at)
         = (excluded.project_id, excluded.number, excluded.title, excluded.status, excluded.priority,
            excluded.assignee_id, excluded.due_at)
""")
# What an earlier run of the same, unfinished day logged and is no longer active.
_FORGET_INACTIVE = text("""
    DELETE FROM task_logs AS log
     WHERE log.log_date = :log_date
       AND NOT EXISTS (
           SELECT FROM tasks
            WHERE tasks.id = log.task_id
              AND (deleted_at IS NULL OR deleted_at >= :instant)
              AND (status IN ('todo', 'in_progress', 'blocked') OR completed_at >= :instant))
""")


@dataclass(frozen=True, slots=True)
class TaskLogQuery:
    """Which log rows to list; None means "whatever"."""

    on: date | None = None
    since: date | None = None
    until: date | None = None
    task_id: int | None = None
    project: str | None = None
    assignee: str | None = None
    cursor: str | None = None
    limit: int = DEFAULT_PAGE_SIZE
    include_total: bool = False


class TaskLogRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self) -> None:
        """Held until the commit."""
        self._session.execute(select(func.pg_advisory_xact_lock(LOG_LOCK)))

    def write_day(self, log_date: date, *, instant: datetime) -> int:
        """Make the day's rows what was active at `instant`; return how many there are."""
        self._ensure_partition(log_date)
        day = {"log_date": log_date, "instant": instant}
        self._session.execute(_FORGET_INACTIVE, day)
        self._session.execute(_WRITE_DAY, day)
        return self._session.scalar(select(func.count()).where(TaskLog.log_date == log_date)) or 0

    def has_tasks_recorded_before(self, instant: datetime) -> bool:
        return self._session.scalar(select(Task.id).where(Task.recorded_at < instant).limit(1)) is not None

    def _ensure_partition(self, log_date: date) -> None:
        start = log_date.replace(day=1)
        end = date(start.year + start.month // 12, start.month % 12 + 1, 1)
        name = f"task_logs_{start:%Y_%m}"
        self._session.execute(
            text(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF task_logs FOR VALUES FROM ('{start}') TO ('{end}')")
        )

    def get_run(self, log_date: date) -> LogRun | None:
        return self._session.get(LogRun, log_date, populate_existing=True)

    def save_run(self, run: LogRun) -> None:
        self._session.merge(run)

    def add_request(self, log_date: date, requested_by: int) -> None:
        """Asking twice before the work is done is asking once."""
        self._session.execute(
            insert(LogRequest).values(log_date=log_date, requested_by=requested_by).on_conflict_do_nothing()
        )

    def list_requested_days(self) -> list[date]:
        return list(self._session.scalars(select(LogRequest.log_date).order_by(LogRequest.log_date)))

    def take_request(self, log_date: date) -> bool:
        """Whether the day had been asked for; the asking is over with this transaction."""
        statement = delete(LogRequest).where(LogRequest.log_date == log_date).returning(LogRequest.log_date)
        return self._session.execute(statement).first() is not None

    def list_page(self, actor: Actor, query: TaskLogQuery) -> Page:
        """Newest day first; within a day by task."""
        conditions = log_conditions(actor, query)
        chosen = select(TaskLog.log_date, TaskLog.task_id).where(*conditions)
        if query.cursor is not None:
            position = decode_cursor(query.cursor, "-log_date", is_date)
            day = cast(literal(position.key, Text), TaskLog.log_date.type)
            chosen = chosen.where(
                (TaskLog.log_date < day) | ((TaskLog.log_date == day) & (TaskLog.task_id > position.id))
            )
        page = chosen.order_by(TaskLog.log_date.desc(), TaskLog.task_id).limit(query.limit + 1).subquery("page")
        statement = (
            _with_names(select(json_object(LOG_FIELDS), cast(TaskLog.log_date, Text), TaskLog.task_id))
            .join(page, (page.c.log_date == TaskLog.log_date) & (page.c.task_id == TaskLog.task_id))
            .order_by(TaskLog.log_date.desc(), TaskLog.task_id)
        )
        rows = self._session.execute(statement).all()
        total = self.count(actor, query) if query.include_total else None
        return page_of(rows, limit=query.limit, sort="-log_date", total=total)

    def count(self, actor: Actor, query: TaskLogQuery) -> int:
        return self._session.scalar(select(func.count()).select_from(TaskLog).where(*log_conditions(actor, query))) or 0

    def get_json(self, actor: Actor, log_id: int) -> str | None:
        statement = _with_names(select(json_object(LOG_FIELDS)))
        found: str | None = self._session.scalar(statement.where(TaskLog.id == log_id, visible_to(actor)))
        return found

    def list_runs(self, *, cursor: str | None, limit: int) -> Page:
        statement = select(json_object(RUN_FIELDS), cast(LogRun.log_date, Text), literal(0))
        if cursor is not None:
            position = decode_cursor(cursor, "-log_date", is_date)
            statement = statement.where(LogRun.log_date < cast(literal(position.key, Text), LogRun.log_date.type))
        rows = self._session.execute(statement.order_by(LogRun.log_date.desc()).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="-log_date", total=None)

    def count_by_day(self, actor: Actor, query: TaskLogQuery) -> Page:
        """A row a day, newest first: how many tasks in each status."""
        counts = (
            select(TaskLog.log_date, TaskLog.status, func.count().label("task_count"))
            .where(*log_conditions(actor, query))
            .group_by(TaskLog.log_date, TaskLog.status)
            .subquery()
        )
        if query.cursor is not None:
            position = decode_cursor(query.cursor, "-log_date", is_date)
            before = counts.c.log_date < cast(literal(position.key, Text), TaskLog.log_date.type)
        else:
            before = true()
        fields = {
            "log_date": counts.c.log_date,
            "task_count": func.sum(counts.c.task_count),
            "by_status": func.json_object_agg(counts.c.status, counts.c.task_count),
        }
        statement = (
            select(json_object(fields), cast(counts.c.log_date, Text), literal(0))
            .where(before)
            .group_by(counts.c.log_date)
            .order_by(counts.c.log_date.desc())
            .limit(query.limit + 1)
        )
        return page_of(self._session.execute(statement).all(), limit=query.limit, sort="-log_date", total=None)


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Every look at the record takes this condition, so none can forget who is asking."""
    return true() if actor.sees_everything else TaskLog.project_id.in_(actor.project_ids)


def _with_names(statement: AnySelect) -> AnySelect:
    """Join what LOG_FIELDS takes names from."""
    return statement.join_from(TaskLog, Project, Project.id == TaskLog.project_id, isouter=True).outerjoin(
        User, User.id == TaskLog.assignee_id
    )


def log_conditions(actor: Actor, query: TaskLogQuery) -> list[ColumnElement[bool]]:
    conditions = [visible_to(actor)]
    if query.on is not None:
        conditions.append(TaskLog.log_date == query.on)
    if query.since is not None:
        conditions.append(TaskLog.log_date >= query.since)
    if query.until is not None:
        conditions.append(TaskLog.log_date <= query.until)
    if query.task_id is not None:
        conditions.append(TaskLog.task_id == query.task_id)
    if query.project is not None:
        conditions.append(TaskLog.project_id.in_(select(Project.id).where(Project.key == query.project)))
    if query.assignee is not None:
        of_name = select(User.id).where(func.lower(User.username) == func.lower(query.assignee))
        conditions.append(TaskLog.assignee_id.in_(of_name))
    return conditions
