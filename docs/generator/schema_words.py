"""Describes the values that a JSON schema allows, in words."""

import json
import re
from collections.abc import Mapping
from typing import Any

from docs.generator.contract import REF

FORMATS = {
    "date-time": "time",
    "date": "date",
    "email": "email address",
    "password": "text",
    "binary": "file",
}
TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}
# Patterns that have a name in the hand-written part.
PATTERNS = {
    "^[A-Z][A-Z0-9]{1,9}$": "project key",
    "^[A-Z][A-Z0-9]{1,9}-[0-9]{1,18}$": "ref",
    "^[A-Za-z][A-Za-z0-9._-]*$": "username",
}

# A limit that no client meets is not worth a word.
LARGEST_ID = 2**63 - 1


def words_for(schema: Mapping[str, Any]) -> str:
    """The type and its limits, such as `text, 1 to 255 characters, or null`."""
    parts = [_type(schema), *_limits(schema)]
    if _is_nullable(schema):
        parts.append("or null")
    text = ", ".join(part for part in parts if part)
    return text.replace(", or null", " or null") if len(parts) == 2 else text  # noqa: PLR2004


def _is_nullable(schema: Mapping[str, Any]) -> bool:
    if "anyOf" in schema:
        return any(each.get("type") == "null" for each in schema["anyOf"])
    return isinstance(schema.get("type"), list) and "null" in schema["type"]


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        # The first of two enumerations has our words; the other one has those of other trackers.
        return _type(schema["anyOf"][0])
    if "enum" in schema:
        return " ".join(f"`{_shown(each)}`" for each in schema["enum"])
    named = PATTERNS.get(schema.get("pattern", "")) or FORMATS.get(schema.get("format", ""))
    return named or _plain_type(schema)


def _plain_type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _spaced(schema["$ref"].removeprefix(REF))
    kinds = schema.get("type")
    kind = next(each for each in kinds if each != "null") if isinstance(kinds, list) else kinds
    if kind == "array":
        return f"list of {_plural(schema['items'])}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {_plural(values)}" if isinstance(values, Mapping) else "object"
    return TYPES.get(str(kind), "any value")


def _plural(schema: Mapping[str, Any]) -> str:
    words = words_for(schema)
    plurals = {"text": "texts", "whole number": "numbers", "number": "numbers", "time": "times"}
    head, comma, rest = words.partition(",")
    if head in plurals:
        return plurals[head] + comma + rest
    return f"{words}s" if "`" not in words and not comma else words


def _limits(schema: Mapping[str, Any]) -> list[str]:
    limits = []
    if "maxLength" in schema and "cursor" not in str(schema.get("description", "")):
        least = schema.get("minLength", 0)
        limits.append(
            f"{least} to {schema['maxLength']:,} characters" if least else f"up to {schema['maxLength']:,} characters"
        )
    if schema.get("maximum", LARGEST_ID) < LARGEST_ID:
        limits.append(f"{schema.get('minimum', 0):,} to {schema['maximum']:,}")
    if "maxItems" in schema:
        limits.append(f"at most {schema['maxItems']}")
    return limits


def default_of(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return "" if default in (None, []) else f"`{_shown(default)}`"


def _shown(value: Any) -> str:
    """A tab would not be seen."""
    if value == "\t":
        return "tab"
    if isinstance(value, list):
        return ",".join(_shown(each) for each in value)
    return value if isinstance(value, str) else json.dumps(value)


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
