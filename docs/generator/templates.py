"""Fills the `{{variables}}` of an example, and follows a path into an answer's body."""

import re
from collections.abc import Mapping
from typing import Any

VARIABLE = re.compile(r"\{\{(\$?\w+)\}\}")
STEP = re.compile(r"(\w+)|\[(-?\d+|\*)\]")


def filled(value: Any, variables: Mapping[str, Any]) -> Any:
    """A text that is one variable alone takes its value with the value's type. Raises KeyError for an unknown one."""
    if isinstance(value, dict):
        return {filled(key, variables): filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, variables) for each in value]
    if not isinstance(value, str):
        return value
    alone = VARIABLE.fullmatch(value)
    return variables[alone[1]] if alone else VARIABLE.sub(lambda match: str(variables[match[1]]), value)


def steps_of(path: str) -> list[str | int]:
    """`items[0].id` is ["items", 0, "id"]; `[*]` is "*", and `[-1]` is -1."""
    return [name or (index if index == "*" else int(index)) for name, index in STEP.findall(path)]


def value_at(body: Any, path: str) -> Any:
    """A list of all values where the path holds `[*]`. Raises LookupError where the path leads nowhere."""
    return _follow(body, steps_of(path))


def _follow(value: Any, steps: list[str | int]) -> Any:
    for position, step in enumerate(steps):
        if step == "*":
            return [_follow(each, steps[position + 1 :]) for each in value]
        value = value[step]
    return value
