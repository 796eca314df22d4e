"""The shape of registering, logging in and changing a password."""

from marshmallow import Schema, ValidationError, fields, validate

from app.auth.passwords import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from app.models.people.user import MAX_EMAIL_LENGTH, MAX_USERNAME_LENGTH, RESERVED_USERNAMES
from app.schemas.base import Password, StrictSchema, Text, WholeRegexp

# Begins with a letter, so that an id and a name cannot be confused; has no @, so that an address and a name cannot be.
USERNAME = WholeRegexp(
    r"^[A-Za-z][A-Za-z0-9._-]*$",
    error="Must begin with a letter and hold letters, digits, dots, dashes and underscores.",
)


def not_reserved(username: str) -> None:
    if username.lower() in RESERVED_USERNAMES:
        raise ValidationError("Is a word of the API.")


def username_field(**kwargs: object) -> Text:
    return Text(min_length=1, max_length=MAX_USERNAME_LENGTH, validate=[USERNAME, not_reserved], **kwargs)


def email_field(**kwargs: object) -> fields.Email:
    return fields.Email(validate=validate.Length(max=MAX_EMAIL_LENGTH), **kwargs)  # type: ignore[arg-type]


def new_password_field(**kwargs: object) -> Password:
    return Password(min_length=MIN_PASSWORD_LENGTH, max_length=MAX_PASSWORD_LENGTH, **kwargs)


class Registration(StrictSchema):
    username = username_field(required=True)
    email = email_field(required=True)
    password = new_password_field(required=True)


class Login(StrictSchema):
    """By username or email, either under `username`."""

    username = Text(min_length=1, max_length=MAX_EMAIL_LENGTH, required=True)
    password = Password(min_length=1, max_length=MAX_PASSWORD_LENGTH, required=True)


class PasswordChange(StrictSchema):
    current_password = Password(min_length=1, max_length=MAX_PASSWORD_LENGTH, required=True)
    new_password = new_password_field(required=True)


class TokenPair(Schema):
    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "seconds that the access token is good for"})


class TableToken(Schema):
    token = fields.String(required=True)
