"""The headers that differ from run to run, and the patterns that they match."""

import re
from collections.abc import Mapping
from typing import Any

from docs.generator.templates import VARIABLE

# The parts of a shown value that differ from run to run, and the patterns that replace them.
VOLATILE: Mapping[str, list[tuple[str, str]]] = {
    "Location": [(r"\d+$", r"\d+")],
    "ETag": [(r"\d+", r"\d+")],
    "Content-Disposition": [(r"\d+", r"\d+")],
    "RateLimit": [(r'"\w+"', r'"\w+"'), (r"(?<=[rt]=)\d+", r"\d+")],
    "RateLimit-Policy": [(r'"\w+"', r'"\w+"'), (r"(?<=q=)\d+", r"\d+")],
    "X-RateLimit-Remaining": [(r"\d+", r"\d+")],
    "X-Cache": [(r"^\w+$", "(hit|miss)")],
    "Link": [(r"<.*>", "<.+>")],
    "Retry-After": [(r"\d+", r"\d+")],
    "X-Request-ID": [(r"^[0-9a-f]{32}$", "[0-9a-f]{32}")],
}


def pattern_of(name: str, value: Any) -> str | None:
    """The pattern that the header must match; None if it must be equal to the shown value."""
    if isinstance(value, Mapping):
        pattern: str = value["match"]
        return pattern
    if name not in VOLATILE or VARIABLE.search(value):
        return None
    parts = [value]
    for differing, pattern in VOLATILE[name]:
        parts = [piece for part in parts for piece in _split(part, differing, pattern)]
    return f"^{''.join(part if isinstance(part, _Pattern) else _escaped(part) for part in parts)}$"


class _Pattern(str):
    """A part that is a pattern already."""

    __slots__ = ()


def _escaped(text: str) -> str:
    """Python escapes spaces, too, for a mode that JavaScript does not have."""
    return re.escape(text).replace(r"\ ", " ")


def _split(part: str, differing: str, pattern: str) -> list[str]:
    if isinstance(part, _Pattern):
        return [part]
    pieces: list[str] = []
    end = 0
    for match in re.finditer(differing, part):
        pieces += [part[end : match.start()], _Pattern(pattern)]
        end = match.end()
    return [*pieces, part[end:]]


def shown_value(value: Any) -> Any:
    return value["shown"] if isinstance(value, Mapping) else value
