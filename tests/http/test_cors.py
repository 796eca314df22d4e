"""What a page of another origin may do: the answers that a browser needs, and none that it must not have."""

from dataclasses import replace

import pytest

from app.errors import UnavailableError
from app.factory import create_app
from app.http.cors import EXPOSED_HEADERS, METHODS, REQUEST_HEADERS
from app.settings import RateLimit
from tests.client import Client

OURS = "https://tasks.example.org"
LOCAL = "http://localhost:3000"
OTHER = "https://evil.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}


class TestOff:
    def test_no_answer_names_an_origin(self, client):
        answers = [
            client.get("/ping", headers={"Origin": OURS}),
            client.request("OPTIONS", "/api/v1/tasks", headers={"Origin": OURS, **PREFLIGHT}),
        ]

        assert [cors_headers(answer) for answer in answers] == [{}, {}]

    def test_nothing_is_added_to_the_path_of_a_request(self, app, client_for):
        assert names_below(app.wsgi_app) == ["serve_with_headers"]
        assert names_below(client_for(OURS).app.wsgi_app) == ["serve_with_headers", "serve_other_origins"]


class TestListedOrigin:
    @pytest.mark.parametrize("origin", [OURS, LOCAL])
    def test_a_preflight_request_is_allowed(self, client_for, origin):
        asking = client_for(OURS, LOCAL)

        answer = asking.request("OPTIONS", "/api/v1/tasks/1", headers={"Origin": origin, **PREFLIGHT})

        assert (answer.status_code, answer.data) == (204, b"")
        assert cors_headers(answer) == {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": "7200",
            "Vary": "Origin",
        }
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    def test_an_answer_is_readable_with_its_headers(self, client_for, admin):
        answer = client_for(OURS).acting_as(admin).get("/api/v1/tasks", headers={"Origin": OURS})

        assert answer.status_code == 200
        assert cors_headers(answer) == {
            "Access-Control-Allow-Origin": OURS,
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
            "Vary": "Origin",
        }
        readable = set(answer.headers["Access-Control-Expose-Headers"].split(", ")) & set(answer.headers.keys())
        assert {"X-Request-ID", "RateLimit", "X-RateLimit-Limit", "X-Cache"} <= readable

    @pytest.mark.parametrize(
        "path",
        ["/api/v1/tasks", "/nowhere", "/api/v1/tasks/0", "/docs"],
        ids=["401", "404", "404 of a route", "a page"],
    )
    def test_an_error_is_readable_too(self, client_for, path):
        answer = client_for(OURS).get(path, headers={"Origin": OURS})

        assert answer.headers["Access-Control-Allow-Origin"] == OURS

    def test_an_error_of_the_server_is_readable_too(self, client_for, monkeypatch):
        asking = client_for(OURS)
        monkeypatch.setitem(asking.app.view_functions, "health.show_health", fail)

        answer = asking.get("/healthz", headers={"Origin": OURS})

        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (503, OURS)

    def test_a_preflight_request_counts_for_no_limit(self, client_for):
        asking = client_for(OURS, default=RateLimit(1, 60))

        preflights = [
            asking.request("OPTIONS", "/api/v1/tasks", headers={"Origin": OURS, **PREFLIGHT}).status_code
            for _ in range(5)
        ]

        assert preflights == [204] * 5
        assert asking.get("/ping").status_code == 200

    def test_credentials_are_never_allowed(self, client_for):
        answers = [
            client_for(origin).request(method, "/ping", headers={"Origin": OURS, **PREFLIGHT})
            for origin in (OURS, "*")
            for method in ("GET", "OPTIONS")
        ]

        assert [answer.headers.get("Access-Control-Allow-Credentials") for answer in answers] == [None] * 4


class TestOtherOrigin:
    @pytest.mark.parametrize(
        "origin",
        [
            OTHER,
            "null",
            "",
            "http://tasks.example.org",
            "https://tasks.example.org:8443",
            "https://tasks.example.org.evil.org",
            "https://TASKS.example.org",
            f"{OURS}, {OTHER}",
            "*",
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "OPTIONS"])
    def test_is_not_allowed(self, client_for, origin, method):
        answer = client_for(OURS).request(method, "/ping", headers={"Origin": origin, **PREFLIGHT})

        assert cors_headers(answer) == {"Vary": "Origin"}

    def test_a_request_without_an_origin_varies_too(self, client_for):
        assert cors_headers(client_for(OURS).get("/ping")) == {"Vary": "Origin"}


class TestEveryOrigin:
    def test_is_allowed_by_a_star(self, client_for):
        asking = client_for("*")

        read = asking.get("/ping", headers={"Origin": OTHER})
        preflight = asking.request("OPTIONS", "/ping", headers={"Origin": "null", **PREFLIGHT})

        assert cors_headers(read) == {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        }
        assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, "*")

    @pytest.mark.parametrize("headers", [{}, {"Origin": ""}, {"Origin": OTHER}], ids=["none", "empty", "another"])
    @pytest.mark.parametrize("path", ["/ping", "/api/v1/tasks", "/nowhere", "/docs"], ids=["200", "401", "404", "page"])
    def test_gets_the_same_headers_as_no_origin_because_shared_caches_keep_answers(self, client_for, path, headers):
        assert cors_headers(client_for("*").get(path, headers=headers)) == {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        }


class TestContract:
    def test_every_header_that_an_operation_reads_may_be_sent(self, client):
        document = client.get("/api/v1/openapi.json").json
        operations = [operation for item in document["paths"].values() for operation in item.values()]
        parameters = [
            each for operation in operations if "responses" in operation for each in operation.get("parameters", [])
        ]

        read = {each["name"] for each in parameters if each["in"] == "header"}

        assert read
        assert read <= set(REQUEST_HEADERS.split(", "))

    def test_every_method_of_a_route_may_be_used(self, app):
        methods = {method for rule in app.url_map.iter_rules() for method in rule.methods} - {"HEAD", "OPTIONS"}

        assert methods == set(METHODS.split(", "))


def fail():
    raise UnavailableError("on purpose", retry_after_seconds=1)


def cors_headers(answer):
    return {
        name: value for name, value in answer.headers.items() if name.startswith("Access-Control-") or name == "Vary"
    }


def names_below(serve):
    """The names of the functions around Flask's own, from the outside in."""
    names = []
    while getattr(serve, "__closure__", None):
        names.append(serve.__name__)
        serve = dict(zip(serve.__code__.co_freevars, serve.__closure__, strict=True))["serve"].cell_contents
    return names


@pytest.fixture
def client_for(settings, resources, factories):
    """Makes a client of an app with these origins."""

    def make(*origins, default=None):
        limits = settings.rate_limits if default is None else replace(settings.rate_limits, default=default)
        return Client(create_app(replace(settings, cors_origins=origins, rate_limits=limits), resources=resources))

    return make
