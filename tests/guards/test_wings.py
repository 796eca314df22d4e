"""Guard of the wings across layers; import-linter's contract compares the files of one layer only."""

import ast
import re
import tomllib

import pytest

from tests.servers import ROOT

CONTRACT = "Wings: the same in every layer, each knows only those before it"
# The foundations of a layer, and what speaks for several wings, have no place among the wings of other layers.
NO_WING = {
    "base",
    "pages",
    "copy_text",
    "sweeping",
    "celery_app",
    "schedule",
    "every_table",
    "classic",
    "observed",
    "documentation",
}


# Each import of a later wing from another layer, with its reason.
EXCEPTIONS = {
    # The route of a user's tasks lies below that of the user.
    ("app.routes.people", "app.queries.tasks"),
    ("app.routes.people", "app.schemas.tasks.answers"),
    ("app.routes.people", "app.schemas.tasks.queries"),
    # So do the routes that hand over the tasks of a user.
    ("app.routes.people", "app.schemas.tasks.handover"),
    # The routes of a user's API tokens lie below that of the user.
    ("app.routes.people", "app.schemas.login"),
    # A project shows how many tasks it has beside its limits.
    ("app.repositories.projects", "app.models.tasks.task"),
    # A new password and a deactivation end the user's sessions and API tokens in the same transaction.
    ("app.services.people", "app.repositories.login.api_tokens"),
    ("app.services.people", "app.repositories.login.attempts"),
    ("app.services.people", "app.repositories.login.sessions"),
    ("app.composition.use_cases.people", "app.repositories.login.api_tokens"),
    ("app.composition.use_cases.people", "app.repositories.login.attempts"),
    ("app.composition.use_cases.people", "app.repositories.login.sessions"),
}


def test_a_wing_imports_only_wings_before_it_from_other_layers_too(rank_of, layers):
    later = {
        (module_of(path), imported)
        for layer in layers
        for path in (ROOT / layer.replace(".", "/")).rglob("*.py")
        for imported in imports_of(path)
        if is_later(wing_of(imported, layers), wing_of(module_of(path), layers), rank_of)
    }

    assert later == EXCEPTIONS


def test_a_wing_is_told_from_the_foundations_of_a_layer(rank_of, layers):
    assert rank_of["people"] < rank_of["tasks"] < rank_of["imports"] < rank_of["health"]
    assert wing_of("app.services.tasks.read", layers) == "tasks"
    assert wing_of("app.repositories.pages", layers) is None
    assert is_later("reports", "tasks", rank_of)
    assert not is_later("tasks", "reports", rank_of)


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def wing_of(module, layers):
    layer = next((layer for layer in layers if module.startswith(f"{layer}.")), None)
    wing = module.removeprefix(f"{layer}.").split(".")[0]
    return None if layer is None or wing in NO_WING else wing


def is_later(imported, importing, rank_of):
    return imported in rank_of and importing in rank_of and rank_of[imported] > rank_of[importing]


@pytest.fixture
def contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract["name"] == CONTRACT)
    return contract


@pytest.fixture
def layers(contract):
    return contract["containers"]


@pytest.fixture
def rank_of(contract):
    """How high each wing stands; the contract lists the highest first."""
    lines = [re.findall(r"\w+", line) for line in reversed(contract["layers"])]
    return {wing: rank for rank, wings in enumerate(lines) for wing in wings if wing not in NO_WING}
