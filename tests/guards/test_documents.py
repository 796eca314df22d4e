"""What the documents say of the app, held against the app."""

import hashlib
import json
import re

import pytest

from tests.servers import ROOT

VENDOR = ROOT / "app/web/static/vendor"
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def test_apidocs_names_exactly_the_routes_of_the_app(app_routes):
    named = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^\s`?]*)`", (ROOT / "APIDOCS.md").read_text()))

    assert {route for route in named if "…" not in route} == app_routes


def test_the_openapi_document_describes_every_route_of_the_api(app, client, app_routes):
    document = client.get("/api/v1/openapi.json").json

    described = {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method.upper() in METHODS
    }

    pages = {"GET /docs", "GET /redoc", "GET /api/v1/openapi.json"}
    # OpenAPI knows one path where ours differ in a parameter's name alone.
    assert _nameless(described) == _nameless(app_routes - pages)


def _nameless(routes):
    return {re.sub(r"\{\w+\}", "{}", route) for route in routes}


def test_every_operation_says_who_may_and_how_it_fails(client):
    document = client.get("/api/v1/openapi.json").json

    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method.upper() in METHODS:
                assert "security" in operation, (method, path)
                assert "default" in operation["responses"], (method, path)
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


@pytest.fixture
def app_routes(app):
    return routes_of(app)


def routes_of(app):
    return {
        f"{method} " + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods & METHODS
        if rule.endpoint != "web.static"
    }
