"""The shape of registering, logging in, changing a password, and API tokens."""

from marshmallow import Schema, fields

from app.auth.passwords import MAX_PASSWORD_LENGTH
from app.models.login.api_token import MAX_TOKEN_NAME_LENGTH, TokenScope
from app.models.people.user import MAX_EMAIL_LENGTH
from app.schemas.base import BoundedList, Moment, Password, StrictSchema, Text, page_schema
from app.schemas.people import email_field, new_password_field, username_field

# Longer than our tokens, because no length tells anybody anything.
MAX_RESET_TOKEN_LENGTH = 200


class Registration(StrictSchema):
    username = username_field(required=True)
    email = email_field(required=True)
    password = new_password_field(required=True)


class Login(StrictSchema):
    """A log-in by username or by email address. Both are sent as `username`."""

    username = Text(
        min_length=1,
        max_length=MAX_EMAIL_LENGTH,
        required=True,
        metadata={"description": "the username or the email address, in any case"},
    )
    password = Password(min_length=1, max_length=MAX_PASSWORD_LENGTH, required=True)


class PasswordChange(StrictSchema):
    current_password = Password(min_length=1, max_length=MAX_PASSWORD_LENGTH, required=True)
    new_password = new_password_field(required=True)


class NewPasswordReset(Schema):
    token = fields.String(required=True, metadata={"description": "for the user, who sends it with a new password"})
    expires_at = fields.AwareDateTime(required=True)


class PasswordReset(StrictSchema):
    token = Text(min_length=1, max_length=MAX_RESET_TOKEN_LENGTH, required=True)
    new_password = new_password_field(required=True)


class OpenSession(Schema):
    id = fields.UUID(required=True)
    created_at = fields.AwareDateTime(required=True, metadata={"description": "when the log-in was"})
    last_refreshed_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "when a refresh token of it was last exchanged"}
    )
    expires_at = fields.AwareDateTime(required=True)
    is_current = fields.Boolean(required=True, metadata={"description": "`true` for the session of this request"})


class OpenSessions(Schema):
    items = fields.List(fields.Nested(OpenSession), required=True)


class TokenPair(Schema):
    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "how many seconds the access token is valid"})


class ApiTokenInput(StrictSchema):
    name = Text(
        min_length=1,
        max_length=MAX_TOKEN_NAME_LENGTH,
        required=True,
        metadata={"description": "what the token is for, such as the name of the script"},
    )
    scopes = BoundedList(
        fields.Enum(TokenScope, by_value=True),
        min_length=1,
        max_length=len(TokenScope),
        required=True,
        metadata={"description": "what the token may do, as far as its owner may"},
    )
    expires_at = Moment(
        load_default=None, metadata={"description": "at most 365 days away, which is also what an absent value means"}
    )


class ApiToken(Schema):
    id = fields.Integer(required=True)
    owner_id = fields.Integer(required=True, metadata={"description": "the user on whose behalf the token acts"})
    name = fields.String(required=True)
    scopes = fields.List(fields.Enum(TokenScope, by_value=True), required=True)
    created_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True)
    last_used_at = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "to the minute; null for a token that nobody has used"},
    )
    revoked_at = fields.AwareDateTime(required=True, allow_none=True)


class NewApiToken(ApiToken):
    token = fields.String(required=True, metadata={"description": "the token itself, which is shown only here"})


ApiTokenPage = page_schema(ApiToken, "ApiTokenPage")
