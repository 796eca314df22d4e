"""Which of many changes would break the trees of tasks? See docs/adr/030 and 033."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from app.errors import InvalidError, ParentDeletedError, TaskTrackerError
from app.models.tasks.fields import MAX_LEVELS
from app.models.tasks.task import Task
from app.repositories.tasks.tree import TreeRow
from app.repositories.tasks.write import OTHER_PROJECT, PARENT_DELETED, TOO_MANY_LEVELS
from app.services.tasks.bulk_items import Outcome, within
from app.services.tasks.tree import TaskTree


class BulkTrees:
    """Each method runs inside the caller's transaction, in which the tasks of all outcomes are locked."""

    def __init__(self, tree: TaskTree) -> None:
        self._tree = tree

    def refuse_what_breaks_them(self, outcomes: Sequence[Outcome]) -> None:
        """Give an error to each outcome that the trees do not allow, unless the same request sees to it.

        All tasks change at the same moment, so only the end counts: a task that leaves in the same request is in
        nobody's way. A closed task may get an open one, as always. If several changes are too many together, the last
        of them is refused first.
        """
        with_tasks = [(each, each.task) for each in outcomes if each.task is not None]
        changing = [(each, task) for each, task in with_tasks if each.has_closed or _changes_tree(each)]
        if not changing:
            return
        # A deletion does not wait for other changes of trees, such as those of an import. It is checked at the end.
        projects = {task.project_id for each, task in changing if _changes_tree(each) and not each.is_deleted}
        above = [id_ for _, task in changing for id_ in (task.id, task.parent_id) if id_ is not None]
        heads = [task.id for each, task in changing if not each.is_restored]
        forest = _Forest(self._tree.list_around(above, heads, locking=projects))
        for each, task in changing:
            forest.change(each, task)
        while self._refuse(changing, forest):
            pass

    def _refuse(self, changing: Sequence[tuple[Outcome, Task]], forest: "_Forest") -> bool:
        """True if an outcome was refused. It no longer sees to the tasks of the others then."""
        done = [(each, task) for each, task in changing if each.error is None]
        refused = False
        for each, task in reversed(done):
            each.error = self._refusal(each, task, forest)
            if each.error is not None:
                forest.undo(task)
                refused = True
        return refused

    def _refusal(self, outcome: Outcome, task: Task, forest: "_Forest") -> TaskTrackerError | None:
        below = forest.list_below(task.id)
        present = [each for each in below if not each.is_deleted]
        try:
            if outcome.is_deleted:
                self._tree.ensure_may_delete(present, forest.deleted)
            if outcome.has_closed:
                self._tree.ensure_may_close(present, forest.closed | forest.deleted)
            if outcome.has_moved and below:
                raise InvalidError.of("project", "there are tasks below; move it alone, and they come along")
            if outcome.is_restored and forest.is_deleted(task.parent_id):
                raise ParentDeletedError(PARENT_DELETED)
            if outcome.changes_parent:
                forest.ensure_may_stay(task.id)
        except TaskTrackerError as error:
            return within(outcome.item, error)
        return None


class _Forest:
    """Tasks with their parents, as they will be after the changes."""

    def __init__(self, rows: Collection[TreeRow]) -> None:
        self._rows = {row.id: row for row in rows}
        self._parents = {row.id: row.parent_id for row in rows}
        self._projects = {row.id: row.project_id for row in rows}
        self._children: dict[int | None, set[int]] = defaultdict(set)
        self._children_before: dict[int | None, list[int]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row.id):
            self._children[row.parent_id].add(row.id)
            self._children_before[row.parent_id].append(row.id)
        self.closed: set[int] = set()
        self.deleted: set[int] = set()
        self._restored: set[int] = set()

    def change(self, outcome: Outcome, task: Task) -> None:
        self._put(task.id, task.parent_id)
        self._projects[task.id] = task.project_id
        for ids, is_one in (
            (self.closed, outcome.has_closed),
            (self.deleted, outcome.is_deleted),
            (self._restored, outcome.is_restored),
        ):
            if is_one:
                ids.add(task.id)

    def undo(self, task: Task) -> None:
        """Leave the task as it is, because its change was refused."""
        self._put(task.id, self._rows[task.id].parent_id)
        self._projects[task.id] = self._rows[task.id].project_id
        for ids in (self.closed, self.deleted, self._restored):
            ids.discard(task.id)

    def list_below(self, task_id: int) -> Sequence[TreeRow]:
        """The tasks that are below a task before the changes and after them, in the order of their ids."""
        children = self._children_before[task_id]
        ids = [*children, *(id_ for child in children for id_ in self._children_before[child])]
        return [self._rows[id_] for id_ in sorted(ids) if task_id in self._above(id_)]

    def is_deleted(self, task_id: int | None) -> bool:
        if task_id is None or task_id in self._restored:
            return False
        return task_id in self.deleted or self._rows[task_id].is_deleted

    def ensure_may_stay(self, task_id: int) -> None:
        """Raises InvalidError if the task cannot have the parent that it is to have."""
        parent_id = self._parents[task_id]
        if parent_id is None:
            return
        if parent_id in self.deleted:
            raise InvalidError.of("parent", "is deleted by the same request")
        if self.is_deleted(parent_id):
            raise ParentDeletedError(PARENT_DELETED)
        if self._projects[parent_id] != self._projects[task_id]:
            raise InvalidError.of("parent", OTHER_PROJECT)
        # A circle has no end, so it has too many levels.
        if sum(1 for _ in self._above(task_id)) + self._levels_from(task_id, MAX_LEVELS) > MAX_LEVELS:
            raise InvalidError.of("parent", TOO_MANY_LEVELS)

    def _put(self, task_id: int, parent_id: int | None) -> None:
        self._children[self._parents[task_id]].discard(task_id)
        self._children[parent_id].add(task_id)
        self._parents[task_id] = parent_id

    def _above(self, task_id: int) -> Iterator[int]:
        """The tasks above a task, up to one more than there may be."""
        parent_id = self._parents[task_id]
        for _ in range(MAX_LEVELS):
            if parent_id is None:
                return
            yield parent_id
            parent_id = self._parents.get(parent_id)

    def _levels_from(self, task_id: int, most: int) -> int:
        """How many levels there are from a task on downwards, counted up to `most`."""
        if most == 1:
            return 1
        return 1 + max((self._levels_from(child, most - 1) for child in self._children[task_id]), default=0)


def _changes_tree(outcome: Outcome) -> bool:
    """True if the triggers of trees look at the change."""
    return outcome.is_deleted or outcome.is_restored or outcome.changes_parent or outcome.has_moved
