"""How many tasks are changed by one request: all of them or none, or each for itself. See docs/adr/030."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Calendar
from app.database.unit_of_work import UnitOfWork
from app.errors import (
    BulkRefusedError,
    FieldProblem,
    InvalidError,
    ProjectArchivedError,
    RefusedItem,
    TaskTrackerError,
    not_found,
)
from app.events import RecurringTaskEnded, TasksChanged
from app.models.tasks.fields import MAX_LABELS
from app.models.tasks.task import Task
from app.queries.pages import Precondition, ensure_unchanged
from app.queries.tasks import TaskKey
from app.repositories.tasks.bulk import BulkRepository, Loaded
from app.repositories.tasks.write import TaskRepository
from app.services.tasks.bulk_items import BulkItem, Outcome, Verb, within
from app.services.tasks.bulk_trees import BulkTrees
from app.services.tasks.order import Mover, Moving
from app.services.tasks.tree import TaskTree
from app.services.tasks.write import TaskChanges, TaskService

PERMISSIONS = {Verb.DELETE: Permission.TASK_DELETE, Verb.RESTORE: Permission.TASK_RESTORE}


class BulkService(TaskService):
    """Changes tasks as `TaskService` does, but the repositories of users and projects answer from what was loaded."""

    def __init__(
        self,
        uow: UnitOfWork,
        tasks: TaskRepository,
        bulk: BulkRepository,
        loaded: Loaded,
        tree: TaskTree,
        mover: Mover,
        calendar: Calendar,
    ) -> None:
        super().__init__(uow, tasks, loaded.projects, loaded.users, tree, calendar)
        self._bulk = bulk
        self._loaded_projects = loaded.projects
        self._loaded_users = loaded.users
        self._trees = BulkTrees(tree)
        self._mover = mover

    def change_all(
        self,
        actor: Actor,
        items: Sequence[BulkItem],
        *,
        precondition_of: Callable[[str], Precondition],
        is_atomic: bool,
    ) -> Sequence[Outcome]:
        """Change each task as its item says. Each task may be named once; moves see those before them.

        Raises BulkRefusedError if `is_atomic` and one of the items cannot be done: nothing is changed then. Otherwise
        such an item has an error, and the others are done. Raises ChangesCollidedError if somebody else puts a task
        below one that is deleted.
        """
        with self._uow.transaction(by=actor):
            moves = [(item.key, item.value) for item in items if item.verb is Verb.MOVE]
            columns = self._mover.lock_columns(actor, moves) if moves else ()
            tasks = self._tasks.list_for_update(actor, [item.key for item in items])
            outcomes = [_begin(item, tasks.get(item.key)) for item in items]
            _ensure_distinct(outcomes)
            for outcome in outcomes:
                outcome.error = _refusal(actor, outcome, precondition_of)
            self._load(actor, [outcome for outcome in outcomes if outcome.error is None])
            for outcome in outcomes:
                if outcome.error is None and outcome.item.verb is not Verb.MOVE:
                    outcome.error = self._change(actor, outcome)
            self._move(
                [each for each in outcomes if each.item.verb is Verb.MOVE and each.error is None], columns, tasks
            )
            self._trees.refuse_what_breaks_them([outcome for outcome in outcomes if outcome.error is None])
            refused = [outcome for outcome in outcomes if outcome.error is not None]
            if refused and is_atomic:
                raise BulkRefusedError(
                    f"{len(refused)} of {len(items)} items cannot be done, so nothing was changed",
                    [RefusedItem({"task": outcome.item.key}, outcome.error) for outcome in outcomes],
                )
            self._save(outcomes, tasks)
        return outcomes

    def _load(self, actor: Actor, outcomes: Sequence[Outcome]) -> None:
        """Load the people and projects that the changes name, and those that the tasks have now."""
        changes = [(each.task, _changes_of(each.item)) for each in outcomes if each.task is not None]
        naming = [(task, named) for task, named in changes if not {"project", "assignee", "parent"}.isdisjoint(named)]
        if not naming:
            return
        self._loaded_users.load(
            names={name for _, named in naming if (name := named.get("assignee")) is not None},
            ids={task.assignee_id for task, _ in naming if task.assignee_id is not None},
        )
        self._loaded_projects.load(
            actor,
            keys={named["project"] for _, named in naming if "project" in named},
            ids={task.project_id for task, _ in naming},
            user_ids=self._loaded_users.ids,
        )
        targets = [
            target.id
            for task, named in naming
            if "project" in named
            and (target := self._projects.get(actor, named["project"])) is not None
            and target.id != task.project_id
            and target.archived_at is None
        ]
        if targets:
            self._loaded_projects.reserve_numbers(Counter(targets))

    def _change(self, actor: Actor, outcome: Outcome) -> TaskTrackerError | None:
        """Change a task in memory. If there is an error, the task must not be saved."""
        task, item = outcome.task, outcome.item
        assert task is not None  # noqa: S101 - of `_refusal`
        try:
            match item.verb:
                case Verb.DELETE:
                    task.delete(at=self._calendar.now())
                case Verb.RESTORE:
                    task.restore()
                case Verb.ADD_LABELS:
                    self._apply(actor, task, {"labels": _with_labels(task, item.value)})
                case Verb.REMOVE_LABELS:
                    self._apply(actor, task, {"labels": [each for each in task.labels if each not in item.value]})
                case _:
                    self._apply(actor, task, _changes_of(item))
        except TaskTrackerError as error:
            return within(item, error)
        return None

    def _move(self, outcomes: Sequence[Outcome], columns: Collection[Any], tasks: Mapping[TaskKey, Task]) -> None:
        moves = [Moving(each.task, each.item.value) for each in outcomes if each.task is not None]
        if moves:
            self._mover.move(moves, columns, tasks=tasks, at=self._calendar.now())
        for outcome, moving in zip(outcomes, moves, strict=True):
            outcome.error = None if moving.error is None else within(outcome.item, moving.error)

    def _save(self, outcomes: Sequence[Outcome], tasks: Mapping[TaskKey, Task]) -> None:
        done = [each for each in outcomes if each.error is None and each.task is not None]
        saved = self._bulk.save_changed([each.task for each in done if each.task], at=self._calendar.now())
        refs: dict[int, str] = {}
        for key, locked in tasks.items():
            if isinstance(key, str):
                # The present ref comes before a former one.
                refs.setdefault(id(locked), key)
        for outcome in done:
            task = outcome.task
            assert task is not None  # noqa: S101
            now = saved.get(task.id)
            outcome.is_changed = now is not None
            outcome.ref, outcome.version = (now.ref, now.version) if now else (refs[id(task)], task.version)
        if saved:
            self._uow.publish(TasksChanged(len(saved)))
        for outcome in done:
            if outcome.is_changed and outcome.task is not None and outcome.task.has_ended_recurring:
                self._uow.publish(RecurringTaskEnded(outcome.task.id))
                # One job repeats them all.
                break


def _begin(item: BulkItem, task: Task | None) -> Outcome:
    if task is None:
        return Outcome(item)
    return Outcome(item, task, task.is_active, task.project_id)


def _refusal(actor: Actor, outcome: Outcome, precondition_of: Callable[[str], Precondition]) -> TaskTrackerError | None:
    """The error that a request for this task alone would get before its changes are looked at."""
    item, task = outcome.item, outcome.task
    permission = PERMISSIONS.get(item.verb, Permission.TASK_UPDATE)
    is_restored = item.verb is Verb.RESTORE
    try:
        ensure_may(actor, permission)
        if task is None or (task.deleted_at is not None) is not is_restored:
            not_found("deleted task" if is_restored else "task", item.key)
        ensure_may(actor, permission, task)
        if task.project_id in actor.archived_project_ids:
            raise ProjectArchivedError("the project is archived, so it cannot be changed")
        ensure_unchanged("task", task, None if item.if_match is None else precondition_of(item.if_match))
    except TaskTrackerError as error:
        return error
    return None


def _ensure_distinct(outcomes: Sequence[Outcome]) -> None:
    first_of: dict[object, int] = {}
    problems = []
    for number, outcome in enumerate(outcomes):
        first = first_of.setdefault(id(outcome.task) if outcome.task is not None else outcome.item.key, number)
        if first != number:
            problems.append(FieldProblem(f"/items/{number}/task", f"is the task of item {first} again"))
    if problems:
        raise InvalidError("a request can name each task only once", problems=problems)


def _changes_of(item: BulkItem) -> TaskChanges:
    """The item as the changes of a patch, as far as it can name people and projects."""
    match item.verb:
        case Verb.PATCH:
            changes: TaskChanges = item.value
            return changes
        case Verb.ASSIGN:
            return {"assignee": item.value}
    return {}


def _with_labels(task: Task, labels: Sequence[str]) -> list[str]:
    all_labels = list(dict.fromkeys([*task.labels, *labels]))
    if len(all_labels) > MAX_LABELS:
        raise InvalidError.of("labels", f"a task has at most {MAX_LABELS} labels")
    return all_labels
