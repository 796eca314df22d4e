"""The events of the domain, in the past tense; `composition/reactions.py` holds the reaction to each."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """A task was created, changed, deleted or restored."""

    task_id: int


@dataclass(frozen=True, slots=True)
class TasksChanged:
    """Several tasks were changed by one request."""

    task_count: int


@dataclass(frozen=True, slots=True)
class RecurringTaskEnded:
    """A task that recurs has ended, so the next one is due."""

    task_id: int


@dataclass(frozen=True, slots=True)
class CommentChanged:
    """A comment was written, edited, deleted or restored."""

    comment_id: int
    task_id: int


@dataclass(frozen=True, slots=True)
class TasksReassigned:
    """Tasks of one user were given to another."""

    from_id: int
    to_id: int
    task_count: int


@dataclass(frozen=True, slots=True)
class TasksImported:
    """Tasks were created or changed from one block of an import's rows."""

    import_id: int
    task_count: int


@dataclass(frozen=True, slots=True)
class ImportWaiting:
    """An import was staged, or a worker left it to the next one."""

    import_id: int


@dataclass(frozen=True, slots=True)
class DayLogRequested:
    log_date: date


@dataclass(frozen=True, slots=True)
class DayLogged:
    log_date: date
    task_count: int


@dataclass(frozen=True, slots=True)
class UserChanged:
    user_id: int


@dataclass(frozen=True, slots=True)
class UserMerged:
    """A made-up user was merged into another one, who has their tasks and projects now."""

    user_id: int
    into_id: int
    by_id: int


@dataclass(frozen=True, slots=True)
class SessionEnded:
    session_id: UUID


@dataclass(frozen=True, slots=True)
class TokenRevoked:
    token_id: int


@dataclass(frozen=True, slots=True)
class ProjectChanged:
    """A project's name or membership changed, and with it what its members may see."""

    project_id: int


Event = (
    TaskChanged
    | RecurringTaskEnded
    | CommentChanged
    | TasksChanged
    | TasksReassigned
    | TasksImported
    | ImportWaiting
    | DayLogRequested
    | DayLogged
    | UserChanged
    | UserMerged
    | SessionEnded
    | TokenRevoked
    | ProjectChanged
)
