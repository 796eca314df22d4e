"""How tasks are read: a single task, and filtered lists, from the cache where possible."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from app.auth.actor import MYSELF, Actor
from app.auth.permissions import Permission, ensure_may, may, scope_of
from app.cache import CacheView, Space
from app.clock import Calendar
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError, not_found
from app.queries.pages import Page, Shape
from app.queries.tasks import WHOLE_TASK, Selection, TaskKey, TaskQuery, TaskView
from app.repositories.tasks.read import TaskListRepository
from app.repositories.tasks.write import TaskRepository

# A page leaves the cache when anything on it may have changed. This bounds its age if that fails.
PAGE_TTL_SECONDS = 30
# The list of every active task is read in pages of this size.
ACTIVE_PAGE_ROWS = 5_000
# A client's clock may run this far ahead of ours.
CLOCK_TOLERANCE = timedelta(minutes=1)


def resolved(actor: Actor, query: TaskQuery, calendar: Calendar) -> TaskQuery:
    """Replace `me`, days and what is said about archived projects in the query.

    Raises ForbiddenError if it asks for deleted tasks and the actor may not see them, and InvalidError if it asks for
    the future.
    """
    if query.view is not None:
        raise RuntimeError("the query names a view that was not opened")
    if query.as_of is not None and query.as_of > calendar.now() + CLOCK_TOLERANCE:
        raise InvalidError.of("as_of", "is in the future")
    if query.deleted:
        ensure_may(actor, Permission.TASK_RESTORE)
    if MYSELF in {query.assignee, query.creator}:
        query = replace(query, assignee=actor.resolve_me(query.assignee), creator=actor.resolve_me(query.creator))
    query = _with_archived(actor, query)
    if query.due_before is None and query.due_after is None:
        return query
    return replace(
        query, due_before=_instant_of(query.due_before, calendar), due_after=_instant_of(query.due_after, calendar)
    )


def _with_archived(actor: Actor, query: TaskQuery) -> TaskQuery:
    """Name the projects that the query hides or shows because they are archived now. The past knows its own."""
    if query.as_of is not None:
        return query
    archived_ids = tuple(sorted(actor.archived_project_ids))
    if query.archived:
        return replace(query, archived_project_ids=archived_ids)
    return replace(query, hidden_project_ids=archived_ids) if archived_ids and query.hides_archived else query


def _instant_of(bound: date | None, calendar: Calendar) -> datetime | None:
    return bound if bound is None or isinstance(bound, datetime) else calendar.start_of(bound)


class TaskViewService:
    def __init__(
        self,
        uow: UnitOfWork,
        tasks: TaskRepository,
        task_list: TaskListRepository,
        cache: CacheView,
        calendar: Calendar,
    ) -> None:
        self._uow = uow
        self._tasks = tasks
        self._task_list = task_list
        self._cache = cache
        self._calendar = calendar

    def get(self, actor: Actor, key: TaskKey, selection: Selection = WHOLE_TASK) -> TaskView:
        """Get a task. Actors who may restore tasks also get deleted ones, with their `deleted_at`."""
        with self._uow.single_statements():
            view = self._tasks.get_view(actor, key, selection, include_deleted=may(actor, Permission.TASK_RESTORE))
            return view or not_found("task", key)

    def list_page(self, actor: Actor, query: TaskQuery) -> tuple[Page, bool]:
        """The page, and whether it came from the cache."""
        query = resolved(actor, query, self._calendar)
        cached = self._cache.remember(
            (Space.TASKS,),
            # Another release caches pages in another format under `tasks|`, and two releases run during an upgrade.
            f"task_rows|{scope_of(actor)}|{query!r}",
            lambda: self._load_page(actor, query).to_bytes(),
            ttl_seconds=PAGE_TTL_SECONDS,
        )
        return Page.from_bytes(cached.value), cached.was_cached

    def list_active(self, actor: Actor, shape: Shape) -> Iterator[Sequence[str]]:
        """Yield pages of all active tasks that the actor may see, oldest first. Each row is JSON in that shape.

        Each page has a transaction of its own.
        """
        last_id = 0
        while True:
            with self._uow.transaction():
                rows = self._tasks.list_active(actor, shape, after_id=last_id, limit=ACTIVE_PAGE_ROWS)
            if not rows:
                return
            yield [row.json for row in rows]
            last_id = rows[-1].id

    def _load_page(self, actor: Actor, query: TaskQuery) -> Page:
        # The total needs a statement of its own, and should count the same tasks.
        with self._uow.transaction() if query.include_total else self._uow.single_statements():
            return self._task_list.list_page(actor, query, now=self._calendar.now())
