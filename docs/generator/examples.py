"""Reads the examples of requests and answers from the YAML files in docs/examples."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from docs.generator.templates import filled

DIRECTORY = Path(__file__).resolve().parent.parent / "examples"
ABOUT = DIRECTORY / "about.yaml"
SECTIONS = DIRECTORY / "sections.yaml"
NOBODY = "nobody"
PROBLEM_TYPE = "application/problem+json"
JSON_TYPE = "application/json"
# The app makes an id of 32 hexadecimal digits for each request.
SHOWN_REQUEST_ID = "1a96447eb7b8438384f26417aadba4ed"


class ExampleError(Exception):
    """An example that cannot be read; the message names the file and the example."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Reads a time as the text that it is in JSON."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is None where there is none, and a str where it is not JSON.

    A shortened body shows the first items of a list and some keys of an object. A file that is no text has no `body`.
    """

    status: int
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    problem: Mapping[str, Any] | None = None
    error: str | None = None
    expect: Mapping[str, Any] = field(default_factory=dict)
    keep: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    is_shortened: bool = False
    is_binary: bool = False

    @property
    def has_body(self) -> bool:
        return self.body is not None

    @property
    def is_json(self) -> bool:
        return self.has_body and not isinstance(self.body, str)

    @property
    def name(self) -> str:
        """As Postman lists it: `200 OK`, or `200 OK, two days`."""
        return f"{self.status} {HTTPStatus(self.status).phrase}" + (f", {self.title}" if self.title else "")


@dataclass(frozen=True, slots=True)
class Example:
    """One request of the documents. docs/adr/010 explains the fields."""

    name: str
    description: str
    method: str
    target: str
    sender: str
    answers: tuple[Answer, ...]
    shown_only: tuple[Answer, ...] = ()
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    text: str | None = None
    form: tuple[Mapping[str, str], ...] = ()
    before: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, str] = field(default_factory=dict)
    keep_tokens: str | None = None
    wait_for: str | None = None
    for_each: Mapping[str, str] = field(default_factory=dict)
    only_if: str | None = None
    script: str = ""
    in_reference: bool = False

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """Names and values in the order of the target."""
        query = self.target.partition("?")[2]
        pairs = (each.partition("=") for each in query.split("&") if each)
        return [(name, value) for name, _, value in pairs]


@dataclass(frozen=True, slots=True)
class Folder:
    name: str
    description: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the reference. It holds the operations whose paths begin with one of `paths`."""

    title: str
    paths: tuple[str, ...]
    introduction: str


@dataclass(frozen=True, slots=True)
class About:
    """The name, the description and the variables of the collection, and the sections of the reference.

    `shown` holds the values that the documents show for variables.
    """

    name: str
    description: str
    constants: Mapping[str, Any]
    variables: tuple[str, ...]
    shown: Mapping[str, Any]
    sections: tuple[Section, ...]


def read_about() -> About:
    about = _load(ABOUT)
    return About(
        name=about["name"],
        description=about["description"],
        constants=about["constants"],
        variables=tuple(about["variables"]),
        shown={**about["constants"], **about["shown"]},
        sections=tuple(
            Section(each["title"], tuple(each["paths"]), each.get("introduction", "")) for each in _load(SECTIONS)
        ),
    )


def read_folders() -> tuple[Folder, ...]:
    """Folders come in the order of work, which is the order of the file names."""
    paths = sorted(DIRECTORY.glob("[0-9]*.yaml"))
    return tuple(_folder(path) for path in paths)


def all_examples(folders: tuple[Folder, ...]) -> Iterator[Example]:
    for folder in folders:
        yield from folder.examples


def _load(path: Path) -> Any:
    return yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader without timestamps


def _folder(path: Path) -> Folder:
    folder = _load(path)
    examples = []
    for number, raw in enumerate(folder["examples"], start=1):
        try:
            examples.append(_example(raw))
        except (KeyError, TypeError, ValueError) as error:
            name = raw.get("name", f"example {number}") if isinstance(raw, dict) else f"example {number}"
            raise ExampleError(f"{path.name}, {name}: {error!r}") from error
    return Folder(folder["folder"], folder["description"], tuple(examples))


def _example(raw: dict[str, Any]) -> Example:
    """Raises KeyError for a field that is missing, TypeError for one that is unknown."""
    fields = dict(raw)
    method, _, target = fields.pop("request").partition(" ")
    answers = [fields.pop("answer"), *fields.pop("or", [])]
    return Example(
        method=method,
        target=target,
        sender=fields.pop("as"),
        answers=tuple(map(_answer, answers)),
        shown_only=tuple(map(_answer, fields.pop("shown_only", []))),
        form=tuple(fields.pop("form", [])),
        **fields,
    )


def _answer(raw: dict[str, Any]) -> Answer:
    """Raises TypeError for an unknown field."""
    answer = Answer(**raw)
    if answer.problem is not None:
        return Answer(**{**raw, "body": _problem_body(answer.status, answer.problem)})
    if answer.error is not None:
        return Answer(**{**raw, "body": {"error": answer.error}})
    return answer


def _problem_body(status: int, problem: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 9457 problem details, of which an example says what differs."""
    errors = problem.get("errors")
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem["detail"],
        "code": problem["code"],
        "request_id": SHOWN_REQUEST_ID,
    }
    return body if errors is None else {**body, "errors": errors, "error_count": len(errors)}


def content_type(answer: Answer) -> Any:
    """A string, or what the example says that it matches."""
    if "Content-Type" in answer.headers:
        return answer.headers["Content-Type"]
    return PROBLEM_TYPE if answer.problem is not None else JSON_TYPE


def shown_body(answer: Answer, about: About) -> Any:
    return filled(answer.body, about.shown)
