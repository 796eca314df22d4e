"""How routes are declared: their arguments and answers, by flask-smorest. `description.py` completes what it writes."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from flask import Flask
from flask_smorest import Api
from flask_smorest import Blueprint as SmorestBlueprint
from marshmallow import Schema, fields, missing
from webargs.fields import DelimitedFieldMixin

from app.errors import TaskTrackerError
from app.http.arguments import ArgumentsParser
from app.http.converters import describe_converters, init_converters

# Headers of single responses. The description adds those that all responses have.
LOCATION = {"Location": {"$ref": "#/components/headers/Location"}}
X_CACHE = {"X-Cache": {"$ref": "#/components/headers/X-Cache"}}
DESCRIPTION = """
A self-hosted, API-first task tracker for teams that must trust their record.

Log in at `POST /api/v1/auth/login` and send the access token as `Authorization: Bearer <token>`. Scripts send an API
token in the same way; `x-scopes` names the scopes of which it needs one. Errors are `application/problem+json`
(RFC 9457) with a stable `code`. Lists are pages: follow `next_cursor`, or `Link: rel="next"`.
"""


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
    items = fields.List(
        fields.Dict(),
        metadata={"description": "with `bulk_refused`: each item of the request, and what is wrong with it"},
    )
    error_count = fields.Integer(metadata={"description": "how many there are in all; with `errors`"})


class ClassicError(Schema):
    """An error of the classic API."""

    error = fields.String(required=True)


View = TypeVar("View", bound=Callable[..., Any])


class Decorator(Protocol):
    """Keeps the type of the view."""

    def __call__(self, view: View, /) -> View: ...


def versioned(view: View) -> View:
    """Mark a route whose ETag is a version: GET heeds If-None-Match, and PUT, PATCH and DELETE heed If-Match."""
    view.is_versioned = True  # type: ignore[attr-defined]
    return view


def conditional(view: View) -> View:
    """Mark a POST that heeds If-Match. No setting requires the header of it."""
    view.is_conditional = True  # type: ignore[attr-defined]
    return view


def raises(*errors: type[TaskTrackerError]) -> Decorator:
    """Name the errors of a route that do not follow from its permission, its path or its arguments."""

    def mark(view: View) -> View:
        view.errors = errors  # type: ignore[attr-defined]
        return view

    return mark


def _call_fields_parameters(schema: Schema) -> None:
    """Make the messages about a query speak of parameters."""
    described: list[Schema | fields.Field[Any]] = [schema, *schema.fields.values()]
    for each in described:
        messages: Mapping[str, Any] = each.error_messages
        each.error_messages = {name: text.replace("field", "parameter") for name, text in messages.items()}


class Blueprint(SmorestBlueprint):  # type: ignore[misc]
    """flask-smorest's blueprint with type annotations and our parser."""

    ARGUMENTS_PARSER = ArgumentsParser()

    def arguments(self, schema: type[Schema], *, location: str = "json", **options: Any) -> Decorator:
        # webargs would instantiate a class anew for each request.
        instance = schema()
        instance.needs_body = options.get("required", True)  # type: ignore[attr-defined]
        if location == "query":
            _call_fields_parameters(instance)
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


def _place_of_delimited(_converter: Any, field: fields.Field[Any], **_kwargs: Any) -> dict[str, Any]:
    """The values of such a list stand in one parameter, with commas between them."""
    return {"explode": False} if isinstance(field, DelimitedFieldMixin) else {}


def _default_of_delimited(_converter: Any, field: fields.Field[Any], **_kwargs: Any) -> dict[str, Any]:
    has_default = isinstance(field, DelimitedFieldMixin) and field.load_default is not missing
    return {"default": field.load_default} if has_default else {}


class _Api(Api):  # type: ignore[misc]
    ERROR_SCHEMA = Problem


def init_openapi(app: Flask) -> Api:
    """Create the Api, on which the routes are then registered."""
    # A path with a doubled slash is a 404. Werkzeug would redirect to the same path on any host that the client named.
    app.url_map.merge_slashes = False
    init_converters(app)
    app.config.update(
        API_TITLE="TaskTrackerPro",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={
            "info": {"description": DESCRIPTION.strip(), "license": {"name": "MIT", "identifier": "MIT"}},
            # A client adds the address of the tracker that it talks to.
            "servers": [{"url": "/", "description": "this tracker"}],
        },
    )
    api = _Api(app)
    describe_converters(api)
    api.ma_plugin.converter.add_parameter_attribute_function(_place_of_delimited)
    api.ma_plugin.converter.add_attribute_function(_default_of_delimited)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    return api
