"""The fields of a task: each is declared here once, for its tables, its lists, its history, the daily log and CSV.

A new field needs a column in one of the two mixins and a row in FIELDS. The mixin says which tables have the column.
The row says what clients call the field, whether they set it, and what CSV files do with it.
"""

from copy import copy
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, StrEnum, auto
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import word_enum
from app.models.projects.project import PROJECT_KEY_PATTERN

MAX_TITLE_LENGTH = 255
MAX_DESCRIPTION_LENGTH = 20_000
MAX_LABELS = 20
MAX_LABEL_LENGTH = 50
MAX_EXTERNAL_REF_LENGTH = 255
MAX_ESTIMATE = 1_000_000
# A task, its subtasks, and theirs.
MAX_LEVELS = 3
# A project's key and the task's number in it, such as OPS-42. Every such number fits into a bigint.
REF_PATTERN = PROJECT_KEY_PATTERN.removesuffix("$") + r"-[0-9]{1,18}$"


class TaskStatus(StrEnum):
    TODO = "todo"
    IN_PROGRESS = "in_progress"
    BLOCKED = "blocked"
    DONE = "done"
    CANCELLED = "cancelled"


class TaskPriority(StrEnum):
    """In rising order: PostgreSQL sorts an enum by its declaration."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


ACTIVE_STATUSES = (TaskStatus.TODO, TaskStatus.IN_PROGRESS, TaskStatus.BLOCKED)


class LoggedColumns:
    """The columns that tasks, their history and the daily log all have."""

    project_id: Mapped[int]
    number: Mapped[int]
    title: Mapped[str]
    status: Mapped[TaskStatus] = mapped_column(word_enum(TaskStatus, "task_status"))
    priority: Mapped[TaskPriority] = mapped_column(word_enum(TaskPriority, "task_priority"))
    assignee_id: Mapped[int | None]
    due_at: Mapped[datetime | None]


class VersionedColumns(LoggedColumns):
    """The columns that tasks and their history have."""

    description: Mapped[str]
    labels: Mapped[list[str]]
    creator_id: Mapped[int]
    # The task's id in another system. An import finds the task by it.
    external_ref: Mapped[str | None]
    parent_id: Mapped[int | None]
    start_on: Mapped[date | None]
    # In the workspace's unit of estimates.
    estimate: Mapped[float | None]
    # A recurrence rule of RFC 5545, without its name. The deadline is the first day that it counts from.
    recurrence: Mapped[str | None]
    position: Mapped[float]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    version: Mapped[int]


LOGGED_COLUMNS = tuple(LoggedColumns.__annotations__)
VERSIONED_COLUMNS = (*LOGGED_COLUMNS, *VersionedColumns.__annotations__)


class CsvUse(Enum):
    """What CSV files do with a field. A file that we write has every field that an import reads."""

    # Imports pass over the column.
    WRITTEN = auto()
    # An import finds a row's task by it, and never changes it.
    IDENTIFIES = auto()
    # An import sets it, and changes it where a row's task exists already.
    READ = auto()
    # An import sets it together with the status that it belongs to, and never changes it by itself.
    DATES_STATUS = auto()
    # It names another task, which may be a row of the same file. An import sets it after it has read all rows.
    LINKS = auto()


class _NoDefault(Enum):
    NO_DEFAULT = auto()


@dataclass(frozen=True, slots=True)
class TaskField:
    """A field as clients see it."""

    name: str
    # The column that stores the field, if it has another name. It stores an id for a name, and the number of a ref.
    column: str = ""
    # The value of a new task that does not name the field.
    default: Any = _NoDefault.NO_DEFAULT
    # Clients set it, and it is stored as they send it.
    is_plain: bool = False
    # A change of the field appears in the task's history.
    is_in_history: bool = True
    csv: CsvUse | None = None
    # Other names that the field's column may have in an import file.
    headers: tuple[str, ...] = ()

    @property
    def column_name(self) -> str:
        return self.column or self.name


# In the order in which a task's JSON, its history and the daily log show them.
FIELDS = (
    TaskField("id", is_in_history=False),
    TaskField("ref", "number", csv=CsvUse.WRITTEN),
    TaskField("project", "project_id", csv=CsvUse.WRITTEN),
    TaskField("title", is_plain=True, csv=CsvUse.READ, headers=("task_name", "task", "name", "summary", "subject")),
    TaskField("description", default="", is_plain=True, csv=CsvUse.READ, headers=("details", "body", "notes")),
    TaskField("status", default=TaskStatus.TODO, csv=CsvUse.READ, headers=("state",)),
    TaskField("priority", default=TaskPriority.MEDIUM, is_plain=True, csv=CsvUse.READ),
    TaskField("labels", default=[], is_plain=True, csv=CsvUse.READ, headers=("tags", "label")),
    TaskField("creator", "creator_id", is_in_history=False),
    TaskField(
        "assignee",
        "assignee_id",
        default=None,
        csv=CsvUse.READ,
        headers=("assigned_user", "assigned_to", "assignee_username"),
    ),
    TaskField("start_on", default=None, is_plain=True, csv=CsvUse.READ, headers=("start", "start_date")),
    TaskField("due_at", default=None, is_plain=True, csv=CsvUse.READ, headers=("due", "due_date", "deadline")),
    TaskField("estimate", default=None, is_plain=True, csv=CsvUse.READ, headers=("story_points",)),
    TaskField("recurrence", default=None, is_plain=True, csv=CsvUse.READ),
    TaskField("parent", "parent_id", default=None, csv=CsvUse.LINKS, headers=("parent_ref",)),
    TaskField("subtask_count", is_in_history=False),
    TaskField("subtasks_done", is_in_history=False),
    TaskField("progress", is_in_history=False),
    TaskField("external_ref", default=None, is_plain=True, csv=CsvUse.IDENTIFIES, headers=("external_id",)),
    TaskField("position", is_plain=True, is_in_history=False),
    TaskField("comment_count", is_in_history=False),
    TaskField(
        "created_at",
        csv=CsvUse.IDENTIFIES,
        headers=("created", "created_date", "date_created", "creation_date"),
    ),
    TaskField("updated_at", is_in_history=False),
    TaskField("started_at", csv=CsvUse.DATES_STATUS),
    TaskField(
        "completed_at",
        csv=CsvUse.DATES_STATUS,
        headers=("completed_date", "date_completed", "completion_date", "resolved_at", "closed_at"),
    ),
    TaskField("deleted_at"),
    TaskField("version", is_in_history=False),
)

FIELD_NAMES = tuple(field.name for field in FIELDS)
LOGGED = tuple(field for field in FIELDS if field.column_name in LOGGED_COLUMNS)
PLAIN = tuple(field.name for field in FIELDS if field.is_plain)
# The columns of CSV files that we write. `external_ref` stands last, because people do not read it.
EXPORTED = tuple(sorted((field.name for field in FIELDS if field.csv), key=lambda name: name == "external_ref"))
_BY_NAME = {field.name: field for field in FIELDS}
# The fields that an import reads.
READ_FROM_FILES = tuple(name for name in EXPORTED if _BY_NAME[name].csv is not CsvUse.WRITTEN)
# Those of them that a row sets by itself, each with its column of tasks.
IMPORTED_COLUMNS = {
    name: _BY_NAME[name].column_name for name in READ_FROM_FILES if _BY_NAME[name].csv is not CsvUse.LINKS
}
IMPORTED = tuple(IMPORTED_COLUMNS)
# The fields that an import changes if a row's task exists already.
UPDATED = tuple(name for name in IMPORTED if _BY_NAME[name].csv is CsvUse.READ)


def defaults() -> dict[str, Any]:
    """The value of each field that has a default. Each call returns copies."""
    return {field.name: copy(field.default) for field in FIELDS if field.default is not _NoDefault.NO_DEFAULT}
