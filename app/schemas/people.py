"""The shape of users as they come in and go out."""

from zoneinfo import available_timezones

from marshmallow import Schema, ValidationError, fields, validate

from app.auth.passwords import MAX_PASSWORD_LENGTH
from app.models.people.user import MAX_EMAIL_LENGTH, MAX_USERNAME_LENGTH, RESERVED_USERNAMES, Role
from app.schemas.base import PageQuery, Password, SomeOf, StrictSchema, Text, WholeRegexp, page_schema

# A username begins with a letter, so it cannot be mistaken for an id. It has no @, so it cannot be mistaken for an
# email address.
USERNAME = WholeRegexp(
    r"^[A-Za-z][A-Za-z0-9._-]*$",
    error="Must begin with a letter and hold letters, digits, dots, dashes and underscores.",
)


def not_reserved(username: str) -> None:
    if username.lower() in RESERVED_USERNAMES:
        raise ValidationError("Is a word of the API.")


def username_field(**kwargs: object) -> Text:
    description = "begins with a letter; letters, digits, dots, underscores and hyphens; not `me` or `none`"
    return Text(
        min_length=1,
        max_length=MAX_USERNAME_LENGTH,
        validate=[USERNAME, not_reserved],
        metadata={"description": description},
        **kwargs,
    )


def email_field(**kwargs: object) -> fields.Email:
    return fields.Email(validate=validate.Length(max=MAX_EMAIL_LENGTH), **kwargs)  # type: ignore[arg-type]


def new_password_field(**kwargs: object) -> Password:
    """The service checks the lowest length, which is a setting."""
    description = (
        "12 characters or more, unless the operator has chosen another length; not a common password, and not made of "
        "the username or email address"
    )
    return Password(min_length=1, max_length=MAX_PASSWORD_LENGTH, description=description, **kwargs)


def _known_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError("Not an IANA time zone such as Europe/Berlin.")


def time_zone_field(**kwargs: object) -> fields.String:
    metadata = {"description": "an IANA time zone such as Europe/Berlin"}
    return fields.String(validate=_known_time_zone, metadata=metadata, **kwargs)  # type: ignore[arg-type]


class UserInput(StrictSchema):
    username = username_field(required=True)
    email = email_field(required=True)
    password = new_password_field(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    time_zone = time_zone_field(load_default="UTC")


class ServiceAccountInput(StrictSchema):
    username = username_field(required=True)
    role = fields.Enum(Role, by_value=True, required=True)
    time_zone = time_zone_field(load_default="UTC")


class UserPatch(SomeOf):
    username = username_field()
    email = email_field()
    password = new_password_field()
    role = fields.Enum(Role, by_value=True)
    time_zone = time_zone_field()
    is_active = fields.Boolean(truthy={True}, falsy={False})


class UserQuery(PageQuery):
    q = Text(load_default=None, max_length=MAX_USERNAME_LENGTH, metadata={"description": "a part of the username"})


class User(Schema):
    id = fields.Integer(required=True)
    username = fields.String(required=True)
    email = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "null for a service account, and for an account that an import created"},
    )
    role = fields.Enum(Role, by_value=True, required=True)
    time_zone = fields.String(required=True)
    is_active = fields.Boolean(required=True, metadata={"description": "an inactive account cannot log in"})
    is_service = fields.Boolean(
        required=True, metadata={"description": "true for a service account, which acts by API tokens alone"}
    )
    merged_into_id = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "the user who took over the tasks of this one, whom an import had created"},
    )
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)
    version = fields.Integer(required=True)


UserPage = page_schema(User, "UserPage")
