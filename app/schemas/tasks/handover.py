"""The shape of handing over the tasks of a user to another one."""

from marshmallow import Schema, fields

from app.models.people.user import MAX_EMAIL_LENGTH
from app.schemas.base import StrictSchema, Text
from app.schemas.projects import ProjectKey


def _person_field() -> Text:
    metadata = {"description": "the username or email address, in any case"}
    return Text(min_length=1, max_length=MAX_EMAIL_LENGTH, required=True, metadata=metadata)


class Reassignment(StrictSchema):
    to = _person_field()
    project = ProjectKey(load_default=None, metadata={"description": "reassign only the tasks of this project"})
    only_active = fields.Boolean(
        truthy={True}, falsy={False}, load_default=False, metadata={"description": "leave tasks that have ended"}
    )


class UserMerge(StrictSchema):
    into = _person_field()


class Handover(Schema):
    task_count = fields.Integer(required=True, metadata={"description": "how many tasks have changed hands"})
