"""A plain model of the record: each task's versions, and each day as it should be logged."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.models.tasks.fields import ACTIVE_STATUSES
from tests.record.days import BEGINNING_OF_TIME, TICK, end_of, first_instant


class State(NamedTuple):
    """The fields of a task's version that this test changes."""

    title: str
    status: str
    priority: str
    assignee_id: int | None
    labels: tuple[str, ...]
    due_at: datetime | None
    project_id: int
    number: int
    external_ref: str | None = None
    is_deleted: bool = False

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE_STATUSES and not self.is_deleted

    def as_logged(self, task_id: int) -> tuple[object, ...]:
        return (
            task_id,
            self.project_id,
            self.number,
            self.title,
            self.status,
            self.priority,
            self.assignee_id,
            self.due_at,
        )


@dataclass(frozen=True)
class TaskModel:
    versions: list[tuple[datetime, State]]
    removed_at: datetime | None = None

    @property
    def state(self) -> State:
        return self.versions[-1][1]

    def state_before(self, instant: datetime) -> State | None:
        if self.removed_at is not None and self.removed_at < instant:
            return None
        return next((state for at, state in reversed(self.versions) if at < instant), None)


Rows = set[tuple[object, ...]]


@dataclass
class Held:
    """A transaction that is still open: when it began, and what becomes true if it commits."""

    begun_at: datetime
    tasks: dict[int, TaskModel] = field(default_factory=dict)

    def has_written_before(self, instant: datetime) -> bool:
        return bool(self.tasks) and self.begun_at < instant


@dataclass
class Model:
    """The record as the product promises it."""

    zone: ZoneInfo
    now: datetime
    closed_until: datetime = BEGINNING_OF_TIME
    tasks: dict[int, TaskModel] = field(default_factory=dict)
    closed: dict[date, Rows] = field(default_factory=dict)
    # Days that were logged up to now on request.
    provisional: dict[date, Rows] = field(default_factory=dict)
    requested: set[date] = field(default_factory=set)
    last_numbers: Counter[int] = field(default_factory=Counter)
    held: Held | None = None

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def list_ids(self, *, is_deleted: bool | None = None) -> list[int]:
        """List the ids of the tasks that exist and that no open transaction has locked."""
        return [
            task_id
            for task_id, task in sorted(self.tasks.items())
            if task.removed_at is None
            and (is_deleted is None or task.state.is_deleted is is_deleted)
            and (self.held is None or task_id not in self.held.tasks)
        ]

    def instant_after(self, task: TaskModel | None, begun_at: datetime | None) -> datetime:
        """The time that history records for a change by a transaction that began then, or now."""
        instant = max(begun_at or self.now, self.closed_until)
        return instant if task is None else max(instant, task.versions[-1][0] + TICK)

    def create(self, task_id: int, state: State) -> None:
        assert task_id not in self.tasks
        self.tasks[task_id] = self.created(state)

    def change(self, task_id: int, state: State) -> None:
        self.tasks[task_id] = self.changed(self.tasks[task_id], state)

    def remove(self, task_id: int) -> None:
        self.tasks[task_id] = self.removed(self.tasks[task_id])

    def created(self, state: State, *, begun_at: datetime | None = None) -> TaskModel:
        return TaskModel([(self.instant_after(None, begun_at), state)])

    def changed(self, task: TaskModel, state: State, *, begun_at: datetime | None = None) -> TaskModel:
        if state == task.state:
            return task
        return TaskModel([*task.versions, (self.instant_after(task, begun_at), state)])

    def removed(self, task: TaskModel, *, begun_at: datetime | None = None) -> TaskModel:
        return TaskModel(task.versions, removed_at=self.instant_after(task, begun_at))

    def take_number(self, project_id: int) -> int:
        self.last_numbers[project_id] += 1
        return self.last_numbers[project_id]

    def active_before(self, instant: datetime) -> Rows:
        states = ((task_id, task.state_before(instant)) for task_id, task in self.tasks.items())
        return {state.as_logged(task_id) for task_id, state in states if state is not None and state.is_active}

    def active_now(self) -> Rows:
        there = ((task_id, task.state) for task_id, task in self.tasks.items() if task.removed_at is None)
        return {state.as_logged(task_id) for task_id, state in there if state.is_active}

    def list_days_over(self) -> list[date]:
        """List the days from the first task to yesterday, without those that the zone skipped."""
        if not self.tasks:
            return []
        day = min(task.versions[0][0] for task in self.tasks.values()).astimezone(self.zone).date()
        days = []
        while day < self.today:
            if first_instant(day, self.zone) < end_of(day, self.zone):
                days.append(day)
            day += timedelta(days=1)
        return days

    def run_job(self) -> list[date]:
        logged = []
        missing = [day for day in self.list_days_over() if day not in self.closed]
        for day in sorted({*self.requested, *missing}):
            end = end_of(day, self.zone)
            if end <= self.now:
                self.closed_until = max(self.closed_until, end)
                if day not in self.closed:
                    if self.held is not None and self.held.has_written_before(end):
                        continue
                    self.closed[day] = self.active_before(end)
                    self.provisional.pop(day, None)
                    logged.append(day)
            elif day not in self.closed:
                self.provisional[day] = self.active_now()
                logged.append(day)
            self.requested.discard(day)
        return logged
