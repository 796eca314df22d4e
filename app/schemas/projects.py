"""The shape of projects and their members."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, post_load, validate

from app.models.people.user import MAX_EMAIL_LENGTH, Role
from app.models.projects.project import (
    COLOR_PATTERN,
    LIMITED_STATUSES,
    MAX_PROJECT_DESCRIPTION_LENGTH,
    MAX_PROJECT_NAME_LENGTH,
    MAX_WIP_LIMIT,
    PROJECT_KEY_PATTERN,
    in_capitals,
)
from app.queries.pages import MAX_TOTAL
from app.schemas.base import BoundedList, PageQuery, SomeOf, StrictSchema, Text, WholeRegexp, page_schema

MAX_MEMBERS_AT_ONCE = 500


class ProjectKey(fields.String):
    """A project's key, in any case."""

    def __init__(self, error: str = "Not a project key.", **kwargs: Any) -> None:
        super().__init__(validate=WholeRegexp(PROJECT_KEY_PATTERN, error=error), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return in_capitals(str(super()._deserialize(value, attr, data, **kwargs)))


class Color(fields.String):
    """A colour in hexadecimal digits, in any case. It is kept in small letters."""

    def __init__(self, **kwargs: Any) -> None:
        validator = WholeRegexp(COLOR_PATTERN, error="Not a colour such as #1f6f5c.")
        super().__init__(validate=validator, metadata={"example": "#1f6f5c"}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        color = str(super()._deserialize(value, attr, data, **kwargs))
        return color.lower() if color.isascii() else color


class WipLimits(StrictSchema):
    """How many tasks a status should have at most. A status without a limit is absent."""

    @post_load
    def _without_none(self, limits: dict[str, int | None], **_kwargs: Any) -> dict[str, int]:
        return {status: limit for status, limit in limits.items() if limit is not None}


def _limit() -> fields.Integer:
    return fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, MAX_WIP_LIMIT))


LimitsOfStatuses = WipLimits.from_dict({status: _limit() for status in LIMITED_STATUSES}, name="WipLimits")


class _ProjectDetails(StrictSchema):
    description = Text(max_length=MAX_PROJECT_DESCRIPTION_LENGTH, metadata={"description": "in Markdown"})
    color = Color(allow_none=True)
    wip_limits = fields.Nested(
        LimitsOfStatuses,
        metadata={"description": "the limits of all statuses; a board warns of more tasks, and nothing refuses them"},
    )


class ProjectInput(_ProjectDetails):
    key = ProjectKey(
        error="2 to 10 letters and digits, a letter first.",
        required=True,
        metadata={"description": "small letters become capital letters"},
    )
    name = Text(min_length=1, max_length=MAX_PROJECT_NAME_LENGTH, required=True)


class ProjectPatch(_ProjectDetails, SomeOf):
    name = Text(min_length=1, max_length=MAX_PROJECT_NAME_LENGTH)


class ProjectListQuery(PageQuery):
    archived = fields.Boolean(load_default=False, metadata={"description": "`true`: only archived projects"})


class MembersInput(StrictSchema):
    members = BoundedList(
        Text(min_length=1, max_length=MAX_EMAIL_LENGTH),
        min_length=1,
        max_length=MAX_MEMBERS_AT_ONCE,
        required=True,
        metadata={"description": "usernames or email addresses, in any case"},
    )


class ProjectSummary(Schema):
    id = fields.Integer(required=True)
    key = fields.String(required=True)
    name = fields.String(required=True)
    color = fields.String(required=True, allow_none=True, metadata={"example": "#1f6f5c"})
    wip_limits = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "the most tasks that a status should have", "example": {"in_progress": 8}},
    )
    includes_everyone = fields.Boolean(
        required=True, metadata={"description": "everybody is in it without being a member"}
    )
    archived_at = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "while it is set, the project and its tasks are read-only"},
    )
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    version = fields.Integer(
        required=True, metadata={"description": "a change of the project or of a member raises it, but no new task"}
    )


class TaskCounts(Schema):
    """The tasks with each status that may have a limit, without deleted ones."""


CountsOfStatuses = TaskCounts.from_dict(
    {status: fields.Integer(required=True) for status in LIMITED_STATUSES}, name="TaskCounts"
)


class Project(ProjectSummary):
    description = fields.String(required=True, metadata={"description": "in Markdown"})
    task_counts = fields.Nested(
        CountsOfStatuses,
        required=True,
        metadata={
            "description": "how many tasks have each status that may have a limit; counted up to "
            f"{MAX_TOTAL + 1:,}, which means more than {MAX_TOTAL:,}"
        },
    )


class Member(Schema):
    id = fields.Integer(required=True)
    username = fields.String(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    added_at = fields.AwareDateTime(required=True)


ProjectPage = page_schema(ProjectSummary, "ProjectPage")
MemberPage = page_schema(Member, "MemberPage")
