"""What can happen, in the past tense; `composition.react_to` says what follows from each."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """A task was created, changed, deleted or restored."""

    task_id: int


@dataclass(frozen=True, slots=True)
class TasksImported:
    """A part of an import was committed."""

    import_id: int
    task_count: int


@dataclass(frozen=True, slots=True)
class ImportWaiting:
    """An import is staged, or was left to the next worker."""

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
class SessionEnded:
    session_id: UUID


@dataclass(frozen=True, slots=True)
class ProjectChanged:
    """A project's name or membership changed, so what its members may see did too."""

    project_id: int


Event = (
    TaskChanged
    | TasksImported
    | ImportWaiting
    | DayLogRequested
    | DayLogged
    | UserChanged
    | SessionEnded
    | ProjectChanged
)
