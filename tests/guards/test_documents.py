"""Holds the documents against the app and against what `make docs` writes."""

import hashlib
import json
import re
from http import HTTPStatus

import pytest

from app.errors import TaskTrackerError
from docs.generator.documents import GENERATED, documents
from docs.generator.examples import all_examples, read_folders
from tests.servers import ROOT

VENDOR = ROOT / "app/web/static/vendor"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
ENVIRONMENTS = {
    "TaskTrackerPro local": "http://127.0.0.1:8000",
    "TaskTrackerPro docker": "http://localhost:8000",
}
EXAMPLES = ROOT / "docs/examples"
# An example asks for this path because it does not exist.
NOWHERE = "/nowhere"
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+|ttp_\w{39}")
VARIABLE = re.compile(r"\{\{\w+\}\}")
# Wrong on purpose.
HARMLESS_PASSWORDS = {"not-the-password", "short"}


def test_generated_documents_are_what_make_docs_writes():
    written = documents()

    assert set(written) == set(GENERATED)
    assert [path.name for path in GENERATED if path.read_text("utf-8") != written[path]] == [], "run `make docs`"


def test_every_route_has_an_example(app_routes):
    examples = list(all_examples(read_folders()))

    assert {route for route in app_routes if not any(is_of(example, route) for example in examples)} == set()


def test_every_example_asks_for_a_route(app_routes):
    asked = [each for each in all_examples(read_folders()) if each.answers[0].status != HTTPStatus.METHOD_NOT_ALLOWED]

    assert {each.path for each in asked if not any(is_of(each, route) for route in app_routes)} == {NOWHERE}


def test_the_table_of_errors_names_every_code():
    rows = re.findall(r"^\| \d{3} \| (.*?) \|", (ROOT / "APIDOCS.md").read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))

    # Errors of these two bases are raised only as one of their kinds.
    assert codes_of(TaskTrackerError) - named == {"error", "unauthenticated"}


@pytest.mark.parametrize("path", [*GENERATED, *sorted(EXAMPLES.glob("*.yaml"))], ids=lambda path: path.name)
def test_no_document_holds_a_token(path):
    assert TOKEN.findall(path.read_text("utf-8")) == []


def test_no_example_holds_a_password():
    bodies = [
        body
        for example in all_examples(read_folders())
        for body in (example.json, *(answer.body for answer in (*example.answers, *example.shown_only)))
    ]

    passwords = {password for body in bodies for password in passwords_in(body)}
    assert {each for each in passwords if not VARIABLE.fullmatch(each)} == HARMLESS_PASSWORDS


@pytest.mark.parametrize("path", sorted((ROOT / "postman").glob("*environment*")), ids=lambda path: path.name)
def test_a_postman_environment_holds_three_variables_and_no_password(path):
    environment = json.loads(path.read_text())
    base_url = ENVIRONMENTS[environment["name"]]

    assert {each["key"]: (each["value"], each["type"]) for each in environment["values"]} == {
        "base_url": (base_url, "default"),
        "admin_username": ("admin", "default"),
        "admin_password": ("", "secret"),
    }


def test_apidocs_names_exactly_the_routes_of_the_app(app_routes):
    named = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^\s`?]*)`", (ROOT / "APIDOCS.md").read_text()))

    # OpenAPI, and so the reference, knows one path where ours differ only in a parameter's name.
    assert _nameless(route for route in named if "…" not in route) == _nameless(app_routes)


def test_the_openapi_document_describes_every_route_of_the_api(app, client, app_routes):
    document = client.get("/api/v1/openapi.json").json

    described = {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method.upper() in METHODS
    }

    pages = {"GET /docs", "GET /redoc", "GET /api/v1/openapi.json"}
    assert _nameless(described) == _nameless(app_routes - pages)


def _nameless(routes):
    return {re.sub(r"\{\w+\}", "{}", route) for route in routes}


def test_every_operation_says_who_may_and_how_it_fails(client):
    document = client.get("/api/v1/openapi.json").json

    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method.upper() in METHODS:
                assert "security" in operation, (method, path)
                assert any(status >= "400" for status in operation["responses"]), (method, path)
                assert operation["summary"], (method, path)


def test_vendored_files_are_what_the_manifest_says():
    manifest = json.loads((VENDOR / "manifest.json").read_text())

    listed = {name: digest for package in manifest for name, digest in package["files"].items()}
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.glob("*/*")
        if path.is_file()
    }

    assert found == listed


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_pages_load_nothing_from_elsewhere(client, page):
    html = client.get(page).text

    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", html)
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', html):
        with client.get(path) as answer:
            assert answer.status_code == 200, path


def passwords_in(body):
    if isinstance(body, list):
        for each in body:
            yield from passwords_in(each)
    elif isinstance(body, dict):
        for key, value in body.items():
            if "password" in key:
                yield value
            yield from passwords_in(value)


def is_of(example, route):
    method, path = route.split(" ")
    pattern = "[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path)))
    return method == example.method and re.fullmatch(pattern, example.path) is not None


@pytest.fixture
def app_routes(app):
    return {
        f"{method} " + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods & METHODS
        if rule.endpoint != "web.static"
    }


def codes_of(error):
    return {error.code}.union(*map(codes_of, error.__subclasses__()))
