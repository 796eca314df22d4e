"""The shape of tasks as they come in and go out, and of the filters of a list."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from app.csv_files.words import PRIORITY_ALIASES, STATUS_ALIASES, priority_from, status_from
from app.models.people.user import MAX_USERNAME_LENGTH
from app.models.projects.project import DEFAULT_PROJECT_KEY, PROJECT_KEY_PATTERN
from app.models.tasks.fields import (
    MAX_DESCRIPTION_LENGTH,
    MAX_EXTERNAL_REF_LENGTH,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_TITLE_LENGTH,
    TaskPriority,
    TaskStatus,
    defaults,
)
from app.queries.tasks import SORT_NAMES, TaskQuery
from app.schemas.base import (
    BoundedList,
    DelimitedList,
    Moment,
    Number,
    PageQuery,
    SomeOf,
    StrictSchema,
    Text,
    WholeRegexp,
    page_schema,
)
from app.services.tasks.history import TaskEvent

MAX_SEARCH_LENGTH = 200
MAX_FILTER_VALUES = 20


def _words_for(ours: type[StrEnum], aliases: Mapping[str, StrEnum]) -> dict[str, Any]:
    """For the OpenAPI document: our words, and those of other trackers."""
    # A generated client makes a name of each word, and cannot tell some apart from others because of an apostrophe.
    others = sorted(word for word in set(aliases) - set(ours) if "'" not in word)
    description = "words of other trackers; the server takes every word in any case, with spaces or hyphens too"
    return {"anyOf": [{"enum": list(ours)}, {"enum": others, "description": description}]}


class Status(fields.String):
    """A status, by our word for it or another tracker's."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata=_words_for(TaskStatus, STATUS_ALIASES), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> TaskStatus:
        status = status_from(str(super()._deserialize(value, attr, data, **kwargs)))
        if status is None:
            raise ValidationError(f"Must be one of: {', '.join(TaskStatus)}.")
        return status


class Priority(fields.String):
    """A priority, by our word for it or another tracker's."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata=_words_for(TaskPriority, PRIORITY_ALIASES), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> TaskPriority:
        priority = priority_from(str(super()._deserialize(value, attr, data, **kwargs)))
        if priority is None:
            raise ValidationError(f"Must be one of: {', '.join(TaskPriority)}.")
        return priority


class ProjectKey(fields.String):
    """A project's key. Lower-case letters are accepted, too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=WholeRegexp(PROJECT_KEY_PATTERN, error="Not a project key."), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return str(super()._deserialize(value, attr, data, **kwargs)).upper()


class Labels(BoundedList):
    """Each label once, in the order of first appearance."""

    def __init__(self) -> None:
        label = Text(min_length=1, max_length=MAX_LABEL_LENGTH)
        super().__init__(label, max_length=MAX_LABELS)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        return list(dict.fromkeys(super()._deserialize(value, attr, data, **kwargs)))


class _TaskFields(StrictSchema):
    description = Text(max_length=MAX_DESCRIPTION_LENGTH)
    status = Status()
    priority = Priority()
    labels = Labels()
    assignee = Text(
        min_length=1,
        max_length=MAX_USERNAME_LENGTH,
        allow_none=True,
        metadata={"description": "the username of an active user in the project, or of an admin"},
    )
    due_at = Moment(allow_none=True)
    external_ref = Text(
        min_length=1,
        max_length=MAX_EXTERNAL_REF_LENGTH,
        allow_none=True,
        metadata={
            "description": "the name of the task in another system; need not be unique; an import finds the task by it"
        },
    )
    position = Number(metadata={"description": "the place on the board, smallest first"})


class TaskInput(_TaskFields):
    """A new task."""

    title = Text(min_length=1, max_length=MAX_TITLE_LENGTH, required=True)
    project = ProjectKey(load_default=DEFAULT_PROJECT_KEY)


