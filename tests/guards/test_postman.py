"""What the Postman collection asks, tests, shows and keeps to itself."""

import json
import re
from http import HTTPStatus

import pytest

from tests.guards.test_documents import routes_of
from tests.servers import ROOT

COLLECTION = ROOT / "postman/TaskTrackerPro.postman_collection.json"
ENVIRONMENTS = {
    "local": ("TaskTrackerPro local", "http://127.0.0.1:8000"),
    "docker": ("TaskTrackerPro docker", "http://localhost:8000"),
}
FOLDERS = [
    "1 Log in",
    "2 Users",
    "3 Projects",
    "4 Tasks",
    "5 CSV upload and export",
    "6 Daily log",
    "7 Reports",
    "8 Health and contract",
    "9 Clean up",
    "10 TaskTrackerPro table",
]
# A request to a path that is not there, on purpose.
NOWHERE = "GET /nowhere"
WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
LEAVES_A_LIMITED_ANSWER = "if (pm.response.code === 429) {\n    return;"
# Of every answer, tested by the script of the collection.
INHERITED = [
    "the request id comes back",
    "security headers",
    "rate limit headers agree",
    "no body",
    "a body that says its type",
    "problem details",
    "an error as the table has it",
    "how to log in",
]
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+")
PASSWORD = re.compile(r'"\w*password": "([^"]*)"')
# Passwords that are wrong on purpose.
HARMLESS_PASSWORDS = {"not-the-password", "short"}


@pytest.fixture(scope="module")
def collection():
    return json.loads(COLLECTION.read_text())


@pytest.fixture(scope="module")
def items(collection):
    return [item for folder in collection["item"] for item in folder.get("item", [])]


def test_the_collection_asks_for_exactly_the_routes_of_the_app(app, items):
    routes = routes_of(app)
    asked = {route_of(item) for item in items if expected_codes(item) != {HTTPStatus.METHOD_NOT_ALLOWED}}

    assert {each for each in asked if not any(matches(route, each) for route in routes)} - {NOWHERE} == set()
    assert {route for route in routes if not any(matches(route, each) for each in asked)} == set()


def test_folders_stand_in_the_order_of_work(collection):
    assert [folder["name"] for folder in collection["item"]] == FOLDERS


def test_each_request_stands_in_a_folder_by_a_name_of_its_own(collection, items):
    assert all("request" not in folder for folder in collection["item"])
    assert all("item" not in item for item in items), "a folder within a folder"
    for key in ("name", "id"):
        assert len({item[key] for item in items}) == len(items), key


def test_folders_and_requests_say_what_they_are_for(collection, items):
    assert all(folder["description"] for folder in collection["item"])
    assert [item["name"] for item in items if not item["request"].get("description")] == []


def test_each_request_tests_its_status(items):
    assert [item["name"] for item in items if not expected_codes(item)] == []


def test_each_request_tests_headers_and_shape_of_a_body(items):
    with_body = [item for item in items if not expected_codes(item) <= WITHOUT_BODY]

    assert [item["name"] for item in with_body if 'pm.test("headers"' not in script_of(item)] == []
    assert [item["name"] for item in with_body if 'pm.test("schema' not in script_of(item)] == []


def test_what_holds_for_every_answer_is_tested_by_the_collection(collection):
    script = script_of(collection)

    assert [words for words in INHERITED if f'pm.test("{words}"' not in script] == []


def test_each_request_leaves_a_limited_answer_to_the_collection(items):
    assert [item["name"] for item in items if not script_of(item).startswith(LEAVES_A_LIMITED_ANSWER)] == []


def test_each_schema_that_a_test_names_is_there(collection, items):
    schemas = {variable["key"] for variable in collection["variable"] if variable["key"].startswith("schema_")}
    named = {name for item in [collection, *items] for name in re.findall(r'"(schema_\w+)"', script_of(item))}

    assert named == schemas
    assert all(
        "type" in json.loads(variable["value"]) for variable in collection["variable"] if variable["key"] in schemas
    )


def test_each_request_shows_an_answer_of_each_status_that_it_expects(items):
    for item in items:
        shown = {answer["code"] for answer in item["response"]}

        assert expected_codes(item) <= shown, item["name"]
        for answer in item["response"]:
            assert bool(answer["body"]) == (answer["code"] not in WITHOUT_BODY), item["name"]
            assert answer["header"], item["name"]


def test_each_example_is_the_answer_to_its_request_as_it_is(items):
    for item in items:
        asked = {name: value for name, value in item["request"].items() if name not in {"description", "auth"}}

        for answer in item["response"]:
            assert answer["originalRequest"] == asked, item["name"]


def test_neither_requests_nor_examples_hold_a_secret(collection, items):
    assert TOKEN.findall(COLLECTION.read_text()) == []
    for item in items:
        bodies = [item["request"].get("body", {}).get("raw", ""), *(answer["body"] for answer in item["response"])]
        passwords = {password for body in bodies for password in PASSWORD.findall(body)}

        given = {password for password in passwords if not re.fullmatch(r"\{\{\w+\}\}", password)}
        assert given <= HARMLESS_PASSWORDS, item["name"]
    for variable in collection["variable"]:
        if re.search(r"token|password", variable["key"]) and not variable["key"].startswith("schema_"):
            assert variable["value"] == "", variable["key"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environments_hold_three_variables_and_no_password(name):
    environment = json.loads((ROOT / f"postman/{name}.postman_environment.json").read_text())
    title, base_url = ENVIRONMENTS[name]

    assert environment["name"] == title
    assert {each["key"]: (each["value"], each["type"]) for each in environment["values"]} == {
        "base_url": (base_url, "default"),
        "admin_username": ("admin", "default"),
        "admin_password": ("", "secret"),
    }


def test_there_are_no_other_environments():
    found = {path.name.partition(".")[0] for path in (ROOT / "postman").glob("*.postman_environment.json")}

    assert found == set(ENVIRONMENTS)


def script_of(item):
    events = [event["script"]["exec"] for event in item.get("event", []) if event["listen"] == "test"]
    return "\n".join(line for lines in events for line in lines)


def expected_codes(item):
    script = script_of(item)
    one = re.search(r"pm\.response\.to\.have\.status\((\d+)\)", script)
    some = re.search(r"pm\.expect\(pm\.response\.code\)\.to\.be\.oneOf\(\[([\d, ]+)\]\)", script)
    found = one or some
    return {int(code) for code in found[1].split(",")} if found else set()


def route_of(item):
    request = item["request"]
    path = request["url"]["raw"].removeprefix("{{base_url}}").partition("?")[0]
    return f"{request['method']} {path}"


def matches(route, asked):
    method, path = route.split(" ")
    asked_method, asked_path = asked.split(" ", 1)
    pattern = re.sub(r"\\{[^/]+?\\}", "[^/]+", re.escape(path))
    return method == asked_method and re.fullmatch(pattern, asked_path) is not None
