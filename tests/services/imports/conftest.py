"""The service of imports, a manager of OPS, and small blocks."""

import pytest

from app.models.people.user import Role


@pytest.fixture
def service(services):
    return services.imports


@pytest.fixture
def ops_manager(factories, acting_as):
    """A manager in OPS, a project that other users are not members of."""
    manager = factories.User(role=Role.MANAGER)
    factories.ProjectMember(project_id=factories.Project(key="OPS").id, user_id=manager.id)
    return acting_as(manager)


@pytest.fixture
def small_blocks(monkeypatch):
    """Make blocks so small that a file of a few rows has several."""
    monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 3)


@pytest.fixture
def show_import(services, boss):
    """Show an import as its report shows it."""
    return lambda import_id: services.imports.get(boss, import_id).values
