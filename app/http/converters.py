"""How the variable parts of paths are read: ids, `me`, and the refs of tasks."""

from flask import Flask
from flask_smorest import Api
from werkzeug.routing import BaseConverter, IntegerConverter

from app.http.identity.access import ME
from app.models.projects.project import in_capitals
from app.queries.pages import MAX_BIGINT

# More digits than the largest bigint has, and few enough to parse quickly.
MAX_DIGITS = 30


class IdConverter(IntegerConverter):
    """A row's id in a path. A number beyond bigint becomes the largest bigint, which no row has, so it is a 404."""

    def to_python(self, value: str) -> int:
        return _as_id(value)


class UserIdConverter(IdConverter):
    """A user's id, or `me`, which `me_or` replaces with the actor's id."""

    regex = r"\d+|me"

    def to_python(self, value: str) -> int:
        return ME if value == "me" else _as_id(value)


class TaskConverter(BaseConverter):
    """A task's id, or its ref in any case. The view gets the ref in capital letters."""

    regex = r"[0-9]+|[A-Za-z][A-Za-z0-9]{1,9}-[0-9]{1,18}"

    def to_python(self, value: str) -> int | str:
        return in_capitals(value) if "-" in value else _as_id(value)


def _as_id(digits: str) -> int:
    return min(int(digits[:MAX_DIGITS]), MAX_BIGINT)


def init_converters(app: Flask) -> None:
    app.url_map.converters.update(id=IdConverter, user=UserIdConverter, task=TaskConverter)


def describe_converters(api: Api) -> None:
    """Say in the OpenAPI document what the paths accept. It describes the other converters by itself."""
    api.register_converter(TaskConverter, lambda converter: {"type": "string", "pattern": f"^({converter.regex})$"})
