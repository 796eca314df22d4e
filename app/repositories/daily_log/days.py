"""The SQL of the daily log: writing a day in one statement, and reading it by day, task, project and assignee."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, delete, func, literal, select, text, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.database.engine import JOB_TIMEOUTS
from app.models.daily_log.task_log import LogRequest, LogRun, TaskLog
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import LOGGED, LOGGED_COLUMNS
from app.queries.daily_log import TaskLogQuery
from app.queries.pages import JsonRow, Page, decode_cursor, is_date
from app.repositories.pages import AnySelect, count_up_to_max, json_text, page_of, row_of
from app.repositories.people import id_of_name
from app.repositories.scope import is_in_scope

# Only one run writes the daily log at a time.
LOG_LOCK = 7_203_114_120


def state_fields(log: Any, project_key: Any, assignee: Any) -> dict[str, Any]:
    """The fields of a task that the daily log keeps. `log` is TaskLog or a stand-in with its columns."""
    by_name = {"ref": project_key + "-" + cast(log.number, Text), "project": project_key, "assignee": assignee}
    return {
        field.name: by_name[field.name] if field.name in by_name else getattr(log, field.column_name)
        for field in LOGGED
    }


LOG_FIELDS: dict[str, Any] = {
    "id": TaskLog.id,
    "log_date": TaskLog.log_date,
    "task_id": TaskLog.task_id,
    **state_fields(TaskLog, Project.key, User.username),
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

_COLUMNS = ", ".join(LOGGED_COLUMNS)
_LOGGED = ", ".join(f"log.{name}" for name in LOGGED_COLUMNS)
_STATE = ", ".join(f"active.{name}" for name in LOGGED_COLUMNS)
# The projects that were archived just before the instant.
_ARCHIVED = "ARRAY(SELECT project_id FROM project_archivals WHERE archived_at < :instant AND restored_at >= :instant)"
# The tasks that were active just before an instant. A task that has not changed since is read from `tasks`, any other
# from the version that lasted until the instant or longer. The instant infinity selects what is active now.
_ACTIVE = f"""
    SELECT id AS task_id, {_COLUMNS}
      FROM tasks
     WHERE revised_at < :instant AND deleted_at IS NULL AND status IN ('todo', 'in_progress', 'blocked')
       AND project_id <> ALL ({_ARCHIVED})
     UNION ALL
    SELECT task_id, {_COLUMNS}
      FROM task_history
     WHERE valid_to >= :instant AND valid_to < 'infinity' AND valid_from < :instant
       AND deleted_at IS NULL AND status IN ('todo', 'in_progress', 'blocked')
       AND project_id <> ALL ({_ARCHIVED})
"""  # noqa: S608 - of constants
_WRITE_DAY = f"""
    INSERT INTO task_logs (log_date, task_id, {_COLUMNS})
    SELECT :log_date, active.* FROM ({_ACTIVE}) AS active
"""  # noqa: S608 - of constants
# Only rows that differ are written. One statement reads one snapshot, so the rows and their count agree whatever
# is written to tasks meanwhile.
_REWRITE_DAY = f"""
    WITH active AS MATERIALIZED ({_ACTIVE}),
    dropped AS (
        DELETE FROM task_logs AS log
         WHERE log.log_date = :log_date AND NOT EXISTS (SELECT FROM active WHERE active.task_id = log.task_id)
    ), changed AS (
        UPDATE task_logs AS log SET ({_COLUMNS}) = ROW({_STATE})
          FROM active
         WHERE log.log_date = :log_date AND log.task_id = active.task_id
           AND ({_LOGGED}) IS DISTINCT FROM ({_STATE})
    ), added AS (
        INSERT INTO task_logs (log_date, task_id, {_COLUMNS})
        SELECT :log_date, active.* FROM active
         WHERE NOT EXISTS (
             SELECT FROM task_logs AS log WHERE log.log_date = :log_date AND log.task_id = active.task_id
         )
    )
    SELECT count(*) FROM active
