"""The SQL of the reports on the daily log: how two days differ, and the counts of each day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Text, case, cast, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from app.auth.actor import Actor
from app.models.daily_log.task_log import LogRun, TaskLog
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.tasks.fields import LOGGED_COLUMNS
from app.queries.daily_log import TaskLogQuery
from app.queries.pages import Page, decode_cursor, is_integer
from app.repositories.daily_log.days import log_conditions, state_fields
from app.repositories.pages import AnySelect, json_object, json_text, page_of


@dataclass(frozen=True, slots=True)
class DifferencePage(Page):
    """`counts` says how many tasks entered, left and changed on all pages. Only the first page has it."""

    counts: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class DayCounts:
    total: int
    by_status: Mapping[str, int]
    by_project: Mapping[str, int]
    by_assignee: Mapping[str, int]


class TaskLogReportRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_differences(
        self, actor: Actor, since: date, until: date, *, project: str | None, cursor: str | None, limit: int
    ) -> DifferencePage:
        """List the tasks that only one of the two days has, or that differ between the days, ordered by task."""
        differs = differing(_day(actor, since, project), _day(actor, until, project))
        total_by_change = (
            self._session.execute(select(differs.c.change, func.count()).group_by(differs.c.change)).all()
            if cursor is None
            else []
        )
        fields = {name: differs.c[name] for name in ("task_id", "change", "before", "after")}
        statement = select(json_text(fields), cast(differs.c.task_id, Text), differs.c.task_id)
        if cursor is not None:
            statement = statement.where(differs.c.task_id > decode_cursor(cursor, "task_id", is_integer).id)
        rows = self._session.execute(statement.order_by(differs.c.task_id).limit(limit + 1)).all()
        page = page_of(rows, limit=limit, sort="task_id", total=None)
        counts = None if cursor is not None else {"entered": 0, "left": 0, "changed": 0, **dict(total_by_change)}
        return DifferencePage(page.rows, page.next_cursor, counts=counts)

    def list_days(self, query: TaskLogQuery) -> Sequence[date]:
        """List the query's logged days, newest first: up to `limit`, and one more if there is a next page."""
        return self._session.scalars(logged_days(query).limit(query.limit + 1)).all()

    def count_of_day(self, actor: Actor, query: TaskLogQuery) -> DayCounts:
        """Count the tasks of a day, all of them and by each status, project and assignee."""
        assignee = func.coalesce(User.username, "none")
        statement = (
            select(
                # `grouping` is 0 for a column that the row is grouped by, and 1 for any other.
                func.grouping(TaskLog.status).label("any_status"),
                func.grouping(Project.key).label("any_project"),
                func.grouping(assignee).label("any_assignee"),
                TaskLog.status,
                Project.key.label("project"),
                assignee.label("assignee"),
                func.count().label("task_count"),
            )
            .join_from(TaskLog, Project, Project.id == TaskLog.project_id, isouter=True)
            .outerjoin(User, User.id == TaskLog.assignee_id)
            .where(*log_conditions(actor, query))
            .group_by(func.grouping_sets(tuple_(), tuple_(TaskLog.status), tuple_(Project.key), tuple_(assignee)))
        )
        rows = self._session.execute(statement).all()
        return DayCounts(
            total=next(row.task_count for row in rows if row.any_status and row.any_project and row.any_assignee),
            by_status={row.status.value: row.task_count for row in rows if not row.any_status},
            # A project that is gone has no key to count by.
            by_project={row.project: row.task_count for row in rows if not row.any_project and row.project is not None},
            by_assignee={row.assignee: row.task_count for row in rows if not row.any_assignee},
        )


def logged_days(query: TaskLogQuery) -> AnySelect:
    """The statement of the query's logged days, newest first."""
    statement = select(LogRun.log_date).order_by(LogRun.log_date.desc())
    if query.on is not None:
        statement = statement.where(LogRun.log_date == query.on)
    if query.since is not None:
        statement = statement.where(LogRun.log_date >= query.since)
    if query.until is not None:
        statement = statement.where(LogRun.log_date <= query.until)
    return statement


def differing(before: Any, after: Any) -> Any:
    """The tasks that only one of two days has, or that differ between them. The days are subqueries of TaskLog."""
    joined = select(*_difference(before, after)).select_from(
        before.outerjoin(after, before.c.task_id == after.c.task_id, full=True)
    )
    return joined.where(
        or_(
            before.c.task_id.is_(None),
            after.c.task_id.is_(None),
            tuple_(*(before.c[name] for name in LOGGED_COLUMNS)).is_distinct_from(
                tuple_(*(after.c[name] for name in LOGGED_COLUMNS))
            ),
        )
    ).subquery()


def _day(actor: Actor, log_date: date, project: str | None) -> Any:
    conditions = log_conditions(actor, TaskLogQuery(on=log_date, project=project))
    return select(TaskLog).where(*conditions).subquery()


def _difference(before: Any, after: Any) -> tuple[Any, ...]:
    change = case((before.c.task_id.is_(None), "entered"), (after.c.task_id.is_(None), "left"), else_="changed")
    return (
        func.coalesce(after.c.task_id, before.c.task_id).label("task_id"),
        change.label("change"),
        _state(before).label("before"),
        _state(after).label("after"),
    )


def _state(day: Any) -> Any:
    project, user = aliased(Project), aliased(User)
    key = select(project.key).where(project.id == day.c.project_id).correlate(day).scalar_subquery()
    assignee = select(user.username).where(user.id == day.c.assignee_id).correlate(day).scalar_subquery()
    return case((day.c.task_id.is_not(None), json_object(state_fields(day.c, key, assignee))))
