"""Compares the answer that an example shows with the one that the app gave."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from docs.generator.javascript import is_matcher
from docs.generator.templates import value_at

# Ids of rows and opaque values differ from run to run.
VOLATILE_KEYS = re.compile(r"id|\w+_id|request_id|next_cursor|(access_|refresh_)?token")
# These parts of a text differ from run to run.
VOLATILE_TEXT = {
    # Colons and the plus sign may be percent-encoded in a link.
    "<time>": re.compile(r"\d{4}-\d\d-\d\dT\d\d(?::|%3A)\d\d(?::|%3A)\d\d(?:\.\d+)?(?:(?:\+|%2B)\d\d(?::|%3A)\d\d|Z)?"),
    "<date>": re.compile(r"\d{4}-\d\d-\d\d"),
    "<request id>": re.compile(r"\b[0-9a-f]{32}\b"),
    # The value of a metric.
    "<count>": re.compile(r"(?<=\} )\d+(?:\.\d+)?$", re.MULTILINE),
}


def differences(shown: Any, real: Any, *, is_shortened: bool = False, at: str = "body") -> Iterator[str]:
    """Yield each key, type and fixed value that is not the same."""
    if isinstance(shown, str) and isinstance(real, str):
        yield from _text_differences(shown, real, is_shortened, at)
    elif isinstance(shown, dict) and isinstance(real, dict):
        yield from _object_differences(shown, real, is_shortened, at)
    elif isinstance(shown, list) and isinstance(real, list):
        if len(shown) != len(real) and not (is_shortened and len(shown) < len(real)):
            yield f"{at} has {len(real)} items, not {len(shown)}"
        for index, (one, other) in enumerate(zip(shown, real, strict=False)):
            yield from differences(one, other, is_shortened=is_shortened, at=f"{at}[{index}]")
    elif type(shown) is not type(real) or (shown != real and not isinstance(shown, float)):
        yield f"{at} is {real!r}, not {shown!r}"


def _object_differences(
    shown: Mapping[str, Any], real: Mapping[str, Any], is_shortened: bool, at: str
) -> Iterator[str]:
    if missing := shown.keys() - real.keys():
        yield f"{at} lacks {', '.join(sorted(missing))}"
    if (added := real.keys() - shown.keys()) and not is_shortened:
        yield f"{at} has {', '.join(sorted(added))} as well"
    for key in shown.keys() & real.keys():
        if not VOLATILE_KEYS.fullmatch(key):
            yield from differences(shown[key], real[key], is_shortened=is_shortened, at=f"{at}.{key}")
        elif type(shown[key]) is not type(real[key]):
            yield f"{at}.{key} is {real[key]!r}, not a {type(shown[key]).__name__}"


def _text_differences(shown: str, real: str, is_shortened: bool, at: str) -> Iterator[str]:
    one, other = _steady(shown), _steady(real)
    if is_shortened:
        lines = iter(other.splitlines())
        if missing := [line for line in one.splitlines() if line not in lines]:
            yield f"{at} lacks the line {missing[0]!r}"
    elif one != other:
        yield f"{at} is {real!r}, not {shown!r}"


def _steady(text: str) -> str:
    text = text.replace("\r\n", "\n")
    for stand_in, pattern in VOLATILE_TEXT.items():
        text = pattern.sub(stand_in, text)
    return text


def value_in(path: str, body: Any, headers: Mapping[str, str]) -> Any:
    """Return None for a missing header. Raises LookupError if the path leads nowhere in the body."""
    if path.startswith("headers."):
        return headers.get(path.removeprefix("headers."))
    if isinstance(body, str):
        # Postman's script does the same.
        text = body.strip().replace("\r\n", "\n")
        return value_at({"text": body, "lines": text.split("\n")}, path)
    return value_at(body, path)


def meets(value: Any, expected: Any) -> bool:
    """Evaluates what docs/generator/javascript.py writes for Postman."""
    if not isinstance(expected, dict) or not is_matcher(expected):
        return type(value) is type(expected) and value == expected
    ((kind, wanted),) = expected.items()
    if kind == "each":
        return all(meets(each, wanted) for each in value)
    return MATCHERS[kind](value, wanted)


TYPES = {"string": str, "object": dict, "array": list}
MATCHERS = {
    "is": lambda value, wanted: isinstance(value, TYPES[wanted]),
    "match": lambda value, wanted: re.search(wanted, value, re.MULTILINE) is not None,
    "includes": lambda value, wanted: wanted in value,
    "members": lambda value, wanted: sorted(value) == sorted(wanted),
    "keys": lambda value, wanted: set(value) == set(wanted),
    "length": lambda value, wanted: len(value) == wanted,
    "above": lambda value, wanted: value > wanted,
    "at_least": lambda value, wanted: value >= wanted,
    "not": lambda value, wanted: value != wanted,
    "empty": lambda value, wanted: (len(value) == 0) is wanted,
}
