"""Statements of the OpenAPI document that no single schema makes."""

import re

import pytest


def test_no_two_paths_differ_only_in_the_name_of_a_parameter(document):
    templates = [re.sub(r"\{\w+\}", "{}", path) for path in document["paths"]]

    assert len(templates) == len(set(templates))


def test_the_classic_task_path_accepts_all_three_methods(document):
    assert {"get", "put", "delete"} <= set(document["paths"]["/task/{task_id}"])


@pytest.mark.parametrize("path", ["/api/v1/tasks/export", "/api/v1/imports/{import_id}/errors"])
def test_downloads_are_described_as_files(document, path):
    response = document["paths"][path]["get"]["responses"]["200"]

    assert response["description"]
    assert "text/csv" in response["content"]


def test_the_errors_of_an_import_may_also_be_json(document):
    content = document["paths"]["/api/v1/imports/{import_id}/errors"]["get"]["responses"]["200"]["content"]

    assert content["application/json"]["schema"]["$ref"].endswith("/ImportProblemPage")


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


@pytest.fixture
def document(client):
    return client.get("/api/v1/openapi.json").json
