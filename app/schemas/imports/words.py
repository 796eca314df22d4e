"""The shape of the words of files: which column, status, priority or person each means."""

from collections.abc import Mapping
from typing import Any

import orjson
from marshmallow import Schema, ValidationError, fields, validate

from app.csv_files.cell_parts import MAX_SHOWN_LENGTH
from app.csv_files.words import OWN_PRIORITIES, OWN_STATUSES, key_of
from app.models.people.user import MAX_EMAIL_LENGTH
from app.models.tasks.fields import READ_FROM_FILES, TaskPriority, TaskStatus
from app.schemas.base import StrictSchema, Text
from app.schemas.tasks.inputs import Priority, Status

MAX_MAPPED_WORDS = 500


class WordMap(fields.Dict):
    """Maps words of a file, in any case, to their meanings. They are stored as `key_of` folds them.

    The words in `own` are ours, and keep the meaning that they have there.
    """

    def __init__(self, meaning: fields.Field[Any], own: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self._own = own or {}
        self._length = validate.Length(max=MAX_MAPPED_WORDS)
        word = Text(min_length=1, max_length=MAX_SHOWN_LENGTH)
        super().__init__(keys=word, values=meaning, validate=self._length, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, Mapping):
            self._length(value)
        words: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        folded = {key_of(word): meaning for word, meaning in sorted(words.items())}
        if len(folded) < len(words):
            raise ValidationError("Name each word once; its case makes no difference.")
        changed = [word for word, meaning in words.items() if self._own.get(key_of(word), meaning) != meaning]
        if changed:
            raise ValidationError(
                {
                    word: {"key": [f"Always means {self._own[key_of(word)]}: it is a word of our own."]}
                    for word in changed
                }
            )
        return folded


class WrittenWordMap(WordMap):
    """A map in a form, where it is JSON text."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        try:
            written = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValidationError("Not a JSON object.") from None
        return super()._deserialize(written, attr, data, **kwargs)


def person_name() -> Text:
    return Text(
        min_length=1,
        max_length=MAX_EMAIL_LENGTH,
        allow_none=True,
        validate=validate.Predicate("isprintable", error="Holds characters that a name cannot have."),
    )


def field_name() -> fields.String:
    return fields.String(validate=validate.OneOf(sorted(READ_FROM_FILES)), allow_none=True)


class WordMaps(Schema):
    column_map = fields.Dict(keys=fields.String(), values=fields.String(allow_none=True), required=True)
    status_map = fields.Dict(keys=fields.String(), values=fields.Enum(TaskStatus, by_value=True), required=True)
    priority_map = fields.Dict(keys=fields.String(), values=fields.Enum(TaskPriority, by_value=True), required=True)
    people_map = fields.Dict(keys=fields.String(), values=fields.String(allow_none=True), required=True)


class ImportMapping(WordMaps):
    updated_at = fields.AwareDateTime(required=True, allow_none=True, metadata={"description": "null until it is set"})
    version = fields.Integer(required=True)


class ImportMappingInput(StrictSchema):
    column_map = WordMap(field_name(), load_default=dict)
    status_map = WordMap(Status(), OWN_STATUSES, load_default=dict)
    priority_map = WordMap(Priority(), OWN_PRIORITIES, load_default=dict)
    people_map = WordMap(person_name(), load_default=dict)
