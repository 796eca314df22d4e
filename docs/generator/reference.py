"""The reference part of APIDOCS.md, made of the contract and the examples."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from app.auth.permissions import PERMISSIONS_OF
from app.models.login.api_token import TokenScope
from docs.generator.compact_json import compact
from docs.generator.contract import Contract, Operation
from docs.generator.examples import PROBLEM_TYPE, About, Answer, Example, Folder, Section, all_examples, content_type
from docs.generator.headers import shown_value
from docs.generator.schema_words import default_of, words_for
from docs.generator.templates import filled

PAGE = Path(__file__).resolve().parent.parent.parent / "APIDOCS.md"
BEGIN = "<!-- reference: written by `make docs` from docs/examples and the OpenAPI document -->"
END = "<!-- end of reference -->"
# Described once, in the hand-written part.
PAGE_FIELDS = {"next_cursor", "total", "total_is_capped"}
# The contract lists this status for every operation that takes arguments.
INVALID = int(HTTPStatus.UNPROCESSABLE_ENTITY)
# An operation that shares this many parameters with another one refers to it.
MANY = 10


def rewritten(page: str, about: About, folders: tuple[Folder, ...], contract: Contract) -> str:
    """The page with the reference as it should be between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"APIDOCS.md should hold {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{_Reference(about, folders, contract).text()}\n{END}{after}"


