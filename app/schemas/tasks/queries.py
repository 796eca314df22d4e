"""The shape of the queries of tasks: the filters of a list, its order and page, and the fields of its items."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from marshmallow import RAISE, ValidationError, fields, post_load, validate, validates_schema

from app.errors import InvalidError
from app.models.people.user import MAX_EMAIL_LENGTH
from app.models.tasks.fields import FIELD_NAMES, MAX_EXTERNAL_REF_LENGTH, MAX_LABEL_LENGTH
from app.queries.pages import MAX_BIGINT
from app.queries.tasks import DEFAULT_SORT, EXPANDABLE, MAX_SORT_KEYS, SORT_NAMES, Selection, TaskQuery, ViewToOpen
from app.schemas.base import DayOrMoment, DelimitedList, Moment, PageQuery, StrictSchema, Text
from app.schemas.projects import ProjectKey
from app.schemas.tasks.inputs import Priority, Status
from app.schemas.tasks.keys import Ref, TaskReference

MAX_SEARCH_LENGTH = 200
MAX_FILTER_VALUES = 20


class Sort(DelimitedList):
    """The keys that a list is sorted by."""

    def __init__(self) -> None:
        super().__init__(
            fields.String(validate=validate.OneOf(SORT_NAMES)),
            min_length=1,
            max_length=MAX_SORT_KEYS,
            load_default=[DEFAULT_SORT],
            metadata={"description": "separated by commas; `-` reverses the order of a key; the id decides last"},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        names: list[str] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        keys = [name.removeprefix("-") for name in names]
        if len(set(keys)) < len(keys):
            raise ValidationError("Name each key once.")
        if "id" in keys[:-1]:
            raise ValidationError("No key may follow the id, which no two tasks share.")
        return names


_SEPARATED = {"description": "one or more, separated by commas"}

# Our name for each parameter that is a list.
_LISTS = {
    "status": "statuses",
    "priority": "priorities",
    "project": "projects",
    "ref": "refs",
    "label": "labels",
    "sort": "sort",
}


_DAY_MEANS_ITS_BEGINNING = "a date without a time means the beginning of that day in the workspace's time zone"


class TaskFilters(StrictSchema):
    """The filters of a task list and of an export."""

    status = DelimitedList(Status(), max_length=MAX_FILTER_VALUES, metadata=_SEPARATED)
    priority = DelimitedList(Priority(), max_length=MAX_FILTER_VALUES, metadata=_SEPARATED)
    project = DelimitedList(ProjectKey(), max_length=MAX_FILTER_VALUES, metadata=_SEPARATED)
    ref = DelimitedList(Ref(), max_length=MAX_FILTER_VALUES, metadata=_SEPARATED)
    external_ref = Text(min_length=1, max_length=MAX_EXTERNAL_REF_LENGTH, metadata={"description": "exactly this one"})
    assignee = Text(
        max_length=MAX_EMAIL_LENGTH, metadata={"description": "a username, an email address, an id, `me` or `none`"}
    )
    creator = Text(max_length=MAX_EMAIL_LENGTH, metadata={"description": "a username, an email address, an id or `me`"})
    label = DelimitedList(
        Text(max_length=MAX_LABEL_LENGTH),
        max_length=MAX_FILTER_VALUES,
        metadata={"description": "tasks that have all of these labels, which are separated by commas"},
    )
    parent = TaskReference(
        words=("none",), description="the subtasks of this task, by its id or ref; `none`: tasks that are no subtasks"
    )
    due_before = DayOrMoment(metadata={"description": f"excludes this time; {_DAY_MEANS_ITS_BEGINNING}"})
    due_after = DayOrMoment(metadata={"description": f"includes this time; {_DAY_MEANS_ITS_BEGINNING}"})
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
        metadata={"description": 'beginnings of words in title or description; `"a phrase"`, `or`, `-without`'},
    )
    deleted = fields.Boolean(
        load_default=False, metadata={"description": "`true`: only deleted tasks; managers and admins"}
    )

    archived = fields.Boolean(
        metadata={
            "description": "`true`: only tasks of archived projects; `false`: only others; absent: only others, unless "
            "`project`, `ref` or `parent` names some"
        }
    )

    view = fields.Integer(
        validate=validate.Range(1, MAX_BIGINT),
        metadata={"description": "the parameters of this saved view, except those that are sent beside it"},
    )

    @post_load(pass_original=True)
    def _query(self, values: dict[str, Any], sent: Mapping[str, Any], **_kwargs: Any) -> TaskQuery:
        lists: dict[str, Any] = {ours: tuple(values.pop(name)) for name, ours in _LISTS.items() if name in values}
        view_id = values.pop("view", None)
        beside = {name: value for name, value in sent.items() if name != "view"}
        view = None if view_id is None else ViewToOpen(view_id, partial(self._merged, beside))
        return TaskQuery(selection=_selection(values), view=view, **lists, **values)

    def _merged(self, beside: Mapping[str, Any], stored: Mapping[str, Any]) -> TaskQuery:
        """The query of a view's parameters and those sent beside it. An export has no use for some of a list's."""
        known = {field.data_key or name for name, field in self.load_fields.items()}
        used = {name: value for name, value in stored.items() if name in known}
        try:
            query: TaskQuery = self.load({**used, **beside})
        except ValidationError as error:
            raise InvalidError.of("view", f"does not go with these parameters: {error}") from None
        return query


def _named(names: Sequence[str], **kwargs: Any) -> DelimitedList:
    """A list of some of these names."""
    error = "There is no {input}. Must be one of: {choices}."
    name = fields.String(validate=validate.OneOf(names, error=error))
    return DelimitedList(name, min_length=1, max_length=len(names), **kwargs)


class SelectionFields(StrictSchema):
    # A schema has an attribute `fields` of its own.
    shown = _named(FIELD_NAMES, data_key="fields", metadata={"description": "only these fields, separated by commas"})
    expand = _named(
        EXPANDABLE,
        metadata={"description": "an object in place of the name: `{id, username}`, or `{key, name}` of the project"},
    )

    @validates_schema
    def _shows_what_it_expands(self, values: dict[str, Any], **_kwargs: Any) -> None:
        hidden = [name for name in values.get("expand", ()) if name not in values.get("shown", FIELD_NAMES)]
        if hidden:
            raise ValidationError(f"{hidden[0]} is not among the fields.", "expand")


def _selection(values: dict[str, Any]) -> Selection:
    """Take the selection out of the values. The order in which a client names fields makes no difference."""
    shown, expand = values.pop("shown", ()), values.pop("expand", ())
    return Selection(
        tuple(name for name in FIELD_NAMES if name in shown), tuple(name for name in EXPANDABLE if name in expand)
    )


class TaskSelection(SelectionFields):
    """Which fields of a single task the answer has."""

    @post_load
    def _select(self, values: dict[str, Any], **_kwargs: Any) -> Selection:
        return _selection(values)


class TaskListQuery(TaskFilters, SelectionFields, PageQuery):
    as_of = Moment(metadata={"description": "the list as it was at this time"})
    sort = Sort()
    include_total = fields.Boolean(load_default=False)


class AssignedTaskListQuery(TaskListQuery):
    """The tasks of one assignee, whom the path names. It leaves out the assignee of a view."""

    class Meta:  # noqa: D106
        unknown = RAISE
        exclude = ("assignee",)
