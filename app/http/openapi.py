"""How routes are declared and described: flask-smorest for arguments and OpenAPI 3.1, without its own error bodies."""

from typing import Any, ClassVar

from flask import Flask, Response
from flask_smorest import Api
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest
from werkzeug.routing import IntegerConverter

from app.http.responses import json_response
from app.repositories.pages import MAX_BIGINT
from app.schemas.base import Problem

PROBLEM = "application/problem+json"
DESCRIPTION = """
A self-hosted, API-first task tracker for teams that must trust their record.

Log in at `POST /api/v1/auth/login` and send the access token as `Authorization: Bearer <token>`. Errors are
`application/problem+json` (RFC 9457) with a stable `code`. Lists are pages: follow `next_cursor`, or `Link: rel="next"`.
"""


class _Parser(FlaskParser):
    # A misspelt filter would otherwise silently list everything.
    DEFAULT_UNKNOWN_BY_LOCATION: ClassVar[dict[str, str | None]] = {
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": None,
        "form": None,
        "files": None,
    }

    def _handle_invalid_json_error(self, error: Any, _request: Any, *_args: Any, **_kwargs: Any) -> Any:
        raise BadRequest("the body is not JSON") from error


class Blueprint(SmorestBlueprint):  # type: ignore[misc]
    ARGUMENTS_PARSER = _Parser()
    # Whose errors the TaskTrackerPro table's clients expect.
    is_table = False


class IdConverter(IntegerConverter):
    """A row's id in a path. What no bigint can hold is no row's, so it is a 404 before PostgreSQL hears of it."""

    def __init__(self, url_map: Any) -> None:
        super().__init__(url_map, min=1, max=MAX_BIGINT)


class UserIdConverter(IdConverter):
    """A user's id, or `me`, which is 0 here and is made the actor's id by `me_or`."""

    regex = r"\d+|me"

    def to_python(self, value: str) -> int:
        return 0 if value == "me" else int(super().to_python(value))


class _Api(Api):  # type: ignore[misc]
    ERROR_SCHEMA = Problem

    def _register_error_handlers(self) -> None:
        """http/error_handlers.py does."""


def init_openapi(app: Flask) -> Api:
    """Before the routes are registered on what it returns."""
    app.url_map.converters.update(id=IdConverter, user=UserIdConverter)
    app.config.update(
        API_TITLE="TaskTrackerPro",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"info": {"description": DESCRIPTION.strip()}},
    )
    api = _Api(app)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    return api


def init_spec_route(app: Flask, api: Api) -> None:
    """After the routes: the document is made once, of what is there."""
    spec = _completed(app, api)
    body = app.json.dumps(spec).encode()

    def openapi_json() -> Response:
        return json_response(body, headers={"Cache-Control": "public, max-age=300"})

    openapi_json.permission = None  # type: ignore[attr-defined]
    app.add_url_rule("/api/v1/openapi.json", "openapi_json", openapi_json)


def _completed(app: Flask, api: Api) -> dict[str, Any]:
    """Add what every operation has in common: who may call it, and what its errors look like."""
    spec: dict[str, Any] = api.spec.to_dict()
    for endpoint, view in app.view_functions.items():
        for rule in app.url_map.iter_rules(endpoint):
            operations = spec["paths"].get(_as_openapi_path(rule.rule), {})
            for method, operation in operations.items():
                if method.upper() not in (rule.methods or ()):
                    continue
                permission = getattr(view, "permission", None)
                operation["security"] = [] if permission is None else [{"bearer": []}]
                if permission is not None:
                    operation["x-permission"] = permission.value
    for responses in (operation["responses"] for path in spec["paths"].values() for operation in path.values() if isinstance(operation, dict) and "responses" in operation):
        _name_problem_type(responses)
    for response in spec["components"].get("responses", {}).values():
        _name_problem_type({"default": response})
    return spec


def _name_problem_type(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        content = response.get("content", {})
        if (status == "default" or status >= "400") and "application/json" in content:
            schema = content["application/json"].get("schema", {})
            if schema.get("$ref", "").endswith("/Problem"):
                content[PROBLEM] = content.pop("application/json")


def _as_openapi_path(rule: str) -> str:
    parts = (part.split(":")[-1] if part.startswith("<") else part for part in rule.split("/"))
    return "/".join("{" + part.strip("<>") + "}" if part.endswith(">") else part for part in parts)
