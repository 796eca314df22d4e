"""How routes are declared and described: arguments and OpenAPI 3.1 by flask-smorest, errors by ourselves."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol, TypeVar

import orjson
from flask import Flask, Response
from flask_smorest import Api
from flask_smorest import Blueprint as SmorestBlueprint
from marshmallow import Schema, ValidationError, fields, missing
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.routing import IntegerConverter

from app.auth.permissions import scopes_with
from app.http.identity.access import ME
from app.http.responses import json_response
from app.http.uploads import current_upload
from app.queries.pages import MAX_BIGINT


class Problem(Schema):
    """RFC 9457 problem details."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True, metadata={"description": "stable: clients may branch on it"})
    request_id = fields.String(required=True)
    errors = fields.List(
        fields.Nested(Schema.from_dict({"pointer": fields.String(), "detail": fields.String()}, name="FieldProblem")),
        metadata={"description": "the first 20"},
    )
    error_count = fields.Integer(metadata={"description": "how many there are in all; with `errors`"})


class ClassicError(Schema):
    """An error of the classic API."""

    error = fields.String(required=True)


PARAMETER = re.compile(r"\{\w+\}")
# More digits than the largest bigint has, and few enough to parse quickly.
MAX_DIGITS = 30
PROBLEM = {
    "description": "What is wrong, and where",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
CLASSIC_ERROR = {
    "description": "What is wrong",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ClassicError"}}},
}
# The content of a response that is a file.
CSV = {"text/csv": {"schema": {"type": "string"}}}
DESCRIPTION = """
A self-hosted, API-first task tracker for teams that must trust their record.

Log in at `POST /api/v1/auth/login` and send the access token as `Authorization: Bearer <token>`. Scripts send an API
token in the same way; `x-scopes` names the scopes of which it needs one. Errors are `application/problem+json`
(RFC 9457) with a stable `code`. Lists are pages: follow `next_cursor`, or `Link: rel="next"`.
"""


# Commas, colons and opening brackets, one or two for each value. The largest sensible input has a few thousand.
MAX_JSON_SEPARATORS = 25_000
# A string that is not closed ends with the body.
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|(?P<separator>[,:\[])', re.DOTALL)


# The queries that a process keeps once it has read them, and the longest of them.
MAX_READ_QUERIES = 1024
MAX_READ_QUERY_BYTES = 512


class _Parser(FlaskParser):
    # A misspelt filter would otherwise silently list everything.
    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 - webargs declares it for instances
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": None,
        "form": None,
        "files": None,
    }

    def __init__(self) -> None:
        super().__init__()
        self._read_queries: dict[tuple[Schema, bytes], Any] = {}

    def parse(self, argmap: Any, req: Any = None, *, location: str | None = None, **options: Any) -> Any:
        """Load and validate the arguments. A query that this process has read before is not read again.

        Only hashable values are kept, because a view may change any other. A schema must not ask the clock: what it
        makes of a text must stay true.
        """
        req = req or self.get_default_request()
        if location != "query" or len(req.query_string) > MAX_READ_QUERY_BYTES:
            return super().parse(argmap, req, location=location, **options)
        key = (argmap, req.query_string)
        query = self._read_queries.get(key)
        if query is None:
            query = super().parse(argmap, req, location=location, **options)
            if _is_hashable(query):
                if len(self._read_queries) >= MAX_READ_QUERIES:
                    self._read_queries.clear()
                self._read_queries[key] = query
        return query

    def load_json(self, req: Any, schema: Any) -> Any:
        """Parse the body with orjson, which refuses NaN and lone surrogates. webargs itself would accept them."""
        body = req.get_data()
        if not body:
            if getattr(schema, "needs_body", True):
                raise ValidationError("A JSON body is needed.")
            return missing
        if not req.is_json:
            raise UnsupportedMediaType
        _ensure_few_values(body)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise BadRequest("the body is not JSON") from None

    def load_querystring(self, req: Any, schema: Any) -> Any:
        return self._without_repetition(req.args, schema)

    def load_form(self, _req: Any, schema: Any) -> Any:
        return self._without_repetition(MultiDict(current_upload().fields), schema)

    @staticmethod
    def _without_repetition(values: MultiDict[str, Any], schema: Any) -> Any:
        """Refuse a value that is given twice: one of the two would be ignored silently."""
        proxy = MultiDictProxy(values, schema)
        repeated = [name for name, said in values.lists() if len(said) > 1 and name not in proxy.multiple_keys]
        if repeated:
            raise ValidationError({name: ["Say it once."] for name in repeated})
        # The schema looks at each of its fields, and the proxy takes longer to say that there is no value.
        return {name: proxy[name] for name in values}

    def load_files(self, _req: Any, schema: Any) -> Any:
        file = current_upload().file
        return MultiDictProxy(MultiDict([] if file is None else [(file.name, file)]), schema)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _ensure_few_values(body: bytes) -> None:
    """Raise RequestEntityTooLarge for a body with too many values.

    Call it before the body is parsed: a value of two bytes becomes an object of a hundred.
    """
    if sum(map(body.count, (b",", b":", b"["))) <= MAX_JSON_SEPARATORS:
        return
    # Separators within strings do not count. There are at most two strings for each separator outside of strings.
    tokens = islice(_JSON_TOKEN.finditer(body), 3 * MAX_JSON_SEPARATORS)
    kinds = Counter(token.lastgroup for token in tokens)
    if kinds["separator"] > MAX_JSON_SEPARATORS or kinds.total() == 3 * MAX_JSON_SEPARATORS:
        raise RequestEntityTooLarge("the body has too many values")


View = TypeVar("View", bound=Callable[..., Any])


class Decorator(Protocol):
    """Keeps the type of the view."""

    def __call__(self, view: View, /) -> View: ...


class Blueprint(SmorestBlueprint):  # type: ignore[misc]
    """flask-smorest's blueprint with type annotations and our parser."""

    ARGUMENTS_PARSER = _Parser()

    def arguments(self, schema: type[Schema], *, location: str = "json", **options: Any) -> Decorator:
        # webargs would instantiate a class anew for each request.
        instance = schema()
        instance.needs_body = options.get("required", True)  # type: ignore[attr-defined]
        return super().arguments(instance, location=location, **options)  # type: ignore[no-any-return]

    def response(self, status: int, schema: type[Schema] | Schema | None = None, **options: Any) -> Decorator:
        """Document a response. Every view returns a finished Response, so there is nothing to serialise."""
        decorate = super().response(status, schema, **options)

        def document(view: View) -> View:
            view._apidoc = decorate(view)._apidoc  # type: ignore[attr-defined]  # noqa: SLF001
            return view

        return document

    def alt_response(self, status: int, schema: type[Schema], **options: Any) -> Decorator:
        return super().alt_response(status, schema=schema, **options)  # type: ignore[no-any-return]

    def doc(self, **options: Any) -> Decorator:
        return super().doc(**options)  # type: ignore[no-any-return]

    def route(self, rule: str, **options: Any) -> Decorator:
        return super().route(rule, **options)  # type: ignore[no-any-return]

    def get(self, rule: str, **options: Any) -> Decorator:
        return self.route(rule, methods=["GET"], **options)

    def post(self, rule: str, **options: Any) -> Decorator:
        return self.route(rule, methods=["POST"], **options)

    def put(self, rule: str, **options: Any) -> Decorator:
        return self.route(rule, methods=["PUT"], **options)

    def patch(self, rule: str, **options: Any) -> Decorator:
        return self.route(rule, methods=["PATCH"], **options)

    def delete(self, rule: str, **options: Any) -> Decorator:
        return self.route(rule, methods=["DELETE"], **options)


class IdConverter(IntegerConverter):
    """A row's id in a path. A number beyond bigint becomes the largest bigint, which no row has, so it is a 404."""

    def to_python(self, value: str) -> int:
        return min(int(value[:MAX_DIGITS]), MAX_BIGINT)


class UserIdConverter(IdConverter):
    """A user's id, or `me`, which `me_or` replaces with the actor's id."""

    regex = r"\d+|me"

    def to_python(self, value: str) -> int:
        return ME if value == "me" else super().to_python(value)


class _Api(Api):  # type: ignore[misc]
    ERROR_SCHEMA = Problem


def init_openapi(app: Flask) -> Api:
    """Create the Api, on which the routes are then registered."""
    # A path with a doubled slash is a 404. Werkzeug would redirect to the same path on any host that the client named.
    app.url_map.merge_slashes = False
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


def init_spec_route(app: Flask, api: Api, *, classic_blueprint: str) -> None:
    """Call it after the routes are registered: the document is made once."""
    api.spec.components.schema("ClassicError", schema=ClassicError)
    spec = _completed(app, api, classic_blueprint)
    body = app.json.dumps(spec).encode()

    def openapi_json() -> Response:
        return json_response(body, headers={"Cache-Control": "public, max-age=300"})

    openapi_json.permission = None  # type: ignore[attr-defined]
    app.add_url_rule("/api/v1/openapi.json", "openapi_json", openapi_json)


def _completed(app: Flask, api: Api, classic_blueprint: str) -> dict[str, Any]:
    """Add to each operation who may call it, and the format of its errors."""
    spec: dict[str, Any] = api.spec.to_dict()
    for rule in app.url_map.iter_rules():
        permission = getattr(app.view_functions[rule.endpoint], "permission", None)
        is_classic = rule.endpoint.startswith(f"{classic_blueprint}.")
        for method, operation in spec["paths"].get(_as_openapi_path(rule.rule), {}).items():
            if method.upper() not in (rule.methods or ()):
                continue
            operation.setdefault("security", [] if permission is None else [{"bearer": []}])
            if permission is not None:
                operation["x-permission"] = permission.value
                operation["x-scopes"] = [scope.value for scope in scopes_with(permission)]
            responses = operation["responses"]
            error = CLASSIC_ERROR if is_classic else PROBLEM
            # flask-smorest refers to its own error responses, which are never sent.
            referred = [status for status, response in responses.items() if "$ref" in response]
            responses.update(dict.fromkeys([*referred, "default"], error))
    spec["components"].pop("responses", None)
    _merge_same_paths(spec["paths"])
    for key, name in api.ma_plugin.converter.refs.items():
        min_properties = getattr(key[0], "min_properties", None)
        if min_properties is not None:
            spec["components"]["schemas"][name]["minProperties"] = min_properties
    return spec


def _merge_same_paths(paths: dict[str, Any]) -> None:
    """Merge templates that differ only in a parameter's name: they are one path (OpenAPI 3.1, Paths Object)."""
    first_of: dict[str, str] = {}
    for path in list(paths):
        first = first_of.setdefault(PARAMETER.sub("{}", path), path)
        if first != path:
            operations = paths.pop(path)
            names = ", ".join(parameter["name"] for parameter in operations.pop("parameters"))
            for operation in operations.values():
                operation["description"] = f"Here the path parameter is {names}."
            paths[first] |= operations


def _as_openapi_path(rule: str) -> str:
    parts = (part.split(":")[-1] if part.startswith("<") else part for part in rule.split("/"))
    return "/".join("{" + part.strip("<>") + "}" if part.endswith(">") else part for part in parts)
