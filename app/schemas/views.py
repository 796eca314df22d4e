"""The shape of saved views."""

from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates

from app.models.views import MAX_VIEW_NAME_LENGTH, ViewLayout, ViewVisibility
from app.queries.pages import MAX_BIGINT
from app.schemas.base import BoundedList, PageQuery, SomeOf, StrictSchema, Text, page_schema
from app.schemas.projects import ProjectKey
from app.schemas.tasks.queries import TaskListQuery
from app.services.views import MAX_PINS

# The longest valid parameter has twenty labels of fifty characters.
MAX_PARAMETER_LENGTH = 2_000
_EXAMPLE = {"assignee": "me", "status": "todo,in_progress", "sort": "due_at"}


class _StoredParameters(TaskListQuery):
    """The parameters of the task list that belong to a view: not its time, its page, or another view."""

    class Meta:
        unknown = RAISE
        exclude = ("as_of", "cursor", "limit", "include_total", "view")


class Parameters(fields.Dict):
    """Parameters of the task list, each as the text that a query has. They are kept as the client sent them."""

    _schema = _StoredParameters()

    def __init__(self, **kwargs: Any) -> None:
        description = "parameters of `GET /api/v1/tasks`: filters, `sort`, `fields` and `expand`"
        values = {"anyOf": [{"type": "string", "maxLength": MAX_PARAMETER_LENGTH}, {"type": "boolean"}]}
        metadata = {"description": description, "example": _EXAMPLE, "additionalProperties": values}
        super().__init__(keys=fields.String(), metadata=metadata, **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        problems = {name: [problem] for name, each in parameters.items() if (problem := _problem_of(each)) is not None}
        problems = problems or self._schema.validate(parameters)
        if problems:
            raise ValidationError(problems)
        return parameters


def _problem_of(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if not isinstance(value, str):
        return "Must be a text, as in a query, or a boolean."
    if "\x00" in value:
        return "Must not contain a NUL character."
    return f"Longer than {MAX_PARAMETER_LENGTH:,} characters." if len(value) > MAX_PARAMETER_LENGTH else None


def _name(**kwargs: Any) -> Text:
    return Text(min_length=1, max_length=MAX_VIEW_NAME_LENGTH, **kwargs)


_SHARED_WITH = {"description": "with `visibility` `project`, the project whose members see the view"}


class ViewInput(StrictSchema):
    name = _name(required=True)
    query = Parameters(load_default=dict)
    layout = fields.Enum(ViewLayout, by_value=True, load_default=ViewLayout.LIST)
    visibility = fields.Enum(ViewVisibility, by_value=True, load_default=ViewVisibility.PRIVATE)
    project = ProjectKey(allow_none=True, load_default=None, metadata=_SHARED_WITH)


class ViewPatch(SomeOf):
    """An absent field stays as it is. A new `query` replaces the whole one before."""

    name = _name()
    query = Parameters()
    layout = fields.Enum(ViewLayout, by_value=True)
    visibility = fields.Enum(ViewVisibility, by_value=True)
    project = ProjectKey(allow_none=True, metadata=_SHARED_WITH)


class ViewListQuery(PageQuery):
    pinned = fields.Boolean(
        load_default=False, metadata={"description": "`true`: only the views that you have pinned, in their order"}
    )


class PinsInput(StrictSchema):
    views = BoundedList(
        fields.Integer(strict=True, validate=validate.Range(1, MAX_BIGINT)),
        max_length=MAX_PINS,
        required=True,
        metadata={"description": "the ids of all pinned views, in their order", "uniqueItems": True},
    )

    @validates("views")
    def _ensure_each_once(self, views: list[int], **_kwargs: Any) -> None:
        if len(set(views)) < len(views):
            raise ValidationError("Name each view once.")


class View(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    query = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={"description": "parameters of `GET /api/v1/tasks`, as they were sent", "example": _EXAMPLE},
    )
    layout = fields.Enum(ViewLayout, by_value=True, required=True)
    visibility = fields.Enum(ViewVisibility, by_value=True, required=True)
    project = fields.String(required=True, allow_none=True, metadata={"description": "the key of the project"})
    owner = fields.String(required=True, metadata={"description": "a username"})
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    version = fields.Integer(required=True)


class ListedView(View):
    pinned_position = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "its place among your pins; null if you have not pinned it"},
    )


ViewPage = page_schema(ListedView, "ViewPage")
