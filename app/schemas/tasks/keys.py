"""How clients name a task in a body or a query: by its id or its ref."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from app.models.projects.project import in_capitals
from app.models.tasks.fields import REF_PATTERN
from app.queries.pages import MAX_BIGINT
from app.queries.tasks import TaskKey
from app.schemas.base import WholeRegexp

_REF = re.compile(REF_PATTERN, re.ASCII)
_ID = re.compile(r"\d{1,19}", re.ASCII)


class Ref(fields.String):
    """A task's ref, in any case."""

    def __init__(self) -> None:
        super().__init__(validate=WholeRegexp(REF_PATTERN, error="Not a ref such as OPS-42."))

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return in_capitals(str(super()._deserialize(value, attr, data, **kwargs)))


class TaskReference(fields.Field[TaskKey]):
    """A task's id, or its ref in any case. `words` are accepted as well, such as `none` in a query."""

    def __init__(self, *, words: tuple[str, ...] = (), description: str, **kwargs: Any) -> None:
        self._words = words
        ref: dict[str, Any] = {"type": "string", "pattern": "|".join([REF_PATTERN, *(f"^{word}$" for word in words)])}
        kinds = [{"type": "integer"}, ref, *([{"type": "null"}] if kwargs.get("allow_none") else [])]
        super().__init__(metadata={"anyOf": kinds, "description": description}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> TaskKey:  # noqa: ARG002 - the signature is marshmallow's
        if isinstance(value, int) and not isinstance(value, bool):
            task_id = value
        elif not isinstance(value, str):
            raise ValidationError("Not an id or a ref such as OPS-42.")
        elif value in self._words:
            return value
        elif _ID.fullmatch(value):
            task_id = int(value)
        else:
            ref = in_capitals(value.strip())
            if _REF.fullmatch(ref) is None:
                raise ValidationError("Not an id or a ref such as OPS-42.")
            return ref
        if not 0 < task_id <= MAX_BIGINT:
            raise ValidationError("Not an id that a task can have.")
        return task_id
