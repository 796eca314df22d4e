"""The shape of projects and their members."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields

from app.models.people.user import Role
from app.models.projects.project import MAX_PROJECT_NAME_LENGTH, PROJECT_KEY_PATTERN, in_capitals
from app.schemas.base import SomeOf, StrictSchema, Text, WholeRegexp, page_schema


class ProjectKey(fields.String):
    """A project's key, in any case."""

    def __init__(self, error: str = "Not a project key.", **kwargs: Any) -> None:
        super().__init__(validate=WholeRegexp(PROJECT_KEY_PATTERN, error=error), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return in_capitals(str(super()._deserialize(value, attr, data, **kwargs)))


class ProjectInput(StrictSchema):
    key = ProjectKey(
        error="2 to 10 letters and digits, a letter first.",
        required=True,
        metadata={"description": "small letters become capital letters"},
    )
    name = Text(min_length=1, max_length=MAX_PROJECT_NAME_LENGTH, required=True)


class ProjectPatch(SomeOf):
    name = Text(min_length=1, max_length=MAX_PROJECT_NAME_LENGTH)


class Project(Schema):
    id = fields.Integer(required=True)
    key = fields.String(required=True)
    name = fields.String(required=True)
    includes_everyone = fields.Boolean(
        required=True, metadata={"description": "everybody is in it without being a member"}
    )
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    version = fields.Integer(required=True, metadata={"description": "a change of the name or of a member raises it"})


class Member(Schema):
    id = fields.Integer(required=True)
    username = fields.String(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    added_at = fields.AwareDateTime(required=True)


ProjectPage = page_schema(Project, "ProjectPage")
MemberPage = page_schema(Member, "MemberPage")
