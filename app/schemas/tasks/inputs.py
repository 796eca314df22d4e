"""The shape of tasks as they come in."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from app.csv_files.words import PRIORITY_ALIASES, STATUS_ALIASES, priority_from, status_from
from app.models.people.user import MAX_EMAIL_LENGTH
from app.models.projects.project import DEFAULT_PROJECT_KEY
from app.models.tasks.fields import (
    MAX_DESCRIPTION_LENGTH,
    MAX_ESTIMATE,
    MAX_EXTERNAL_REF_LENGTH,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_TITLE_LENGTH,
    TaskPriority,
    TaskStatus,
    defaults,
)
from app.models.tasks.recurrence import MAX_RULE_LENGTH, RuleError, normalised
from app.schemas.base import BoundedList, Day, DayOrMoment, Number, SomeOf, StrictSchema, Text
from app.schemas.projects import ProjectKey
from app.schemas.tasks.keys import TaskReference


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


class Labels(BoundedList):
    """Each label once, in the order of first appearance."""

    def __init__(self, *, min_length: int = 0, **kwargs: Any) -> None:
        label = Text(min_length=1, max_length=MAX_LABEL_LENGTH)
        super().__init__(label, min_length=min_length, max_length=MAX_LABELS, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        return list(dict.fromkeys(super()._deserialize(value, attr, data, **kwargs)))


class Recurrence(Text):
    """A recurrence rule, which is stored in one form."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {
            "example": "FREQ=WEEKLY;BYDAY=MO",
            "description": "an RRULE of RFC 5545 with FREQ of DAILY, WEEKLY, MONTHLY or YEARLY; needs a deadline",
        }
        super().__init__(min_length=1, max_length=MAX_RULE_LENGTH, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        try:
            return normalised(super()._deserialize(value, attr, data, **kwargs))
        except RuleError as error:
            reason = str(error)
            raise ValidationError(f"{reason[0].upper()}{reason[1:]}.") from None


# What null means for a field that may be empty, but whose value is never null.
_EMPTY: Mapping[str, Any] = {"description": "", "labels": []}


def _deadline() -> DayOrMoment:
    description = "a date without a time means the last second of that day in the workspace's time zone"
    return DayOrMoment(allow_none=True, metadata={"description": description})


class _TaskFields(StrictSchema):
    """Null empties a field that may be empty."""

    description = Text(max_length=MAX_DESCRIPTION_LENGTH, allow_none=True)
    status = Status()
    priority = Priority()
    labels = Labels(allow_none=True)
    assignee = Text(
        min_length=1,
        max_length=MAX_EMAIL_LENGTH,
        allow_none=True,
        metadata={"description": "the username or email address of an active user in the project, or of an admin"},
    )
    start_on = Day(allow_none=True)
    due_at = _deadline()
    estimate = Number(
        allow_none=True,
        validate=validate.Range(0, MAX_ESTIMATE),
        metadata={"description": "in the workspace's unit, which `GET /version` names"},
    )
    recurrence = Recurrence(allow_none=True)
    parent = TaskReference(
        allow_none=True, description="the task above it, by its id or ref; in the same project, at most three levels"
    )
    external_ref = Text(
        min_length=1,
        max_length=MAX_EXTERNAL_REF_LENGTH,
        allow_none=True,
        metadata={
            "description": "the name of the task in another system; need not be unique; an import finds the task by it"
        },
    )
    position = Number(metadata={"description": "the place on the board, smallest first"})

    @post_load
    def _empty(self, values: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return values | {name: empty for name, empty in _EMPTY.items() if values.get(name, empty) is None}


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
    """An absent field stays as it is."""

    title = Text(min_length=1, max_length=MAX_TITLE_LENGTH)
    project = ProjectKey()


class Cascade(StrictSchema):
    cascade = fields.Boolean(
        load_default=False, metadata={"description": "`true`: the tasks below are closed or deleted too"}
    )


class TaskStatusChange(SomeOf):
    """A status, a deadline, or both."""

    status = Status()
    due_at = _deadline()
