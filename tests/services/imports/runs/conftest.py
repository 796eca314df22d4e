"""Uploaded files that wait for their run, and a clock at noon."""

import io

import pytest

from app.models.imports.task_import import ImportBlock, ImportState, TaskImport
from app.services.imports.imports import ImportOptions
from app.services.imports.uploads import UPLOAD_LEASE
from tests.factories import general_project
from tests.fakes import FixedClock
from tests.services.imports.runs.steps import NOON


@pytest.fixture
def clock():
    return FixedClock(NOON)


@pytest.fixture
def runs(services):
    return services.import_runs


@pytest.fixture
def stage(services, manager, monkeypatch):
    """Send a file without waiting for its import; its blocks have three rows."""
    monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 3)

    def send(*lines, actor=manager, **options):
        stream = io.BytesIO("\n".join([*lines, ""]).encode())
        outcome = services.imports.import_csv(
            actor, stream, filename="tasks.csv", options=ImportOptions(**options), wait_seconds=0
        )
        return outcome.import_id

    return send


@pytest.fixture
def staging(session, manager, clock):
    """An import whose file is still arriving, or was arriving when its process died."""
    task_import = TaskImport(
        creator_id=manager.user_id,
        project_id=general_project(session).id,
        filename="tasks.csv",
        header=["task_name"],
        state=ImportState.STAGING,
        claimed_until=clock() + UPLOAD_LEASE,
        block_count=1,
    )
    session.add(task_import)
    session.flush()
    session.add(ImportBlock(import_id=task_import.id, number=0, first_row=1, first_line=2, body=b"One\n"))
    session.flush()
    return task_import
