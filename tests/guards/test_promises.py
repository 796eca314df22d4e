"""The page of promises, compared with the tests and files that it names."""

import ast
import re

import pytest

from tests.servers import ROOT

PAGE = (ROOT / "docs/promises.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`( \(deep\))?", PAGE)))


def test_every_row_names_a_test():
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("|") and not line.startswith(("| ---", "| promise", "| check"))
    ]

    assert [row for row in rows if "::" not in row] == []


@pytest.mark.parametrize(("file", "name", "deep"), NAMED)
def test_every_named_test_exists_and_has_the_mark_that_the_page_states(file, name, deep):
    module = ast.parse((ROOT / file).read_text())
    definition = next((node for node in module.body if getattr(node, "name", None) == name), None)

    assert isinstance(definition, ast.ClassDef | ast.FunctionDef)
    if isinstance(definition, ast.ClassDef):
        assert [node for node in definition.body if getattr(node, "name", "").startswith("test_")]
    marks = [*definition.decorator_list, *(node.value for node in module.body if is_mark_of_the_module(node))]
    assert any(ast.unparse(mark) == "pytest.mark.deep" for mark in marks) == bool(deep)


def test_every_named_file_exists():
    paths = set(re.findall(r"`((?:app|deploy|migrations)/[^`\s]+)`", PAGE))

    assert [path for path in paths if not (ROOT / path).exists()] == []


def is_mark_of_the_module(node):
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
