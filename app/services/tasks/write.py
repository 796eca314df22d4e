"""How tasks are written: created, changed, deleted and restored."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NoReturn, TypedDict

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Calendar, deadline_from, in_zone
from app.database.unit_of_work import UnitOfWork
from app.errors import InvalidError, not_found
from app.events import RecurringTaskEnded, TaskChanged
from app.models.people.user import User
from app.models.projects.project import DEFAULT_PROJECT_KEY, Project
from app.models.tasks.fields import PLAIN, TaskPriority, TaskStatus, defaults
from app.models.tasks.recurrence import NEEDS_DEADLINE
from app.models.tasks.task import Task
from app.queries.pages import Precondition, ensure_unchanged
from app.queries.tasks import TaskKey, TaskView
from app.repositories.people import UserRepository
from app.repositories.projects import ProjectRepository
from app.repositories.tasks.write import TaskRepository
from app.services.tasks.tree import TaskTree

# A new status, or a function that returns it for the current one.
NewStatus = TaskStatus | Callable[[TaskStatus], TaskStatus]


class TaskChanges(TypedDict, total=False):
    """The fields of a task that a client may set. An absent field stays as it is; None removes the value."""

    title: str
    description: str
    project: str
    status: NewStatus
    priority: TaskPriority
    labels: list[str]
    assignee: str | None
    # A date means the end of that day in the workspace's time zone.
    due_at: date | datetime | None
    start_on: date | None
    estimate: float | None
    recurrence: str | None
    parent: TaskKey | None
    external_ref: str | None
    position: float
    created_at: datetime


class TaskService:
    def __init__(
        self,
        uow: UnitOfWork,
        tasks: TaskRepository,
        projects: ProjectRepository,
        users: UserRepository,
        tree: TaskTree,
        calendar: Calendar,
    ) -> None:
        self._uow = uow
        self._tasks = tasks
        self._projects = projects
        self._users = users
        self._tree = tree
        self._calendar = calendar

    def create(self, actor: Actor, values: TaskChanges) -> TaskView:
        """Create a task. If adding it fails, its number usually stays unused."""
        ensure_may(actor, Permission.TASK_CREATE)
        key, name = values.get("project", DEFAULT_PROJECT_KEY), values.get("assignee")
        assignee_id = self._find_assignee_id(actor, name, key) if name is not None else None
        # Not in the transaction of the task: the project's row would be locked until that is on the disk, and the tasks
        # of a project could only be created one after the other.
        with self._uow.single_statements():
            project_id, number = self._projects.take_task_number(actor, key) or _no_project(key)
        fields = {"position": float(number), **defaults(), **values}
        fields["due_at"] = self._deadline_of(fields["due_at"])
        _ensure_due_to_recur(fields["recurrence"], fields["due_at"])
        with self._uow.transaction(by=actor):
            parent = values.get("parent")
            parent_id = None if parent is None else self._find_parent_id(actor, parent, project_id)
            # The history begins with the transaction, so a list as of this time has the task.
            now = self._calendar.now()
            task = Task(
                project_id=project_id,
                number=number,
                status=TaskStatus.TODO,
                creator_id=actor.user_id,
                assignee_id=assignee_id,
                parent_id=parent_id,
                created_at=in_zone(values.get("created_at", now), self._calendar.time_zone),
                updated_at=now,
                **{name: fields[name] for name in PLAIN},
            )
            task.change_status(_status_of(values, task), at=now)
            view = self._tasks.add(task)
            task.id = view.id
            publish_change(self._uow, task)
        return view

    def change(
        self,
        actor: Actor,
        key: TaskKey,
        changes: TaskChanges,
        *,
        may_overwrite: Precondition | None = None,
        cascade: bool = False,
    ) -> TaskView:
        """Change only the fields in `changes`. If no value is different, the task keeps its version.

        Raises OpenSubtasksError if it would close a task above open ones, unless it is to `cascade`.
        """
        with self._uow.transaction(by=actor):
            task = self._get_for_update(actor, key, Permission.TASK_UPDATE, may_overwrite)
            project_id, was_active = task.project_id, task.is_active
            self._apply(actor, task, changes)
            now = self._calendar.now()
            if was_active and not task.is_active:
                for closed in self._tree.close_below(task, cascade=cascade, at=now):
                    publish_change(self._uow, closed)
            below = self._begin_move(task) if task.project_id != project_id else ()
            view = self._tasks.save_if_changed(task, at=now)
            if view is None:
                return self._tasks.get_view(actor, task.id, include_deleted=False) or not_found("task", key)
            self._tree.end_move(below, at=now)
            publish_change(self._uow, task)
            return view

    def delete(
        self, actor: Actor, key: TaskKey, *, may_overwrite: Precondition | None = None, cascade: bool = False
    ) -> None:
        """Soft-delete a task: its history stays, and it can be restored.

        Raises HasSubtasksError if there are tasks below it, unless it is to `cascade`.
        """
        with self._uow.transaction(by=actor):
            task = self._get_for_update(actor, key, Permission.TASK_DELETE, may_overwrite)
            now = self._calendar.now()
            self._tree.delete_below(task, cascade=cascade, at=now)
            task.delete(at=now)
            self._tasks.save_if_changed(task, at=now)
            self._tree.end_deletion()
            self._uow.publish(TaskChanged(task.id))

    def restore(self, actor: Actor, key: TaskKey) -> TaskView:
        """Restore a deleted task.

        Raises NotFoundError for a task that is not deleted, and ParentDeletedError if the task above it is.
        """
        ensure_may(actor, Permission.TASK_RESTORE)
        with self._uow.transaction(by=actor):
            task = self._tasks.get_for_update(actor, key, deleted=True) or not_found("deleted task", key)
            task.restore()
            view = self._tasks.save_if_changed(task, at=self._calendar.now()) or not_found("deleted task", key)
            self._uow.publish(TaskChanged(task.id))
            return view

    def _get_for_update(
        self, actor: Actor, key: TaskKey, permission: Permission, may_overwrite: Precondition | None
    ) -> Task:
        task = self._tasks.get_for_update(actor, key) or not_found("task", key)
        ensure_may(actor, permission, task)
        ensure_unchanged("task", task, may_overwrite)
        return task

    def _apply(self, actor: Actor, task: Task, changes: TaskChanges) -> None:
        now = self._calendar.now()
        plain: Mapping[str, Any] = {name: value for name, value in changes.items() if name in PLAIN}
        for name, value in plain.items():
            setattr(task, name, self._deadline_of(value) if name == "due_at" else value)
        if "created_at" in changes:
            task.created_at = in_zone(changes["created_at"], self._calendar.time_zone)
        task.change_status(_status_of(changes, task), at=now)
        if "recurrence" in changes or "due_at" in changes:
            _ensure_due_to_recur(task.recurrence, task.due_at)
        if "project" in changes or "assignee" in changes:
            self._apply_project_and_assignee(actor, task, changes)
        if "parent" in changes:
            parent = changes["parent"]
            task.parent_id = None if parent is None else self._find_parent_id(actor, parent, task.project_id)

    def _apply_project_and_assignee(self, actor: Actor, task: Task, changes: TaskChanges) -> None:
        """Apply both fields together, because a new assignee must be in the project that the task ends up in.

        If neither value changes, the assignee may stay, even if they are not in the project.
        """
        project = self._projects.get_by_id(task.project_id)
        has_moved = False
        if "project" in changes:
            target = self._find_project(actor, changes["project"])
            has_moved = target.id != project.id
            if has_moved:
                target.ensure_open()
            project = target
        user = self._users.get(task.assignee_id) if task.assignee_id is not None else None
        if "assignee" in changes:
            name = changes["assignee"]
            is_same = user is not None and name is not None and self._is_called(user, name)
            if has_moved or not is_same:
                user = self._find_assignee(name, project) if name is not None else None
        elif has_moved and user is not None and not self._may_be_assigned(user, project):
            raise InvalidError.of("project", f"the assignee {user.username} is not an active user in {project.key}")
        task.assignee_id = user.id if user is not None else None
        if has_moved:
            if task.parent_id is not None and "parent" not in changes:
                raise InvalidError.of("project", "the task is a subtask; set its parent to null to move it alone")
            task.number = self._projects.take_task_numbers(project.id, 1) + 1
            task.project_id = project.id
            # Like a new task: at the bottom of its column.
            task.position = changes.get("position", float(task.number))

    def _begin_move(self, task: Task) -> Sequence[Task]:
        """Take the tasks below along. Refuse if one has an assignee who may not be assigned in the new project."""
        project = self._projects.get_by_id(task.project_id)
        below = self._tree.begin_move(task, project)
        assignee_ids = {each.assignee_id for each in below if each.deleted_at is None}
        for assignee_id in assignee_ids - {None}:
            user = None if assignee_id is None else self._users.get(assignee_id)
            if user is not None and not self._may_be_assigned(user, project):
                raise InvalidError.of(
                    "project", f"the assignee {user.username} of a subtask is not an active user in {project.key}"
                )
        return below

    def _find_parent_id(self, actor: Actor, key: TaskKey, project_id: int) -> int:
        return self._tree.find_parent_id(actor, key, self._projects.get_by_id(project_id))

    def _deadline_of(self, written: date | None) -> datetime | None:
        return None if written is None else deadline_from(written, self._calendar.time_zone)

    def _find_assignee_id(self, actor: Actor, name: str, project_key: str) -> int:
        with self._uow.transaction():
            return self._find_assignee(name, self._find_project(actor, project_key)).id

    def _find_project(self, actor: Actor, key: str) -> Project:
        return self._projects.get(actor, key) or _no_project(key)

    def _find_assignee(self, name: str, project: Project) -> User:
        """Refuse unknown, inactive and other projects' users with one message, since not everybody may list users."""
        user = self._users.get_by_name(name)
        if user is None or not self._may_be_assigned(user, project):
            raise InvalidError.of("assignee", f"there is no active user {name} in {project.key}")
        return user

    def _is_called(self, user: User, name: str) -> bool:
        """An email address means the user who has it, even if it is the username of another."""
        if "@" not in name:
            return user.username.lower() == name.lower()
        named = self._users.get_by_name(name)
        return named is not None and named.id == user.id

    def _may_be_assigned(self, user: User, project: Project) -> bool:
        return user.is_active and self._projects.is_in(project, user)


def publish_change(uow: UnitOfWork, task: Task) -> None:
    uow.publish(TaskChanged(task.id))
    if task.has_ended_recurring:
        uow.publish(RecurringTaskEnded(task.id))


def _ensure_due_to_recur(recurrence: str | None, due_at: datetime | None) -> None:
    if recurrence is not None and due_at is None:
        raise InvalidError.of("recurrence", NEEDS_DEADLINE)


def _no_project(key: str) -> NoReturn:
    raise InvalidError.of("project", f"there is no project {key}")


def _status_of(changes: TaskChanges, task: Task) -> TaskStatus:
    status = changes.get("status", task.status)
    return status if isinstance(status, TaskStatus) else status(task.status)
