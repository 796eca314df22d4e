"""The shape of users as they come in and go out."""

from zoneinfo import available_timezones

from marshmallow import Schema, ValidationError, fields

from app.models.people.user import MAX_USERNAME_LENGTH, Role
from app.schemas.base import PageQuery, SomeOf, StrictSchema, Text, page_schema
from app.schemas.login import email_field, new_password_field, username_field


def _known_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError("Not an IANA time zone such as Europe/Berlin.")


class UserInput(StrictSchema):
    username = username_field(required=True)
    email = email_field(required=True)
    password = new_password_field(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    time_zone = fields.String(load_default="UTC", validate=_known_time_zone)


class UserPatch(SomeOf):
    username = username_field()
    email = email_field()
    password = new_password_field()
    role = fields.Enum(Role, by_value=True)
    time_zone = fields.String(validate=_known_time_zone)
    is_active = fields.Boolean(truthy={True}, falsy={False})


class TableUserInput(StrictSchema):
    username = username_field(required=True)
    email = email_field(required=True)
    password = new_password_field(required=True)
    role = fields.Enum(Role, by_value=True, load_default=Role.USER)


class UserQuery(PageQuery):
    q = Text(load_default=None, max_length=MAX_USERNAME_LENGTH, metadata={"description": "part of the username"})


class User(Schema):
    id = fields.Integer(required=True)
    username = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    role = fields.Enum(Role, by_value=True, required=True)
    time_zone = fields.String(required=True)
    is_active = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class TableUser(Schema):
    id = fields.Integer(required=True)
    username = fields.String(required=True)


UserPage = page_schema(User, "UserPage")
