"""The OpenAPI document: what flask-smorest writes about each route, completed with what routes have in common.

A guard test calls every operation and refuses an answer that the document does not name.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response
from flask_smorest import Api
from werkzeug.routing import Rule

from app.auth.permissions import scopes_with
from app.errors import IdempotencyKeyReusedError, RequestUnderWayError
from app.http.document_parts import (
    ERRORS,
    HEADERS,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    JSON,
    LIMIT_HEADERS,
    error_name,
    error_response,
    headers_of,
)
from app.http.error_handlers import STATUS_OF
from app.http.idempotency import is_answered_once
from app.http.openapi import ClassicError
from app.http.rate_limits import EXEMPT_PATHS
from app.http.responses import json_response

# The examples of docs/examples by operation, written by `make docs`.
EXAMPLES = Path(__file__).with_name("examples.json")
PARAMETER = re.compile(r"\{\w+\}")
FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class _Route:
    """One operation of the document, and the view behind it."""

    rule: Rule
    method: str
    view: Any
    is_classic: bool
    operation: dict[str, Any]

    @property
    def name(self) -> str:
        """The operation's id: the name of its view. It is unique, although classic views share names with others."""
        name = self.rule.endpoint.rpartition(".")[2]
        if self.is_classic:
            name = f"classic_{name}"
        # PUT and PATCH of the same path may share a view.
        shares_view = {"PUT", "PATCH"} <= (self.rule.methods or set())
        return f"{name}_with_put" if shares_view and self.method == "PUT" else name

    @property
    def is_limited(self) -> bool:
        return self.rule.rule not in EXEMPT_PATHS

    @property
    def is_conditional(self) -> bool:
        """True if the route heeds If-Match."""
        return self.is_change_of_version or hasattr(self.view, "is_conditional")

    @property
    def is_change_of_version(self) -> bool:
        """True if a setting may require If-Match of the route."""
        return hasattr(self.view, "is_versioned") and self.method in {"PUT", "PATCH", "DELETE"}

    @property
    def is_revalidated(self) -> bool:
        """True if the route heeds If-None-Match."""
        return hasattr(self.view, "is_versioned") and self.method == "GET"

    def error_statuses(self) -> set[HTTPStatus]:
        named = getattr(self.view, "errors", ())
        return {
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_URI_TOO_LONG,
            *self._statuses_of_access(),
            *self._statuses_of_arguments(),
            *(next(STATUS_OF[base] for base in error.__mro__ if base in STATUS_OF) for error in named),
        }

    def _statuses_of_access(self) -> Iterator[HTTPStatus]:
        if self.operation["security"]:
            yield HTTPStatus.UNAUTHORIZED
        if getattr(self.view, "permission", None) is not None:
            yield HTTPStatus.FORBIDDEN
        if self.is_limited:
            yield HTTPStatus.TOO_MANY_REQUESTS
        if not hasattr(self.view, "is_ungated"):
            yield HTTPStatus.SERVICE_UNAVAILABLE

    def _statuses_of_arguments(self) -> Iterator[HTTPStatus]:
        if self.rule.arguments:
            yield HTTPStatus.NOT_FOUND
        if "requestBody" in self.operation:
            yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if "requestBody" in self.operation or "parameters" in self.operation:
            yield HTTPStatus.UNPROCESSABLE_ENTITY
        if is_answered_once(self.method, self.view):
            yield HTTPStatus.CONFLICT
            yield HTTPStatus.UNPROCESSABLE_ENTITY
        if self.is_conditional:
            yield HTTPStatus.PRECONDITION_FAILED
        if self.is_change_of_version:
            yield HTTPStatus.PRECONDITION_REQUIRED

    def codes_of(self, status: HTTPStatus) -> list[str]:
        errors = getattr(self.view, "errors", ())
        if is_answered_once(self.method, self.view):
            errors = (*errors, RequestUnderWayError, IdempotencyKeyReusedError)
        return [error.code for error in errors if status in {STATUS_OF.get(base) for base in error.__mro__}]


def init_spec_route(app: Flask, api: Api, *, classic_blueprint: str) -> None:
    """Call it after the routes are registered: the document is made once."""
    api.spec.components.schema("ClassicError", schema=ClassicError)
    body = orjson.dumps(_completed(app, api, classic_blueprint))

    def openapi_json() -> Response:
        return json_response(body, headers={"Cache-Control": "public, max-age=300"})

    openapi_json.permission = None  # type: ignore[attr-defined]
    app.add_url_rule("/api/v1/openapi.json", "openapi_json", openapi_json)


def _completed(app: Flask, api: Api, classic_blueprint: str) -> dict[str, Any]:
    spec: dict[str, Any] = api.spec.to_dict()
    components = spec["components"]
    components["headers"] = HEADERS
    components["responses"] = {
        error_name(status, is_classic): error_response(status, is_classic)
        for status in ERRORS
        for is_classic in (False, True)
    }
    examples = orjson.loads(EXAMPLES.read_bytes()) if EXAMPLES.exists() else {}
    for route in _routes(app, spec, classic_blueprint):
        _complete(route, components["schemas"])
        _add_examples(route, examples.get(route.name, {}))
    _remove_unused(spec)
    _merge_same_paths(spec["paths"])
    for key, name in api.ma_plugin.converter.refs.items():
        min_properties = getattr(key[0], "min_properties", None)
        if min_properties is not None:
            components["schemas"][name]["minProperties"] = min_properties
    return spec