class _Reference:
    def __init__(self, about: About, folders: tuple[Folder, ...], contract: Contract) -> None:
        self._about = about
        self._contract = contract
        self._examples: dict[str, list[Example]] = defaultdict(list)
        for example in all_examples(folders):
            operation = contract.operation(example.method, example.path)
            if operation is not None:
                self._examples[str(operation)].append(example)
        # Operations that share many parameters with this one refer to it.
        self._richest = max(contract.operations, key=lambda operation: len(_shown_parameters(operation)))
        # A schema is described where it first appears.
        self._described_schemas: set[str] = set()

    def text(self) -> str:
        by_section: dict[str, list[Operation]] = defaultdict(list)
        for operation in self._contract.operations:
            by_section[self._section_of(operation).title].append(operation)
        parts: list[str] = []
        for section in self._about.sections:
            parts += [f"## {section.title}", section.introduction.strip()]
            for operation in by_section[section.title]:
                parts += self._entry(operation)
        return "\n\n".join(part for part in parts if part) + "\n"

    def _section_of(self, operation: Operation) -> Section:
        """The section with the longest path that the operation's path begins with."""
        prefixes = [
            (len(path), section)
            for section in self._about.sections
            for path in section.paths
            if operation.path.startswith(path)
        ]
        return max(prefixes, key=lambda each: each[0])[1]

    def _entry(self, operation: Operation) -> Iterator[str]:
        yield f"### `{operation}`"
        yield f"{operation.summary}."
        yield " ".join(operation.description.split())
        yield f"**Who:** {who_may(operation)}"
        yield from self._parameters(operation)
        yield from self._body(operation)
        yield self._statuses(operation)
        yield from self._fields_of_answer(operation)
        examples = self._shown_examples(operation)
        for example in examples:
            if len(examples) > 1:
                yield f"*{example.name}.* {example.description}"
            yield from self._shown(example)

    def _shown_examples(self, operation: Operation) -> list[Example]:
        """The first example that succeeds, and every example that asks for it."""
        examples = self._examples[str(operation)]
        first = next((each for each in examples if each.answers[0].status < HTTPStatus.MULTIPLE_CHOICES), None)
        return [each for each in examples if each is first or each.in_reference]

    def _parameters(self, operation: Operation) -> Iterator[str]:
        parameters = _shown_parameters(operation)
        common = [each for each in parameters if each in self._richest.parameters]
        if operation is not self._richest and len(common) >= MANY:
            yield self._reference_to_richest(common)
            parameters = [each for each in parameters if each not in common]
        if parameters:
            rows = [
                _row(f"`{each['name']}`", each["in"], _parameter_words(each), _meaning(each, each["schema"]))
                for each in parameters
            ]
            yield _table(("parameter", "in", "value", "meaning"), rows)

    def _reference_to_richest(self, common: list[dict[str, Any]]) -> str:
        link = f"[`{self._richest}`](#{_anchor(str(self._richest))})"
        without = [f"`{each['name']}`" for each in _shown_parameters(self._richest) if each not in common]
        return f"The parameters are those of {link}" + (f", but not {_listed(without)}." if without else ".")

    def _body(self, operation: Operation) -> Iterator[str]:
        if operation.body is None:
            return
        media_type, schema = operation.body
        schema = self._contract.resolved(schema)
        required = set(schema.get("required", ()))
        rows = [
            _row(
                f"`{name}`",
                words_for(each) + (", required" if name in required else ""),
                _meaning(self._described(each), each),
            )
            for name, each in schema["properties"].items()
        ]
        yield _table((f"field of the body (`{media_type}`)", "value", "meaning"), rows)

    def _described(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """A schema that refers to another one has the other's description, unless it has its own."""
        return schema if "description" in schema else self._contract.resolved(schema)

    def _statuses(self, operation: Operation) -> str:
        """The statuses of success, and of each example with the codes of its problems.

        The hand-written part describes the errors that most operations have.
        """
        codes: dict[int, list[str]] = {status: [] for status in operation.statuses if status < HTTPStatus.BAD_REQUEST}
        if operation.response_schema(INVALID, PROBLEM_TYPE) is not None:
            codes[INVALID] = ["invalid"]
        for example in self._examples[str(operation)]:
            for answer in (*example.answers, *example.shown_only):
                listed = codes.setdefault(answer.status, [])
                code = answer.problem["code"] if answer.problem is not None else None
                if code is not None and code not in listed:
                    listed.append(code)
        described = (f"{status} {' '.join(f'`{code}`' for code in codes[status])}".strip() for status in sorted(codes))
        return f"**Answers:** {' · '.join(described)}"

    def _fields_of_answer(self, operation: Operation) -> Iterator[str]:
        """The fields that need an explanation, where their schema first appears. A page stands for its items."""
        for name, schema in self._answer_schemas(operation):
            if name in self._described_schemas:
                continue
            self._described_schemas.add(name)
            rows = [
                _row(f"`{field}`", words_for(each), _meaning(self._described(each), each))
                for field, each in schema["properties"].items()
                if "description" in self._described(each)
            ]
            if rows:
                yield _table((f"field of {_name_in_words(name)}", "value", "meaning"), rows)

    def _answer_schemas(self, operation: Operation) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for status in operation.statuses:
            reference = operation.response_schema(status, "application/json")
            if reference is not None and status < HTTPStatus.BAD_REQUEST:
                yield from self._with_parts(reference)

    def _with_parts(self, reference: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if reference.get("type") == "array":
            yield from self._with_parts(reference["items"])
        for each in reference.get("anyOf", ()):
            yield from self._with_parts(each)
        if "$ref" not in reference:
            return
        schema = self._contract.resolved(reference)
        name = reference["$ref"].rpartition("/")[2]
        if "next_cursor" in schema["properties"]:
            fields = {key: each for key, each in schema["properties"].items() if key not in PAGE_FIELDS}
            schema = {**schema, "properties": fields}
        parts = schema["properties"]
        if set(parts) != {"items"}:
            yield name, schema
        for each in parts.values():
            yield from self._with_parts(each)

    def _shown(self, example: Example) -> Iterator[str]:
        yield _block("http", self._request(example))
        for answer in (*example.answers[:1], *example.shown_only):
            if answer.title:
                yield f"{answer.title[0].upper()}{answer.title[1:]}:"
            yield _block("http", self._answer(answer))
            if answer.is_shortened:
                yield "The body is shortened here."

    def _request(self, example: Example) -> str:
        target = filled(example.target, self._about.shown)
        lines = [f"{example.method} {target}", *(f"{name}: {value}" for name, value in example.headers.items())]
        if example.form:
            fields = [
                f"{each['name']}={'@' + each['file'] if 'file' in each else each['value']}" for each in example.form
            ]
            lines += ["Content-Type: multipart/form-data", "", *fields]
        elif example.json is not None:
            lines += ["", compact(example.json)]
        elif example.text is not None:
            lines += ["", example.text]
        return str(filled("\n".join(lines), self._about.shown))

    def _answer(self, answer: Answer) -> str:
        lines = [answer.name.partition(",")[0]]
        if answer.is_binary or (answer.has_body and content_type(answer) != "application/json"):
            lines.append(f"Content-Type: {shown_value(content_type(answer))}")
        for name, value in answer.headers.items():
            if name not in {"Content-Type", "Cache-Control", "RateLimit", "RateLimit-Policy"}:
                lines.append(f"{name}: {shown_value(value)}")
        if answer.has_body:
            body = filled(answer.body, self._about.shown)
            lines += ["", body.rstrip("\n") if isinstance(body, str) else compact(body)]
        return str(filled("\n".join(lines), self._about.shown))


def who_may(operation: Operation) -> str:
    """The roles that have the permission, and the scopes that an API token needs."""
    if not operation.needs_token:
        return "everybody; no token is needed"
    if operation.permission is None:
        return "the holder of the token that the request needs"
    roles = [role.value for role, permissions in PERMISSIONS_OF.items() if operation.permission in permissions]
    who = "everybody who is logged in" if len(roles) == len(PERMISSIONS_OF) else _listed(roles)
    return f"{who}; {_token_words(operation)}"


def _token_words(operation: Operation) -> str:
    match operation.scopes:
        case []:
            return "no API token"
        case scopes if len(scopes) == len(TokenScope):
            return "every API token"
        case scopes:
            return "API tokens with " + " or ".join(f"`{scope}`" for scope in scopes)


def _shown_parameters(operation: Operation) -> list[dict[str, Any]]:
    """All parameters, except those of the path that need no explanation."""
    return [each for each in operation.parameters if each["in"] != "path" or "description" in each]


def _listed(words: list[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def _parameter_words(parameter: Mapping[str, Any]) -> str:
    """Neither a query nor a header can hold null."""
    words = words_for(parameter["schema"]).removesuffix(" or null").removesuffix(",")
    return f"{words}, required" if parameter.get("required") else words


def _meaning(described: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    default = default_of(schema)
    parts = (described.get("description", ""), f"Default: {default}" if default else "")
    return ". ".join(part.rstrip(".") for part in parts if part)


def _name_in_words(name: str) -> str:
    """`LogDay` is "a log day"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace(chr(10), ' ').replace('|', chr(92) + '|') for cell in cells)} |"


def _table(headings: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([_row(*headings), _row(*("---" for _ in headings)), *rows])


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
