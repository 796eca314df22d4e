"""Every schema refuses unknown fields, and text that PostgreSQL cannot hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar

from marshmallow import RAISE, Schema, ValidationError, fields, pre_load, validate, validates_schema
from webargs.fields import DelimitedFieldMixin

from app.csv_files.moments import YEARS
from app.queries.pages import DEFAULT_PAGE_SIZE, MAX_CURSOR_LENGTH, MAX_PAGE_SIZE, MAX_TOTAL

# No schema has as many fields. Input with more is refused as a whole: an error for each of its unknown fields would be
# several times as large as the input.
MAX_INPUT_FIELDS = 100
# The parameters of a query that ask for a part of a list.
PAGING = ("cursor", "limit", "include_total")

Query = TypeVar("Query")


@dataclass(frozen=True, slots=True)
class FormattedQuery(Generic[Query]):
    """The rows that a query selects, and the format of the answer: `json` for a page of them, or that of a file."""

    query: Query
    format: str


class StrictSchema(Schema):
    error_messages = {"too_many": f"Has {{count:,}} fields; {MAX_INPUT_FIELDS} are the most."}  # noqa: RUF012

    class Meta:  # noqa: D106
        unknown = RAISE

    @pre_load
    def _ensure_few_fields(self, values: Any, **_kwargs: Any) -> Any:
        """Refuse too many fields before any of them is validated."""
        if isinstance(values, Mapping) and len(values) > MAX_INPUT_FIELDS:
            raise ValidationError(self.error_messages["too_many"].format(count=len(values)))
        return values


class SomeOf(StrictSchema):
    """Every field is optional, but at least one must be present."""

    # For the OpenAPI document.
    min_properties = 1

    @validates_schema
    def _says_something(self, values: dict[str, object], **_kwargs: object) -> None:
        if not values:
            raise ValidationError("Name at least one field to change.")


class WholeRegexp(validate.Regexp):
    """Matches the whole text. `$` alone would accept a line break at the end."""

    def __call__(self, value: Any) -> Any:
        if self.regex.fullmatch(value) is None:
            raise ValidationError(self._format_error(value))
        return value


class Text(fields.String):
    """Text without NUL and without spaces around it. Its length is counted in characters."""

    default_error_messages = {"nul": "Must not contain a NUL character."}  # noqa: RUF012

    def __init__(self, *, min_length: int = 0, max_length: int, **kwargs: Any) -> None:
        given = kwargs.pop("validate", [])
        length = validate.Length(min=min_length or None, max=max_length)
        super().__init__(validate=[length, *(given if isinstance(given, list) else [given])], **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        words: str = super()._deserialize(value, attr, data, **kwargs)
        if "\x00" in words:
            raise self.make_error("nul")
        return words.strip()


class BoundedList(fields.List[Any]):
    """A list whose length is checked first, because each of its elements could cause an error of its own."""

    def __init__(self, element: fields.Field[Any], *, min_length: int = 0, max_length: int, **kwargs: Any) -> None:
        self._length = validate.Length(min=min_length or None, max=max_length)
        super().__init__(element, validate=self._length, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            self._length(value)
        return super()._deserialize(value, attr, data, **kwargs)


class DelimitedList(DelimitedFieldMixin, BoundedList):
    """Values of a query parameter, separated by commas."""


class Password(fields.String):
    """A password is taken as it is, including spaces, and is never shown."""

    def __init__(self, *, min_length: int, max_length: int, description: str | None = None, **kwargs: Any) -> None:
        metadata = {"format": "password", **({"description": description} if description else {})}
        super().__init__(
            validate=validate.Length(min=min_length, max=max_length), load_only=True, metadata=metadata, **kwargs
        )


class Number(fields.Float):
    """A JSON number. A string that holds a number is refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_nan=False, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, str | bool):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


class Flag(fields.Boolean):
    """A JSON boolean. A number or a string is refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


# Python would read other forms too, such as week dates.
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(rf"{_DAY.pattern}([Tt ]\d\d:\d\d(:\d\d([.,]\d{{1,9}})?)?([Zz]|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)


class Moment(fields.AwareDateTime):
    """A time in ISO 8601, with hyphens and colons. Without an offset, it is in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=UTC, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
            raise ValidationError("Not a valid datetime.")
        moment: datetime = super()._deserialize(value, attr, data, **kwargs)
        if moment.year not in YEARS:
            raise ValidationError("Not a year that can be kept.")
        # PostgreSQL takes fewer offsets than Python.
        return moment.astimezone(UTC)


class Day(fields.Date):
    """A day in ISO 8601. The first and last years that Python knows are refused, so that other days can be computed."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> date:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)
        day: date = super()._deserialize(value, attr, data, **kwargs)
        if day.year not in YEARS:
            raise ValidationError("Not a year that can be kept.")
        return day


class DayOrMoment(Moment):
    """A day, or a time as `Moment` reads it. A day stays a `date`: only services know the workspace's time zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        moment = super()._deserialize(value, attr, data, **kwargs)
        return moment.date() if _DAY.fullmatch(value) else moment


class PageQuery(StrictSchema):
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=MAX_CURSOR_LENGTH),
        metadata={"description": "the `next_cursor` of the page before"},
    )
    limit = fields.Integer(
        load_default=DEFAULT_PAGE_SIZE,
        validate=validate.Range(1, MAX_PAGE_SIZE),
        metadata={"description": "items per page"},
    )


class Format(fields.String):
    """The format of an answer: `json`, or one of these formats of files."""

    def __init__(self, *files: str, description: str) -> None:
        super().__init__(
            load_default="json", validate=validate.OneOf(["json", *files]), metadata={"description": description}
        )


class PageOrFileQuery(PageQuery):
    """A page of a list, or a file with all of its rows."""

    format = Format("csv", description="`csv`: a file with all rows, without pages")

    @validates_schema(pass_original=True)
    def _ensure_file_without_pages(self, values: dict[str, Any], original: Mapping[str, Any], **_kwargs: Any) -> None:
        if values["format"] == "json":
            return
        paging = [name for name in PAGING if name in original]
        if paging:
            raise ValidationError({name: ["Leave it out: a file holds all rows."] for name in paging})


def page_schema(item: type[Schema], name: str) -> type[Schema]:
    """The schema of a page of a list."""
    return Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
            "total": fields.Integer(
                metadata={"description": f"only with `include_total=true`; {MAX_TOTAL} if there are more"}
            ),
            "total_is_capped": fields.Boolean(
                metadata={"description": "only with `include_total=true`; true if there are more than `total`"}
            ),
        },
        name=name,
    )
