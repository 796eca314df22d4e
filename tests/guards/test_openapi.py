"""Statements of the OpenAPI document that no single schema makes."""

import re

import pytest


def test_no_two_paths_differ_only_in_the_name_of_a_parameter(document):
    templates = [re.sub(r"\{\w+\}", "{}", path) for path in document["paths"]]

    assert len(templates) == len(set(templates))


def test_the_classic_task_path_accepts_all_three_methods(document):
    assert {"get", "put", "delete"} <= set(document["paths"]["/task/{task_id}"])


CSV_OR_JSON = {
    "/api/v1/imports/{import_id}/errors": "ImportProblemPage",
    "/api/v1/task-logs": "TaskLogPage",
    "/api/v1/task-logs/days": "LogDayPage",
    "/api/v1/task-logs/diff": "LogDifferencePage",
    "/api/v1/reports/flow": "FlowReport",
    "/api/v1/reports/cycle-time": "CycleTimeReport",
    "/api/v1/reports/aging": "AgingReport",
}


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


def content_of(operations):
    return operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})


@pytest.fixture
def document(client):
    return client.get("/api/v1/openapi.json").json