class TaskReplacement(_TaskFields):
    """A whole task: an absent field goes back to its default, except the project and the position, which stay."""

    title = Text(min_length=1, max_length=MAX_TITLE_LENGTH, required=True)
    project = ProjectKey()

    @post_load
    def _fill_in(self, values: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return defaults() | values


class TaskPatch(_TaskFields, SomeOf):
    """An absent field stays as it is; null removes the value."""

    title = Text(min_length=1, max_length=MAX_TITLE_LENGTH)
    project = ProjectKey()


class TaskStatusChange(SomeOf):
    """A status, a deadline, or both."""

    status = Status()
    due_at = Moment(allow_none=True)


_SEPARATED = {"description": "one or more, separated by commas"}


class TaskFilters(StrictSchema):
    """The filters of a task list and of an export."""

    status = DelimitedList(Status(), max_length=MAX_FILTER_VALUES, metadata=_SEPARATED)
    priority = DelimitedList(Priority(), max_length=MAX_FILTER_VALUES, metadata=_SEPARATED)
    project = DelimitedList(ProjectKey(), max_length=MAX_FILTER_VALUES, metadata=_SEPARATED)
    assignee = Text(max_length=MAX_USERNAME_LENGTH, metadata={"description": "a username, an id, `me` or `none`"})
    creator = Text(max_length=MAX_USERNAME_LENGTH, metadata={"description": "a username, an id or `me`"})
    label = DelimitedList(
        Text(max_length=MAX_LABEL_LENGTH),
        max_length=MAX_FILTER_VALUES,
        metadata={"description": "tasks that have all of these labels, which are separated by commas"},
    )
    due_before = Moment(metadata={"description": "excludes this time"})
    due_after = Moment(metadata={"description": "includes this time"})
    created_before = Moment(metadata={"description": "excludes this time"})
    created_after = Moment(metadata={"description": "includes this time"})
    started_before = Moment(metadata={"description": "excludes this time, and tasks that have not been started"})
    started_after = Moment(metadata={"description": "includes this time"})
    completed_before = Moment(metadata={"description": "excludes this time, and tasks that have not been completed"})
    completed_after = Moment(metadata={"description": "includes this time"})
    overdue = fields.Boolean(metadata={"description": "`true`: active tasks past their deadline; `false`: all others"})
    updated_since = Moment(metadata={"description": "includes this time"})
    q = Text(
        max_length=MAX_SEARCH_LENGTH,
        metadata={"description": 'words in title or description; `"a phrase"`, `or`, `-without`'},
    )
    deleted = fields.Boolean(
        load_default=False, metadata={"description": "`true`: only deleted tasks; managers and admins"}
    )

    @post_load
    def _query(self, values: dict[str, Any], **_kwargs: Any) -> TaskQuery:
        return TaskQuery(
            statuses=tuple(values.pop("status", ())),
            priorities=tuple(values.pop("priority", ())),
            projects=tuple(values.pop("project", ())),
            labels=tuple(values.pop("label", ())),
            **values,
        )


class TaskListQuery(TaskFilters, PageQuery):
    as_of = Moment(metadata={"description": "the list as it was at this time"})
    sort = fields.String(
        load_default="-updated_at",
        validate=validate.OneOf(SORT_NAMES),
        metadata={"description": "`-` reverses the order"},
    )
    include_total = fields.Boolean(load_default=False)


class AssignedTaskListQuery(TaskListQuery):
    """The tasks of one assignee, whom the path names already."""

    class Meta:  # noqa: D106
        unknown = RAISE
        exclude = ("assignee",)


class Task(Schema):
    id = fields.Integer(required=True)
    ref = fields.String(
        required=True,
        metadata={
            "example": "OPS-42",
            "description": "the key and the number in the project; changes with the project",
        },
    )
    project = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    status = fields.Enum(TaskStatus, by_value=True, required=True)
    priority = fields.Enum(TaskPriority, by_value=True, required=True)
    labels = fields.List(fields.String(), required=True)
    creator = fields.String(required=True, metadata={"description": "a username"})
    assignee = fields.String(required=True, allow_none=True)
    due_at = fields.AwareDateTime(required=True, allow_none=True)
    external_ref = fields.String(required=True, allow_none=True)
    position = fields.Float(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "when it was first `in_progress`"}
    )
    completed_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "when it became `done` or `cancelled`"}
    )
    deleted_at = fields.AwareDateTime(required=True, allow_none=True)
    version = fields.Integer(
        required=True, metadata={"description": "rises with each change; the `ETag` stands for it"}
    )


TaskPage = page_schema(Task, "TaskPage")


class FieldChange(Schema):
    field = fields.String(required=True)
    # A value has the type of the field.
    before = fields.Raw(data_key="from", required=True, allow_none=True)
    after = fields.Raw(data_key="to", required=True, allow_none=True)


class TaskVersion(Schema):
    revision = fields.Integer(required=True, metadata={"description": "counts from 1"})
    at = fields.AwareDateTime(required=True)
    until = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "null for the state that the task has now"}
    )
    event = fields.String(required=True, validate=validate.OneOf(list(TaskEvent)))
    actor = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "who made the change; for a row of a CSV file, who uploaded it; null if it bypassed the API"
        },
    )
    request_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "the `X-Request-ID` of the request that made the change"},
    )
    changes = fields.List(fields.Nested(FieldChange), required=True)


TaskVersionPage = page_schema(TaskVersion, "TaskVersionPage")