"""  # noqa: S608 - of constants


class TaskLogRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self) -> None:
        """Wait for LOG_LOCK, and hold it until the commit."""
        self._session.execute(text("SET LOCAL lock_timeout = '45s'"))
        self._session.execute(select(func.pg_advisory_xact_lock(LOG_LOCK)))

    def try_lock(self) -> bool:
        """Take LOG_LOCK, or return False at once if another run holds it.

        Logging a day is one transaction. It may take so long that the broker gives the message to another worker, and
        that worker must not wait in line for minutes.
        """
        # Through PgBouncer, the connection has the timeout of requests.
        self._session.execute(text(f"SET LOCAL statement_timeout = '{JOB_TIMEOUTS.statement_seconds}s'"))
        return bool(self._session.scalar(select(func.pg_try_advisory_xact_lock(LOG_LOCK))))

    def write_day(self, log_date: date, *, instant: datetime | None, is_first: bool) -> int:
        """Write the tasks that were active just before `instant` (None for now) as the day's rows; return their number.

        Unless `is_first`, rows of an earlier run that are still correct keep their ids.
        """
        day = {"log_date": log_date, "instant": "infinity" if instant is None else instant}
        # While the statistics lack the day's rows, the planner prefers a nested loop, which takes hours.
        self._session.execute(text("SET LOCAL enable_nestloop = off"))
        if is_first:
            return int(self._session.execute(text(_WRITE_DAY), day).rowcount)  # type: ignore[attr-defined]
        return int(self._session.execute(text(_REWRITE_DAY), day).scalar_one())

    def ensure_partition(self, log_date: date) -> None:
        """Create the partition of the day's month if it is missing."""
        start = log_date.replace(day=1)
        end = _month_after(start)
        if self._session.scalar(select(func.to_regclass(f"task_logs_{start:%Y_%m}"))) is not None:
            return
        self.lock()
        self._session.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS task_logs_{start:%Y_%m} PARTITION OF task_logs"
                f" FOR VALUES FROM ('{start}') TO ('{end}')"
            )
        )

    def drop_partitions_before(self, log_date: date) -> None:
        """Drop the months that end before the day, with their rows. The runs stay, so no day is logged again."""
        names = self._session.scalars(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'task_logs'::regclass ORDER BY 1")
        ).all()
        for name in names:
            year, month = map(int, name.removeprefix("task_logs_").split("_"))
            if _month_after(date(year, month, 1)) <= log_date:
                self.lock()
                self._session.execute(text(f"DROP TABLE IF EXISTS {name}"))

    def has_rows(self, log_date: date) -> bool:
        # The order makes PostgreSQL use the key. Without it a scan may read the month up to the day.
        statement = select(TaskLog.task_id).where(TaskLog.log_date == log_date).order_by(TaskLog.task_id).limit(1)
        return self._session.scalar(statement) is not None

    def list_closed_days(self, *, since: date) -> set[date]:
        return set(self._session.scalars(select(LogRun.log_date).where(LogRun.is_final, LogRun.log_date >= since)))

    def get_run(self, log_date: date) -> LogRun | None:
        return self._session.get(LogRun, log_date, populate_existing=True)

    def save_run(self, run: LogRun) -> None:
        self._session.merge(run)

    def add_request(self, log_date: date, requested_by: int) -> None:
        """Idempotent: a second request before the day is logged changes nothing."""
        self._session.execute(
            insert(LogRequest).values(log_date=log_date, requested_by=requested_by).on_conflict_do_nothing()
        )

    def list_requested_days(self) -> list[date]:
        return list(self._session.scalars(select(LogRequest.log_date).order_by(LogRequest.log_date)))

    def take_request(self, log_date: date) -> bool:
        """Delete the request for the day, and return True if there was one."""
        statement = delete(LogRequest).where(LogRequest.log_date == log_date).returning(LogRequest.log_date)
        return self._session.execute(statement).first() is not None

    def list_page(self, actor: Actor, query: TaskLogQuery) -> Page:
        """Newest day first; within a day by task."""
        conditions = log_conditions(actor, query)
        after: list[ColumnElement[bool]] = []
        days = days_of(query)
        if query.cursor is not None:
            position = decode_cursor(query.cursor, "-log_date", is_date)
            day = cast(literal(position.key, Text), TaskLog.log_date.type)
            after = [(TaskLog.log_date < day) | ((TaskLog.log_date == day) & (TaskLog.task_id > position.id))]
            days.append(LogRun.log_date <= day)
        page = newest_first([*conditions, *after], days, literal(query.limit + 1)).subquery("page")
        statement = (
            with_names(select(json_text(LOG_FIELDS), cast(TaskLog.log_date, Text), TaskLog.task_id))
            .join(page, (page.c.log_date == TaskLog.log_date) & (page.c.task_id == TaskLog.task_id))
            .order_by(TaskLog.log_date.desc(), TaskLog.task_id)
        )
        rows = self._session.execute(statement).all()
        total = (
            count_up_to_max(self._session, select(TaskLog.task_id).where(*conditions)) if query.include_total else None
        )
        return page_of(rows, limit=query.limit, sort="-log_date", total=total)

    def get_row(self, actor: Actor, log_id: int) -> JsonRow | None:
        statement = with_names(select(json_text(LOG_FIELDS)))
        return row_of(self._session.scalar(statement.where(TaskLog.id == log_id, visible_to(actor))))

    def list_runs(self, *, cursor: str | None, limit: int) -> Page:
        statement = select(json_text(RUN_FIELDS), cast(LogRun.log_date, Text), literal(0))
        if cursor is not None:
            position = decode_cursor(cursor, "-log_date", is_date)
            statement = statement.where(LogRun.log_date < cast(literal(position.key, Text), LogRun.log_date.type))
        rows = self._session.execute(statement.order_by(LogRun.log_date.desc()).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="-log_date", total=None)


