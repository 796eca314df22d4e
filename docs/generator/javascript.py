"""Writes the paths, values and expectations of an example in JavaScript."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from docs.generator.templates import VARIABLE, steps_of

IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# The roots of an answer that is not JSON.
TEXT_ROOTS = {"text", "lines"}


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def literal(value: Any) -> str:
    """A value of an example; variables are read when the script runs."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(key)}: {literal(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    alone = VARIABLE.fullmatch(value)
    if alone and not alone[1].startswith("$"):
        # get() keeps the value's type, which replaceIn() loses. Postman's own variables, like $guid, are texts.
        return f"pm.variables.get({quoted(alone[1])})"
    return f"pm.variables.replaceIn({quoted(value)})" if VARIABLE.search(value) else quoted(value)


def _key(key: str) -> str:
    if VARIABLE.search(key):
        return f"[{literal(key)}]"
    return key if IDENTIFIER.fullmatch(key) else quoted(key)


def at(path: str) -> str:
    """The value that a path leads to: in the headers, in the text, else in the body."""
    if path.startswith("headers."):
        return f"pm.response.headers.get({quoted(path.removeprefix('headers.'))})"
    steps = steps_of(path)
    root = "" if steps and steps[0] in TEXT_ROOTS else "body"
    return _follow(root, steps)


def _follow(expression: str, steps: list[str | int]) -> str:
    for position, step in enumerate(steps):
        if step == "*":
            rest = steps[position + 1 :]
            return f"{expression}.map((each) => {_follow('each', rest)})" if rest else expression
        if isinstance(step, int):
            expression += f".at({step})" if step < 0 else f"[{step}]"
        else:
            expression = f"{expression}.{step}" if expression else step
    return expression


def regular_expression(pattern: str, *, flags: str = "") -> str:
    """A pattern means the same to Python and to JavaScript; only the slash is special here."""
    return f"/{pattern.replace('/', chr(92) + '/')}/{flags}"


def expectation(path: str, matcher: Any) -> str:
    if matcher == {"absent": True}:
        parent, _, name = path.rpartition(".")
        return f"pm.expect({at(parent)}).to.not.have.property({quoted(name)});"
    return _assertion(at(path), matcher)


def _assertion(expression: str, matcher: Any) -> str:
    if not isinstance(matcher, Mapping) or not is_matcher(matcher):
        verb = "eql" if isinstance(matcher, (dict, list)) else "equal"
        return f"pm.expect({expression}).to.{verb}({literal(matcher)});"
    ((kind, value),) = matcher.items()
    if kind == "each":
        return f"{expression}.forEach((each) => {_assertion('each', value).removesuffix(';')});"
    return f"pm.expect({expression}).to.{ASSERTIONS[kind](value)};"


ASSERTIONS: Mapping[str, Callable[[Any], str]] = {
    "is": lambda value: f"be.a({quoted(value)})",
    "match": lambda value: f"match({regular_expression(value, flags='m')})",
    "includes": lambda value: f"include({literal(value)})",
    "members": lambda value: f"have.members({literal(value)})",
    "keys": lambda value: f"have.all.keys({literal(value)})",
    "length": lambda value: f"have.lengthOf({value})",
    "above": lambda value: f"be.above({value})",
    "at_least": lambda value: f"be.at.least({value})",
    "not": lambda value: f"not.equal({literal(value)})",
    "empty": lambda value: "be.empty" if value else "not.be.empty",
}


def is_matcher(value: Mapping[str, Any]) -> bool:
    """Tells a matcher from an object that is expected as it is."""
    return len(value) == 1 and next(iter(value)) in {*ASSERTIONS, "each", "absent"}
