"""Writes the scripts that Postman runs before and after one request."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from docs.generator.contract import Contract
from docs.generator.examples import Answer, Example, content_type
from docs.generator.headers import pattern_of
from docs.generator.javascript import at, expectation, literal, quoted, regular_expression
from docs.generator.templates import value_at

# The variable of the collection that holds a schema.
SCHEMA_PREFIX = "schema_"
TRIES = 60
PAUSE_MS = 300


def schema_variable(name: str) -> str:
    """`TaskPage` is schema_task_page."""
    return SCHEMA_PREFIX + re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def request_script(example: Example) -> list[str]:
    """The script before the request. Most requests have none."""
    lines = [f"pm.variables.set({quoted(name)}, {literal(value)});" for name, value in example.before.items()]
    if example.wait_for is not None:
        lines += [
            "// A pause before each further try.",
            'if (Number(pm.collectionVariables.get("tries")) > 0) {',
            f"    setTimeout(() => {{}}, {PAUSE_MS});",
            "}",
        ]
    if example.only_if is not None:
        lines += [
            f"if (!pm.collectionVariables.get({quoted(example.only_if)})) {{",
            "    pm.execution.skipRequest(); // There is nothing to send it for.",
            "}",
        ]
    for name, names in example.for_each.items():
        lines += [
            f'const left = JSON.parse(pm.collectionVariables.get({quoted(names)}) || "[]");',
            "if (left.length) {",
            f"    pm.collectionVariables.set({quoted(name)}, left[0]);",
            "} else {",
            "    pm.execution.skipRequest(); // Nothing is left.",
            "}",
        ]
    return lines


def test_script(example: Example, contract: Contract) -> list[str]:
    """The script after the answer."""
    lines = [
        "if (pm.response.code === 429) {",
        "    return; // The collection's script waits and sends the request again.",
        "}",
        *_waiting(example),
        *_status(example.answers),
    ]
    if len(example.answers) == 1:
        lines += _answer(example, example.answers[0], contract)
    else:
        lines += _branches(example, contract)
    lines += [f"pm.collectionVariables.set({quoted(name)}, {literal(value)});" for name, value in example.set.items()]
    lines += _kept_tokens(example)
    lines += example.script.splitlines()
    for names in example.for_each.values():
        lines += [
            f"const rest = JSON.parse(pm.collectionVariables.get({quoted(names)})).slice(1);",
            f"pm.collectionVariables.set({quoted(names)}, JSON.stringify(rest));",
            "if (rest.length) {",
            "    pm.execution.setNextRequest(pm.info.requestId);",
            "}",
        ]
    return lines


def _waiting(example: Example) -> Iterator[str]:
    if example.wait_for is None:
        return
    yield f"// A worker does this within a second or so. Ask again, at most {TRIES} times."
    yield 'const tries = Number(pm.collectionVariables.get("tries")) + 1;'
    done = at(example.wait_for).replace("body", "pm.response.json()", 1)
    yield f"if (!(pm.response.code === 200 && {done}) && tries < {TRIES}) {{"
    yield '    pm.collectionVariables.set("tries", tries);'
    yield "    pm.execution.setNextRequest(pm.info.requestId);"
    yield "    return;"
    yield "}"
    yield 'pm.collectionVariables.set("tries", 0);'


def _status(answers: tuple[Answer, ...]) -> Iterator[str]:
    statuses = [answer.status for answer in answers]
    yield f'pm.test("status {" or ".join(map(str, statuses))}", () => {{'
    if len(statuses) == 1:
        yield f"    pm.response.to.have.status({statuses[0]});"
    else:
        yield f"    pm.expect(pm.response.code).to.be.oneOf({literal(statuses)});"
    yield "});"


def _branches(example: Example, contract: Contract) -> Iterator[str]:
    for position, answer in enumerate(example.answers):
        opening = "} else if" if position else "if"
        yield f"{opening} (pm.response.code === {answer.status}) {{"
        yield from (f"    {line}" for line in _answer(example, answer, contract))
    yield "}"


def _answer(example: Example, answer: Answer, contract: Contract) -> Iterator[str]:
    yield from _headers(answer)
    if answer.is_json:
        yield from _json_body(example, answer, contract)
    elif answer.has_body:
        yield "const text = pm.response.text();"
        paths = [path for checks in answer.expect.values() for path, _ in checks_of(checks, answer.body)]
        if any(path.startswith("lines") for path in paths):
            yield r"const lines = text.trim().split(/\r?\n/);"
    for name, checks in answer.expect.items():
        yield from _test(name, [expectation(path, matcher) for path, matcher in checks_of(checks, answer.body)])
    yield from (_kept(name, source) for name, source in answer.keep.items())


def _headers(answer: Answer) -> Iterator[str]:
    expected = {**({"Content-Type": content_type(answer)} if answer.has_body else {}), **answer.headers}
    if expected:
        yield from _test("headers", [_header(name, value) for name, value in expected.items()])


def _header(name: str, value: Any) -> str:
    pattern = pattern_of(name, value)
    return expectation(f"headers.{name}", value if pattern is None else {"match": pattern})


def _json_body(example: Example, answer: Answer, contract: Contract) -> Iterator[str]:
    schema = contract.answer_schema(example.method, example.path, answer.status, content_type(answer))
    if schema is not None:
        variable = quoted(schema_variable(schema.name))
        yield 'pm.test("schema", () => {'
        yield f"    pm.response.to.have.jsonSchema(JSON.parse(pm.collectionVariables.get({variable})));"
        yield "});"
    yield "const body = pm.response.json();"
    if answer.problem is not None:
        yield from _test(f"the problem {answer.problem['code']}", [expectation("code", answer.problem["code"])])
        pointers = [error["pointer"] for error in answer.problem.get("errors", [])]
        if pointers:
            names = ", ".join(pointer.removeprefix("/") for pointer in pointers)
            yield from _test(f"names {names}", [expectation("errors[*].pointer", {"members": pointers})])
    if answer.error is not None:
        yield from _test("the error says why", [expectation("error", answer.error)])


def _test(name: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"pm.test({quoted(name)}, () => {{"
    yield from (f"    {line}" for line in lines)
    yield "});"


def checks_of(checks: Any, body: Any) -> Iterator[tuple[str, Any]]:
    """Yield each path with the expected value. A path alone expects the value that the example shows there."""
    for check in checks:
        if isinstance(check, str):
            yield check, value_at(body, check)
        else:
            yield from check.items()


def _kept(name: str, source: Any) -> str:
    """`source` is a path, or a path and a pattern whose first group is kept."""
    if isinstance(source, Mapping):
        pattern = regular_expression(source["match"])
        value = f"{at(source['from'])}.match({pattern})[1]"
    else:
        # If an earlier test failed, a missing value should not hide that.
        value = at(source).replace("].", "]?.")
        if "[*]" in source:
            value = f"JSON.stringify({value})"
    return f"pm.collectionVariables.set({quoted(name)}, {value});"


def _kept_tokens(example: Example) -> Iterator[str]:
    who = example.keep_tokens
    if who is None:
        return
    yield f"// What the next requests of {who} are sent with, and until when."
    if example.path == "/login":
        yield f'pm.collectionVariables.set("{who}_token", body.token);'
        yield f'pm.collectionVariables.set("{who}_until", JSON.parse(atob(body.token.split(".")[1])).exp * 1000);'
    else:
        yield f'pm.collectionVariables.set("{who}_token", body.access_token);'
        yield f'pm.collectionVariables.set("{who}_refresh_token", body.refresh_token);'
        yield f'pm.collectionVariables.set("{who}_until", Date.now() + body.expires_in * 1000);'
