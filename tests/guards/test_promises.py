"""The page of promises, held against the tests and files that it names."""

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
def test_a_test_that_is_named_is_there_and_as_deep_as_the_page_says(file, name, deep):
    module = ast.parse((ROOT / file).read_text())
    found = next((node for node in module.body if getattr(node, "name", None) == name), None)

    assert isinstance(found, ast.ClassDef | ast.FunctionDef)
    if isinstance(found, ast.ClassDef):
        assert [node for node in found.body if getattr(node, "name", "").startswith("test_")]
    marks = [*found.decorator_list, *(node.value for node in module.body if is_mark_of_all(node))]
    assert any(ast.unparse(mark) == "pytest.mark.deep" for mark in marks) == bool(deep)


def test_a_file_that_is_named_is_there():
    named = set(re.findall(r"`((?:app|deploy|migrations)/[^`\s]+)`", PAGE))

    assert [path for path in named if not (ROOT / path).exists()] == []


def is_mark_of_all(node):
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
