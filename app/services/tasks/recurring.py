"""How the next task of a recurring one is made, exactly once. See docs/adr/034."""

import logging
from datetime import date, datetime, timedelta
from time import monotonic

from app.clock import Calendar
from app.database.unit_of_work import UnitOfWork
from app.events import TaskChanged
from app.models.tasks.fields import TaskStatus
from app.models.tasks.recurrence import RuleError, next_date
from app.models.tasks.task import Task
from app.repositories.projects import ProjectRepository
from app.repositories.tasks.recurring import RecurringTaskRepository
from app.repositories.tasks.write import TaskRepository

logger = logging.getLogger(__name__)

# A run ends after this long. The next one goes on.
MAX_SECONDS = 30.0
# The fields that the next task has from the one before.
_SAME = (
    "project_id",
    "title",
    "description",
    "priority",
    "labels",
    "creator_id",
    "assignee_id",
    "estimate",
    "parent_id",
)


class RecurringTaskService:
    def __init__(
        self,
        uow: UnitOfWork,
        recurring: RecurringTaskRepository,
        tasks: TaskRepository,
        projects: ProjectRepository,
        calendar: Calendar,
    ) -> None:
        self._uow = uow
        self._recurring = recurring
        self._tasks = tasks
        self._projects = projects
        self._calendar = calendar

    def repeat_due(self) -> int:
        """Repeat each task that recurs and has ended, or whose deadline has passed. Return how many were repeated.

        The rule passes from a task to the next one in the transaction that makes the next one, so no task is repeated
        twice, whoever runs this at the same time.
        """
        ends_at = monotonic() + MAX_SECONDS
        count = 0
        while monotonic() < ends_at and self._repeat_next():
            count += 1
        return count

    def _repeat_next(self) -> bool:
        with self._uow.transaction():
            now = self._calendar.now()
            task = self._recurring.lock_next_due(now=now)
            if task is None:
                return False
            # The history names who made the task, because nobody makes the next one.
            self._uow.sign(task.creator_id)
            following = self._following(task, now)
            task.recurrence = None
            self._tasks.save_if_changed(task, at=now)
            self._uow.publish(TaskChanged(task.id))
            if following is not None:
                self._uow.publish(TaskChanged(self._tasks.add(following).id))
        return True

    def _following(self, task: Task, now: datetime) -> Task | None:
        """The next task; None if the rule has ended."""
        if task.recurrence is None or task.due_at is None:
            raise ValueError("only a task with a rule and a deadline recurs")
        zone = self._calendar.time_zone
        try:
            following = next_date(task.recurrence, due_at=task.due_at, now=now, zone=zone)
        except RuleError as error:
            # Somebody has written into the database by hand. The history keeps the text.
            logger.warning("task %d does not recur: its rule %s", task.id, error)
            return None
        if following is None:
            return None
        number = self._projects.take_task_numbers(task.project_id, 1) + 1
        days = following.due_at.astimezone(zone).date() - task.due_at.astimezone(zone).date()
        return Task(
            **{name: getattr(task, name) for name in _SAME},
            number=number,
            status=TaskStatus.TODO,
            start_on=None if task.start_on is None else _later(task.start_on, days),
            due_at=following.due_at,
            recurrence=following.rule,
            position=float(number),
            created_at=now,
            updated_at=now,
        )


def _later(day: date, by: timedelta) -> date | None:
    """None for a day beyond the years that can be kept."""
    try:
        return day + by
    except OverflowError:
        return None