def days_of(query: TaskLogQuery) -> list[ColumnElement[bool]]:
    """The conditions on the days that a query asks for."""
    first, last = (query.on or query.since), (query.on or query.until)
    return [
        *([LogRun.log_date >= first] if first is not None else []),
        *([LogRun.log_date <= last] if last is not None else []),
    ]


def newest_first(
    conditions: list[ColumnElement[bool]], days: list[ColumnElement[bool]], rows: ColumnElement[int]
) -> AnySelect:
    """The keys of the first `rows` rows of the daily log that meet the conditions, newest day first.

    The key of the table returns the rows of a day in order, but not those of several days with the newest first. So
    each day gives as many rows as may be needed. Otherwise the newest day would be read whole and sorted.
    """
    of_day = (
        select(TaskLog.log_date, TaskLog.task_id)
        .where(TaskLog.log_date == LogRun.log_date, *conditions)
        .order_by(TaskLog.task_id)
        .limit(rows)
        .correlate(LogRun)
        .lateral("of_day")
    )
    return (
        select(of_day.c.log_date, of_day.c.task_id)
        .select_from(LogRun)
        .join(of_day, true())
        .where(*days)
        .order_by(LogRun.log_date.desc(), of_day.c.task_id)
        .limit(rows)
    )


def _month_after(first_of_month: date) -> date:
    return (first_of_month + timedelta(days=31)).replace(day=1)


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """The condition of every query on the daily log, so that none can show a row to an actor who may not see it."""
    return is_in_scope(actor, TaskLog.project_id)


def with_names(statement: AnySelect) -> AnySelect:
    """Join the tables that LOG_FIELDS takes names from."""
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
    if query.status is not None:
        conditions.append(TaskLog.status == query.status)
    if query.project is not None:
        conditions.append(TaskLog.project_id.in_(select(Project.id).where(Project.key == query.project)))
    if query.assignee == "none":
        conditions.append(TaskLog.assignee_id.is_(None))
    elif query.assignee is not None:
        conditions.append(TaskLog.assignee_id == select(id_of_name(literal(query.assignee, Text))).scalar_subquery())
    return conditions
