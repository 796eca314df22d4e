from itertools import product

import pytest
from sqlalchemy import select

from app.models.imports.task_import import DuplicatePolicy, ImportBlock, ImportDraft, ImportMode
from app.models.projects.project import Project, ProjectMember
from app.models.tasks.fields import TaskPriority
from tests.services.imports.uploading import (
    JANUARY,
    MIXED_ROWS,
    counts_of,
    last_number,
    report,
    task_now,
    titles,
    upload,
    users_called,
)
from tests.stored import count


class TestDryRun:
    def test_creates_no_task_and_no_user_and_takes_no_number(self, service, manager, session):
        before = last_number(session)

        lines = ["task_name,assigned_user,status", "One,Grace,", "Two,,maybe"]
        outcome = upload(service, manager, *lines, is_dry_run=True)

        assert (outcome.created_count, outcome.refused_count) == (1, 1)
        assert titles(session) == []
        assert users_called(session, "grace") == 0
        assert last_number(session) == before
        assert count(session, ImportBlock) == count(session, ImportDraft) == 0

    def test_changes_no_task_and_no_member(self, service, ops_manager, session, factories):
        project_id = session.scalar(select(Project.id).where(Project.key == "OPS"))
        task = factories.Task(project_id=project_id, title="One", external_ref="A", priority="low")
        factories.User(username="grace", password_hash=None, is_active=False)
        before = count(session, ProjectMember)

        lines = ["task_name,priority,external_ref,assignee", "One,high,A,grace"]
        outcome = upload(
            service, ops_manager, *lines, project="OPS", is_dry_run=True, on_duplicate=DuplicatePolicy.UPDATE
        )

        assert counts_of(outcome)["updated_count"] == 1
        assert (task_now(session, task).priority, task_now(session, task).version) == (TaskPriority.LOW, 1)
        assert count(session, ProjectMember) == before

    def test_reports_the_same_as_an_import(self, service, manager):
        lines = ["task_name,status", "One,maybe", "Two", ",", "Three,todo"]

        dry = upload(service, manager, *lines, is_dry_run=True)
        real = upload(service, manager, *lines)

        assert report(service, manager, dry) == report(service, manager, real)
        assert dry.row.values["is_dry_run"]
        assert dry.row.values["read_count"] == real.row.values["read_count"] == 3

    @pytest.mark.parametrize(
        ("mode", "policy", "block_rows"),
        list(product(ImportMode, DuplicatePolicy, [1, 2, 3, 100])),
    )
    def test_counts_the_same_as_an_import(self, service, manager, existing, monkeypatch, mode, policy, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        dry = upload(service, manager, *MIXED_ROWS, mode=mode, on_duplicate=policy, is_dry_run=True)
        real = upload(service, manager, *MIXED_ROWS, mode=mode, on_duplicate=policy)

        assert counts_of(dry) == counts_of(real)
        assert dry.row.values["state"] == real.row.values["state"] == "finished"

    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_counts_a_task_as_old_as_it_would_be(self, service, manager, factories, policy, monkeypatch):
        """A later block finds a task by the day of its creation, which may follow from its other times."""
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 1)
        factories.Task(title="Old", external_ref="A", created_at=JANUARY)
        lines = [
            "task_name,status,created_at,started_at,completed_at,external_ref",
            "New,done,,,2026-01-10,",
            "New,done,2026-01-10,,,",
            "Renamed,todo,,,,A",
            "Renamed,todo,2026-01-15,,,",
            "Twice,todo,2026-01-11,,,B",
            "Twice,todo,2026-01-12,,,B",
            "Twice,todo,2026-01-11,,,",
        ]

        dry = upload(service, manager, *lines, on_duplicate=policy, is_dry_run=True)
        real = upload(service, manager, *lines, on_duplicate=policy)

        assert counts_of(dry) == counts_of(real)

    @pytest.mark.parametrize(("policy", "block_rows"), list(product(DuplicatePolicy, [2, 3, 100])))
    @pytest.mark.parametrize("creates_users", [True, False])
    def test_counts_and_reports_bad_rows_like_an_import(
        self, service, manager, existing, monkeypatch, policy, block_rows, creates_users
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        options = {"on_duplicate": policy, "creates_users": creates_users}

        dry = upload(service, manager, *BAD_ROWS, **options, is_dry_run=True)
        real = upload(service, manager, *BAD_ROWS, **options)

        assert counts_of(dry) == counts_of(real)
        assert report(service, manager, dry) == report(service, manager, real)

    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_a_file_that_would_be_refused_completely_is_reported(
        self, service, manager, existing, small_blocks, policy
    ):
        options = {"on_duplicate": policy, "mode": ImportMode.ALL_OR_NOTHING}

        dry = upload(service, manager, *BAD_ROWS, **options, is_dry_run=True)
        real = upload(service, manager, *BAD_ROWS, **options)

        assert report(service, manager, dry) == report(service, manager, real)
        assert counts_of(dry) == counts_of(real)

    @pytest.mark.parametrize("block_rows", [1, 100])
    @pytest.mark.parametrize("policy", [DuplicatePolicy.SKIP, DuplicatePolicy.UPDATE])
    @pytest.mark.parametrize(
        "lines",
        [
            ["task_name,created_at", "One,2026-01-15", "One,"],
            ["task_name,created_at", "One,", "One,2026-01-15"],
            ["task_name,external_ref", "One,A", "One,"],
            ["task_name,external_ref", "One,", "One,A"],
            ["task_name,external_ref", "One,A", "Two,A", "Two,"],
        ],
        ids=["a day, then none", "no day, then one", "a ref, then none", "no ref, then one", "renamed"],
    )
    def test_finds_the_same_duplicates_as_an_import(
        self, service, manager, monkeypatch, clock, lines, policy, block_rows
    ):
        """Two rows match each other by one of two keys, in one block or in two."""
        clock.now = JANUARY
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        dry = upload(service, manager, *lines, on_duplicate=policy, is_dry_run=True)
        real = upload(service, manager, *lines, on_duplicate=policy)

        assert counts_of(dry) == counts_of(real)


BAD_ROWS = (
    *MIXED_ROWS[:4],
    "Bad,,maybe,asap,,,,,A",
    *MIXED_ROWS[4:7],
    "Short",
    ",,,,,,,,",
    "New,,never,,2026-01-15,Nobody,,x,",
    *MIXED_ROWS[7:],
    "New,,,,2026-02-30,Grace,,x,",
)


@pytest.fixture
def existing(factories):
    """Tasks that the MIXED_ROWS match."""
    ada = factories.User(username="ada")
    factories.Task(title="Old", external_ref="A")
    factories.Task(title="There", description="Said", created_at=JANUARY, assignee_id=ada.id)
