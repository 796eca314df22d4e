"""How the OpenAPI document describes answers that are files."""

from typing import Any

from marshmallow import Schema

from app.http.downloads import CSV_TYPE, XLSX_TYPE

CSV = {CSV_TYPE: {"schema": {"type": "string"}}}
XLSX = {XLSX_TYPE: {"schema": {"type": "string", "format": "binary"}}}


def page_or_file(page: type[Schema], *files: dict[str, Any]) -> dict[str, Any]:
    """The responses of an operation that answers with JSON or, if the query asks for it, with a file."""
    content = {"application/json": {"schema": page}}
    for file in files:
        content |= file
    return {"200": {"description": "OK", "content": content}}
