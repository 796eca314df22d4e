"""Validators find no fault in the OpenAPI document, and clients that are generated from it work."""

import shutil
from pathlib import Path

import pytest

from tests.local.tracker import PASSWORD

pytestmark = pytest.mark.clients

WALK = Path(__file__).with_name("walk.py")
CONFIG = Path(__file__).with_name("python_client.yaml")


def test_the_document_is_valid(tools, document):
    assert "OK" in tools.python("openapi-spec-validator", document)


def test_redocly_finds_nothing_to_recommend(tools, document):
    output = tools.node("redocly", "lint", document, "--extends", "recommended")

    assert "warning" not in output.partition("validating")[2], output


def test_a_typescript_client_compiles_strictly(tools, document, tmp_path):
    types = tmp_path / "tracker.ts"

    tools.node("openapi-typescript", document, "--output", types)
    tools.node("tsc", "--strict", "--noEmit", types)

    assert "list_tasks" in types.read_text()


def test_a_python_client_works_with_the_running_tracker(tools, document, running, tmp_path):
    package = tmp_path / "tracker_client"
    options = ("--meta", "none", "--config", CONFIG)
    output = tools.python("openapi-python-client", "generate", "--path", document, "--output-path", package, *options)
    # The generator leaves out what it does not understand, and says so.
    assert "WARNING" not in output.upper(), output

    # A program finds the packages beside it.
    walk = shutil.copy(WALK, tmp_path)
    walked = tools.python("python", walk, f"http://127.0.0.1:{running.port}", PASSWORD)

    assert walked.splitlines()[-1] == "the walk is done"
