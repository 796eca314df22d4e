"""The OpenAPI document that the app serves, operation by operation."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

from app.factory import create_app
from app.settings import read_settings

PATH = "/api/v1/openapi.json"
METHODS = ("get", "post", "put", "patch", "delete")
PARAMETER = re.compile(r"\{\w+\}")
REF = "#/components/schemas/"
PROBLEM = "Problem"
# Keywords that describe a value and refuse none.
ANNOTATIONS = {"description", "default", "example", "writeOnly"}
# The app sends nothing to these servers.
ENVIRONMENT = {
    "ENVIRONMENT": "development",
    "DATABASE_URL": "postgresql://nobody@localhost:1/nowhere",
    "REDIS_URL": "redis://localhost:1/0",
    "JWT_SECRET_KEY": "this key signs nothing, since nobody can log in",
    "RATE_LIMIT_ENABLED": "false",
    "LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class NamedSchema:
    """A schema without references. `name` is that of the component, or says what a list is a list of."""

    name: str
    schema: Mapping[str, Any]


class Operation:
    """One method of one path."""

    def __init__(
        self, path: str, method: str, path_parameters: list[dict[str, Any]], described: dict[str, Any]
    ) -> None:
        self.path = path
        self.method = method.upper()
        self.described = described
        self.parameters: list[dict[str, Any]] = [*path_parameters, *described.get("parameters", [])]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def summary(self) -> str:
        summary: str = self.described["summary"]
        return summary

    @property
    def description(self) -> str:
        description: str = self.described.get("description", "")
        return description

    @property
    def name(self) -> str:
        name: str = self.described["operationId"]
        return name

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in self.described["responses"]]

    @property
    def permission(self) -> str | None:
        return self.described.get("x-permission")

    @property
    def scopes(self) -> list[str]:
        """The scopes of which an API token needs one. Empty if no API token may."""
        scopes: list[str] = self.described.get("x-scopes", [])
        return scopes

    @property
    def needs_token(self) -> bool:
        return bool(self.described["security"])

    @property
    def body(self) -> tuple[str, Mapping[str, Any]] | None:
        """The media type and the schema of the request's body; None if it takes no body."""
        if "requestBody" not in self.described:
            return None
        ((media_type, content),) = self.described["requestBody"]["content"].items()
        return media_type, content["schema"]

    def response_schema(self, status: int, media_type: str) -> Mapping[str, Any] | None:
        """None if the document does not describe such a body."""
        response = self.described["responses"].get(str(status), {})
        schema: Mapping[str, Any] | None = response.get("content", {}).get(media_type, {}).get("schema")
        return schema

    def fits(self, path: str) -> bool:
        pattern = "[^/]+".join(map(re.escape, PARAMETER.split(self.path)))
        return re.fullmatch(pattern, path) is not None


class Contract:
    def __init__(self, text: str) -> None:
        """`text` is the document as the app serves it."""
        self.text = text
        self.document: dict[str, Any] = json.loads(text)

    @cached_property
    def operations(self) -> list[Operation]:
        return [
            Operation(path, method, item.get("parameters", []), {**described, "responses": self._responses(described)})
            for path, item in self.document["paths"].items()
            for method, described in item.items()
            if method in METHODS
        ]

    def _responses(self, described: dict[str, Any]) -> dict[str, Any]:
        """The responses of an operation. Those that the document names once for all operations are looked up."""
        components = self.document["components"]["responses"]
        return {
            status: components[response["$ref"].rpartition("/")[2]] if "$ref" in response else response
            for status, response in described["responses"].items()
        }

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation with the fewest parameters that fits the path; None if the document has none."""
        fitting = [each for each in self.operations if each.method == method and each.fits(path)]
        return min(fitting, key=lambda each: len(PARAMETER.findall(each.path)), default=None)

    def answer_schema(self, method: str, path: str, status: int, media_type: str) -> NamedSchema | None:
        """The schema of problems if the document does not know the path and the method; None if it says nothing."""
        operation = self.operation(method, path)
        if operation is None:
            return self.component(PROBLEM) if status >= HTTPStatus.BAD_REQUEST else None
        schema = operation.response_schema(status, media_type)
        if schema is None or schema.get("type") == "string":
            return None
        return NamedSchema(_name_of(schema), self._inlined(schema))

    def component(self, name: str) -> NamedSchema:
        return NamedSchema(name, self._inlined({"$ref": REF + name}))

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The component that a reference names; any other schema as it is."""
        if "$ref" not in schema:
            return schema
        component: Mapping[str, Any] = self.document["components"]["schemas"][schema["$ref"].removeprefix(REF)]
        return component

    def _inlined(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return [self._inlined(each) for each in schema]
        if not isinstance(schema, Mapping):
            return schema
        if "$ref" in schema:
            return self._inlined(self.resolved(schema))
        return dict(self._keywords(schema))

    def _keywords(self, schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for keyword, value in schema.items():
            if keyword == "properties":
                # A property may have the name of a keyword.
                yield keyword, {name: self._inlined(each) for name, each in value.items()}
            elif keyword not in ANNOTATIONS:
                yield keyword, self._inlined(value)


def _name_of(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REF)
    return f"{_name_of(schema['items'])}List"


def read_contract() -> Contract:
    """Read the document without a server. It depends on the routes alone."""
    with patch.dict(os.environ, ENVIRONMENT, clear=True):
        app = create_app(read_settings())
    return Contract(app.test_client().get(PATH).text)
