"""What becomes of the tasks below a task that is closed, deleted or moved to another project? See docs/adr/033."""

from collections.abc import Collection, Sequence
from datetime import datetime

from app.auth.actor import Actor
from app.errors import HasSubtasksError, InvalidError, OpenSubtasksError
from app.models.projects.project import Project
from app.models.tasks.task import Task
from app.queries.tasks import TaskKey
from app.repositories.projects import ProjectRepository
from app.repositories.tasks.tree import TaskTreeRepository, TreeRow

# A message names as many subtasks.
MAX_NAMED = 10


class TaskTree:
    """Each method runs inside the caller's transaction."""

    def __init__(self, tree: TaskTreeRepository, projects: ProjectRepository) -> None:
        self._tree = tree
        self._projects = projects
        self._parent_ids: dict[tuple[TaskKey, int], int | None] = {}

    def find_parent_id(self, actor: Actor, key: TaskKey, project: Project) -> int:
        """Raises InvalidError if there is no such task. Many tasks of a request often have one parent."""
        if (key, project.id) not in self._parent_ids:
            self._parent_ids[key, project.id] = self._tree.find_parent_id(actor, key, project.id)
        parent_id = self._parent_ids[key, project.id]
        if parent_id is None:
            raise InvalidError.of("parent", f"there is no task {key} in {project.key}")
        return parent_id

    def close_below(self, task: Task, *, cascade: bool, at: datetime) -> Sequence[Task]:
        """Close what is open below a task that was closed, in the same way. Return the tasks that were closed.

        Raises OpenSubtasksError if there are any, unless it is to `cascade`.
        """
        open_tasks = [each for each in self._tree.lock_below(task.id) if each.is_active]
        if open_tasks and not cascade:
            raise OpenSubtasksError(
                f"{self._names(open_tasks)} still open; close them first, or send cascade=true to close them too"
            )
        for each in open_tasks:
            each.change_status(task.status, at=at)
        self._tree.save(open_tasks, at=at)
        return open_tasks

    def delete_below(self, task: Task, *, cascade: bool, at: datetime) -> None:
        """Delete what is below a task that is deleted. Raises HasSubtasksError unless it is to `cascade`."""
        below = self._tree.lock_below(task.id)
        if below and not cascade:
            raise HasSubtasksError(
                f"{self._names(below)} below this task; move them first, or send cascade=true to delete them too"
            )
        for each in below:
            each.delete(at=at)
        self._tree.save(below, at=at)

    def end_deletion(self) -> None:
        """Raises ChangesCollidedError if somebody else has put a task below a deleted one. Save all tasks before."""
        self._tree.check_deletions()

    def ensure_may_close(self, below: Sequence[TreeRow], done_with: Collection[int]) -> None:
        """Raises OpenSubtasksError unless all open tasks below are among those that the same request closes."""
        open_tasks = [each for each in below if each.is_active and each.id not in done_with]
        if open_tasks:
            raise OpenSubtasksError(f"{self._names(open_tasks)} still open; close them first, or in the same request")

    def ensure_may_delete(self, below: Sequence[TreeRow], done_with: Collection[int]) -> None:
        """Raises HasSubtasksError unless all tasks below are among those that the same request deletes."""
        left = [each for each in below if each.id not in done_with]
        if left:
            raise HasSubtasksError(
                f"{self._names(left)} below this task; move them first, or delete them in the same request"
            )

    def list_around(
        self, task_ids: Collection[int], heads: Collection[int], *, locking: Collection[int]
    ) -> Sequence[TreeRow]:
        """List these tasks and those above them, and the heads and all tasks below those.

        Before it looks, it keeps everybody else from changing the trees of the projects `locking`. Call it once, after
        tasks and projects have been locked. From then on, saving a deleted task raises ChangesCollidedError if somebody
        has put a task below it meanwhile, so save all tasks in one statement.
        """
        return self._tree.list_around(task_ids, heads, locking=locking)

    def begin_move(self, task: Task, project: Project) -> Sequence[Task]:
        """Take everything below a task, also what is deleted, along to its new project. Return the tasks.

        The task has not been saved yet. Save it, and then call `end_move`.
        """
        below = self._tree.lock_below(task.id, include_deleted=True)
        if below:
            last_number = self._projects.take_task_numbers(project.id, len(below))
            for number, each in enumerate(below, start=last_number + 1):
                each.project_id, each.number = project.id, number
            self._tree.defer_check()
        return below

    def end_move(self, below: Sequence[Task], *, at: datetime) -> None:
        if below:
            self._tree.save(below, at=at)
            self._tree.check()

    def _names(self, tasks: Sequence[Task | TreeRow]) -> str:
        """The refs of tasks, as the subject of a sentence about them."""
        key = self._projects.get_by_id(tasks[0].project_id).key
        refs = [f"{key}-{task.number}" for task in tasks[:MAX_NAMED]]
        more = [f"{len(tasks) - MAX_NAMED} more"] if len(tasks) > MAX_NAMED else []
        return f"{', '.join(refs + more)} {'is' if len(tasks) == 1 else 'are'}"
