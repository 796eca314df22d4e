"""The shape of projects and their members."""

from marshmallow import Schema, fields

from app.models.people.user import Role
from app.models.projects.project import MAX_PROJECT_NAME_LENGTH, PROJECT_KEY_PATTERN
from app.schemas.base import StrictSchema, Text, WholeRegexp, page_schema


class ProjectInput(StrictSchema):
    key = fields.String(
        required=True,
        validate=WholeRegexp(PROJECT_KEY_PATTERN, error="2 to 10 capital letters and digits, a letter first."),
    )
    name = Text(min_length=1, max_length=MAX_PROJECT_NAME_LENGTH, required=True)


class ProjectPatch(StrictSchema):
    name = Text(min_length=1, max_length=MAX_PROJECT_NAME_LENGTH, required=True)


class Project(Schema):
    id = fields.Integer(required=True)
    key = fields.String(required=True)
    name = fields.String(required=True)
    includes_everyone = fields.Boolean(
        required=True, metadata={"description": "everybody is in it without being a member"}
    )
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class Member(Schema):
    id = fields.Integer(required=True)
    username = fields.String(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    added_at = fields.AwareDateTime(required=True)


ProjectPage = page_schema(Project, "ProjectPage")
MemberPage = page_schema(Member, "MemberPage")
