"""Statements of the OpenAPI document that no single schema makes."""

import re

import pytest

LONGEST_TITLE = 100
# What has no version, because nothing of it is overwritten: a new password names the one that it replaces, and
# sessions and tokens never change until they end.
UNVERSIONED = {
    *("change_password", "end_session", "end_all_sessions", "revoke_token", "revoke_token_of_user"),
    *("follow_task", "leave_task"),
    # A pin is no part of the view.
    *("pin_view", "unpin_view", "replace_pins"),
}
CSV_OR_JSON = {
    "/api/v1/imports/{import_id}/errors": "ImportProblemPage",
    "/api/v1/task-logs": "TaskLogPage",
    "/api/v1/task-logs/days": "LogDayPage",
    "/api/v1/task-logs/diff": "LogDifferencePage",
    "/api/v1/reports/flow": "FlowReport",
    "/api/v1/reports/cycle-time": "CycleTimeReport",
    "/api/v1/reports/aging": "AgingReport",
}


def test_no_two_paths_differ_only_in_the_name_of_a_parameter(document):
    templates = [re.sub(r"\{\w+\}", "{}", path) for path in document["paths"]]

    assert len(templates) == len(set(templates))


def test_the_classic_task_path_accepts_all_three_methods(document):
    assert {"get", "put", "delete"} <= set(document["paths"]["/task/{task_id}"])


def test_every_operation_has_an_id_of_its_own_in_words(document):
    ids = [operation["operationId"] for operation in operations_of(document)]

    assert len(ids) == len(set(ids))
    assert [each for each in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)*", each)] == []
    assert {"list_tasks", "create_import", "classic_create_task"} <= set(ids)


def test_every_change_heeds_if_match(document):
    changes = [
        operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/v1/") and method in {"put", "patch", "delete"}
    ]

    heedless = {
        each["operationId"]
        for each in changes
        if "If-Match" not in {parameter.get("name") for parameter in each.get("parameters", ())}
    }
    assert heedless == UNVERSIONED
    assert all({"412", "428"} <= set(each["responses"]) for each in changes if each["operationId"] not in heedless)


def test_titles_are_short(document):
    titles = [operation["summary"] for operation in operations_of(document)]

    assert [title for title in titles if len(title) > LONGEST_TITLE or title.endswith(".")] == []


def test_an_upload_with_options_is_one_form_that_ends_with_the_file(document):
    upload = document["paths"]["/api/v1/imports"]["post"]
    form = document["components"]["schemas"]["CreateImportForm"]

    assert upload["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"].endswith("/CreateImportForm")
    assert {"dry_run", "mode", "on_duplicate"} < set(form["properties"])
    assert list(form["properties"])[-1] == "file"
    places = {each["in"] for operation in operations_of(document) for each in operation.get("parameters", ())}
    assert places == {"query", "header"}


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/api/v1/tasks/{task_id}", "200 301 304 400 401 403 404 414 422 429 503"),
        ("patch", "/api/v1/tasks/{task_id}", "200 400 401 403 404 409 412 413 414 415 422 428 429 503"),
        ("post", "/api/v1/projects", "201 400 401 403 409 413 414 415 422 429 503"),
        ("get", "/healthz", "200 400 414"),
    ],
)
def test_each_status_that_an_operation_can_answer_is_listed(document, method, path, statuses):
    assert set(document["paths"][path][method]["responses"]) == set(statuses.split())


def test_conflicts_name_their_codes(document):
    conflict = document["paths"]["/api/v1/users/{user_id}"]["patch"]["responses"]["409"]

    assert conflict["$ref"] == "#/components/responses/Conflict"
    assert "`username_taken`, `email_taken`, `last_admin`" in conflict["description"]


def test_headers_are_described(document):
    task = document["paths"]["/api/v1/tasks/{task_id}"]
    tasks = document["paths"]["/api/v1/tasks"]

    assert "If-Match" in {each["name"] for each in task["delete"]["parameters"]}
    assert "If-None-Match" in {each["name"] for each in task["get"]["parameters"]}
    assert {"ETag", "X-Request-ID", "RateLimit"} <= set(task["get"]["responses"]["200"]["headers"])
    assert {"Link", "X-Cache"} <= set(tasks["get"]["responses"]["200"]["headers"])
    assert {"ETag", "Location"} <= set(tasks["post"]["responses"]["201"]["headers"])
    assert "ETag" in document["paths"]["/api/v1/auth/register"]["post"]["responses"]["201"]["headers"]


def test_no_answer_with_a_secret_is_kept_for_repeated_requests(document):
    kept = [
        schema_of(document, response)
        for operation in operations_of(document)
        if "Idempotency-Key" in {each["name"] for each in operation.get("parameters", ())}
        for response in operation["responses"].values()
    ]
    names = {name for schema in kept for name in schema.get("properties", ())}

    assert {"id", "title"} <= names
    assert [name for name in names if re.search("token|secret|password", name)] == []


def test_bodies_have_the_examples_that_the_tests_send(document):
    create = document["paths"]["/api/v1/tasks"]["post"]

    assert create["requestBody"]["content"]["application/json"]["example"]["title"]
    assert create["responses"]["201"]["content"]["application/json"]["example"]["ref"]


@pytest.mark.parametrize("path", ["/api/v1/tasks/export", *CSV_OR_JSON])
def test_downloads_are_described_as_files(document, path):
    response = document["paths"][path]["get"]["responses"]["200"]

    assert response["description"]
    assert "text/csv" in response["content"]


@pytest.mark.parametrize(("path", "schema"), CSV_OR_JSON.items())
def test_what_may_be_a_file_may_also_be_json(document, path, schema):
    content = document["paths"][path]["get"]["responses"]["200"]["content"]

    assert content["application/json"]["schema"]["$ref"].endswith(f"/{schema}")


def test_only_the_daily_log_may_be_a_workbook(document):
    paths = {
        path
        for path, operations in document["paths"].items()
        if any("spreadsheet" in media_type for media_type in content_of(operations))
    }

    assert paths == {"/api/v1/task-logs"}


@pytest.mark.parametrize("schema", ["TaskPatch", "TaskStatusChange", "UserPatch"])
def test_an_empty_change_is_refused(document, schema):
    assert document["components"]["schemas"][schema]["minProperties"] == 1


def test_the_words_of_other_trackers_are_allowed(document):
    ours, others = document["components"]["schemas"]["TaskInput"]["properties"]["status"]["anyOf"]

    assert ours["enum"] == ["todo", "in_progress", "blocked", "done", "cancelled"]
    assert "pending" in others["enum"]
    assert document["components"]["schemas"]["Task"]["properties"]["status"]["enum"] == ours["enum"]


def test_an_operation_names_the_scopes_of_which_an_api_token_needs_one(document):
    def scopes_of(method, path):
        return document["paths"][path][method].get("x-scopes")

    assert scopes_of("get", "/api/v1/tasks") == ["tasks:read"]
    assert scopes_of("get", "/api/v1/projects") == ["tasks:read", "users:admin"]
    assert scopes_of("post", "/api/v1/auth/logout") == []
    assert scopes_of("post", "/api/v1/auth/login") is None


def schema_of(document, response):
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)


def operations_of(document):
    return [
        operation for item in document["paths"].values() for method, operation in item.items() if method != "parameters"
    ]


def content_of(operations):
    return operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})


@pytest.fixture
def document(client):
    return client.get("/api/v1/openapi.json").json
