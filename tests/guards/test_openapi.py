"""What the OpenAPI document says that no schema says by itself."""

import re

import pytest


def test_no_two_paths_differ_in_a_parameters_name_alone(document):
    templates = [re.sub(r"\{\w+\}", "{}", path) for path in document["paths"]]

    assert len(templates) == len(set(templates))


def test_the_classic_task_path_takes_all_three_methods(document):
    assert {"get", "put", "delete"} <= set(document["paths"]["/task/{task_id}"])


@pytest.mark.parametrize("path", ["/api/v1/tasks/export", "/api/v1/imports/{import_id}/errors"])
def test_files_are_named_as_such(document, path):
    response = document["paths"][path]["get"]["responses"]["200"]

    assert response["description"]
    assert "text/csv" in response["content"]


def test_the_errors_of_an_import_are_json_too(document):
    content = document["paths"]["/api/v1/imports/{import_id}/errors"]["get"]["responses"]["200"]["content"]

    assert content["application/json"]["schema"]["$ref"].endswith("/ImportProblemPage")


@pytest.mark.parametrize("schema", ["TaskPatch", "TaskStatusChange", "UserPatch"])
def test_a_change_of_nothing_is_no_change(document, schema):
    assert document["components"]["schemas"][schema]["minProperties"] == 1


def test_other_trackers_words_are_allowed(document):
    ours, others = document["components"]["schemas"]["TaskInput"]["properties"]["status"]["anyOf"]

    assert ours["enum"] == ["todo", "in_progress", "blocked", "done", "cancelled"]
    assert "pending" in others["enum"]
    assert document["components"]["schemas"]["Task"]["properties"]["status"]["enum"] == ours["enum"]


@pytest.fixture
def document(client):
    return client.get("/api/v1/openapi.json").json