def _routes(app: Flask, spec: dict[str, Any], classic_blueprint: str) -> Iterator[_Route]:
    for rule in app.url_map.iter_rules():
        is_classic = rule.endpoint.startswith(f"{classic_blueprint}.")
        for method, operation in spec["paths"].get(_as_openapi_path(rule.rule), {}).items():
            if method.upper() in (rule.methods or ()):
                yield _Route(rule, method.upper(), app.view_functions[rule.endpoint], is_classic, operation)


def _complete(route: _Route, schemas: dict[str, Any]) -> None:
    operation = route.operation
    operation["operationId"] = route.name
    _shorten_summary(operation)
    permission = getattr(route.view, "permission", None)
    operation.setdefault("security", [] if permission is None else [{"bearer": []}])
    if permission is not None:
        operation["x-permission"] = permission.value
        operation["x-scopes"] = [scope.value for scope in scopes_with(permission)]
    _join_form(operation, schemas, route.name)
    responses = operation["responses"]
    # flask-smorest refers to its own error responses, which are never sent.
    for status in [status for status, response in responses.items() if "$ref" in response]:
        del responses[status]
    # The headers below have no invalid values, so these come first.
    errors = sorted(route.error_statuses())
    if is_answered_once(route.method, route.view):
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    if route.is_conditional:
        operation.setdefault("parameters", []).append(IF_MATCH)
    if route.is_revalidated:
        operation.setdefault("parameters", []).append(IF_NONE_MATCH)
        responses["304"] = {"description": "You have this version already.", "headers": headers_of("ETag")}
    for response in responses.values():
        response["headers"] = {**_common_headers(route), **_own_headers(route, response, schemas)}
    for status in errors:
        responses.setdefault(str(int(status)), _error_reference(route, status))


def _shorten_summary(operation: dict[str, Any]) -> None:
    """Keep the first sentence as the title of the operation, and move the others to the description."""
    title, _, others = operation["summary"].partition(". ")
    paragraphs = [part for part in (others, operation.get("description", "")) if part]
    operation["summary"] = title.removesuffix(".")
    if paragraphs:
        operation["description"] = "\n\n".join(paragraphs)


def _common_headers(route: _Route) -> dict[str, Any]:
    return headers_of("X-Request-ID", *(LIMIT_HEADERS if route.is_limited else ()))


def _own_headers(route: _Route, response: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    headers: dict[str, Any] = response.get("headers", {})
    if is_answered_once(route.method, route.view):
        headers = {**headers, **headers_of("Idempotency-Replayed")}
    schema = response.get("content", {}).get(JSON, {}).get("schema", {})
    properties = schemas.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
    if "next_cursor" in properties:
        headers = {**headers, **headers_of("Link")}
    if hasattr(route.view, "is_versioned") and "content" in response:
        headers = {**headers, **headers_of("ETag")}
    return headers


def _join_form(operation: dict[str, Any], schemas: dict[str, Any], name: str) -> None:
    """Describe a form with options as one schema, the file last. flask-smorest writes the options as Swagger 2 did."""
    parameters = operation.get("parameters", [])
    options = [each for each in parameters if each["in"] == "formData"]
    if not options:
        return
    operation["parameters"] = [each for each in parameters if each not in options]
    content = operation["requestBody"]["content"][FORM]
    file = schemas[content["schema"]["$ref"].rpartition("/")[2]]
    described = {
        each["name"]: {**each["schema"], **({"description": each["description"]} if "description" in each else {})}
        for each in options
    }
    form_name = "".join(word.capitalize() for word in name.split("_")) + "Form"
    # Generated clients send required fields first, and the file must come last. So the schema does not require it, and
    # the description of the file says that it is needed.
    unordered = {keyword: value for keyword, value in file.items() if keyword != "required"}
    schemas[form_name] = {**unordered, "properties": {**described, **file["properties"]}}
    content["schema"] = {"$ref": f"#/components/schemas/{form_name}"}


def _error_reference(route: _Route, status: HTTPStatus) -> dict[str, Any]:
    reference = {"$ref": f"#/components/responses/{error_name(status, route.is_classic)}"}
    codes = route.codes_of(status)
    if codes and not route.is_classic:
        reference["description"] = f"{ERRORS[status][0]} Codes: {', '.join(f'`{code}`' for code in codes)}."
    return reference


def _add_examples(route: _Route, examples: Mapping[str, Any]) -> None:
    if "request" in examples:
        route.operation["requestBody"]["content"][JSON]["example"] = examples["request"]
    for status, body in examples.get("answers", {}).items():
        route.operation["responses"][status]["content"][JSON]["example"] = body


def _remove_unused(spec: dict[str, Any]) -> None:
    # flask-smorest describes its own paging, which no route uses.
    spec["components"]["schemas"].pop("PaginationMetadata", None)
    used = {
        response["$ref"].rpartition("/")[2]
        for path in spec["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
        for response in operation["responses"].values()
        if "$ref" in response
    }
    responses = spec["components"]["responses"]
    spec["components"]["responses"] = {name: response for name, response in responses.items() if name in used}


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
