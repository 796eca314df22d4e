from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from app.composition.services import serving
from app.csv_files.blocks import BLOCK_ROWS
from app.models.imports.task_import import DuplicatePolicy, ImportBlock, ImportDraft, ImportMode
from app.models.projects.project import Project
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.queries.tasks import TaskQuery
from tests.services.imports.uploading import last_number, stream_of, titles, upload
from tests.stored import count, list_tasks


class TestImportCsv:
    def test_good_rows_become_tasks_and_bad_ones_are_counted(self, service, manager, session):
        outcome = upload(service, manager, "task_name,status", "One,todo", "Two,maybe", "Three,done", ",todo")

        body = outcome.row.values
        assert (outcome.is_finished, outcome.created_count, outcome.refused_count) == (True, 2, 2)
        assert (body["read_count"], body["created_count"], body["refused_count"]) == (4, 2, 2)
        assert (body["updated_count"], body["skipped_count"], body["error_count"]) == (0, 0, 2)
        assert (body["state"], body["failure"], body["is_dry_run"]) == ("finished", None, False)
        assert titles(session) == ["One", "Three"]

    def test_every_column_is_imported(self, service, manager, session, factories):
        ada = factories.User(username="ada")

        upload(
            service,
            manager,
            "task_name,description,status,priority,created_at,assigned_user,due_at,labels,external_ref",
            'Paint,"Green,\nnot red",in progress,urgent,3/9/2026,Ada,2026-04-01T12:00:00Z,"shed, outside",JIRA-42',
        )

        task = session.scalars(select(Task)).one()
        assert (task.title, task.description) == ("Paint", "Green,\nnot red")
        assert (task.status, task.priority) == (TaskStatus.IN_PROGRESS, TaskPriority.CRITICAL)
        assert (task.created_at, task.due_at) == (
            datetime(2026, 3, 9, tzinfo=UTC),
            datetime(2026, 4, 1, 12, tzinfo=UTC),
        )
        assert (task.assignee_id, task.creator_id) == (ada.id, manager.user_id)
        assert (task.labels, task.external_ref) == (["shed", "outside"], "JIRA-42")

    def test_the_import_shows_its_options(self, service, manager):
        outcome = upload(
            service,
            manager,
            "task_name",
            "One",
            mode=ImportMode.ALL_OR_NOTHING,
            on_duplicate=DuplicatePolicy.UPDATE,
            creates_users=False,
            is_dry_run=True,
        )

        body = outcome.row.values
        assert (body["mode"], body["on_duplicate"]) == ("all_or_nothing", "update")
        assert (body["create_users"], body["is_dry_run"], body["project"]) == (False, True, "GEN")
        assert body["creator"] == manager.username

    def test_times_follow_the_status(self, service, manager, session, clock):
        upload(service, manager, "task_name,status", "A,todo", "B,in_progress", "C,done", "D,cancelled")

        times = [(task.started_at, task.completed_at) for task in list_tasks(session)]
        assert times == [(None, None), (clock(), None), (None, clock()), (None, clock())]
        assert all(task.created_at == task.updated_at == clock() for task in list_tasks(session))

    def test_a_date_without_a_zone_has_that_of_the_workspace(self, resources, settings, manager, session):
        resources.settings = replace(settings, time_zone=ZoneInfo("Europe/Berlin"))

        with serving(resources) as services:
            upload(services.imports, manager, "task_name,due_at", "Paint,7/1/2026")

        assert session.scalars(select(Task)).one().due_at == datetime(2026, 7, 1, 21, 59, 59, tzinfo=UTC)

    @pytest.mark.parametrize(
        "title", ["=1+1", "+49", "-5", "@ada", '=cmd|" /C calc"!A0', "100% %s %(x)s", r"\N", r"C:\new"]
    )
    def test_formulas_and_other_code_are_text(self, service, manager, session, title):
        cell = '"' + title.replace('"', '""') + '"'

        upload(service, manager, "task_name,description", f"{cell},{cell}")

        task = session.scalars(select(Task)).one()
        assert (task.title, task.description) == (title, title)

    def test_imported_tasks_are_seen_at_once(self, service, services, manager):
        services.task_views.list_page(manager, TaskQuery())

        upload(service, manager, "task_name", "Brand new")

        page, was_cached = services.task_views.list_page(manager, TaskQuery())
        assert b"Brand new" in page.rows
        assert not was_cached

    @pytest.mark.parametrize("policy", DuplicatePolicy)
    @pytest.mark.parametrize("mode", ImportMode)
    @pytest.mark.parametrize("is_dry_run", [False, True])
    def test_nothing_is_left_in_staging(self, service, manager, session, small_blocks, is_dry_run, mode, policy):
        lines = ["One", "One", "Two", "Three", "Four", "One", "Five"]

        upload(service, manager, "task_name", *lines, is_dry_run=is_dry_run, mode=mode, on_duplicate=policy)

        assert count(session, ImportBlock) == count(session, ImportDraft) == 0

    @pytest.mark.parametrize("mode", ImportMode)
    def test_a_header_alone_makes_no_tasks(self, service, manager, session, mode):
        outcome = upload(service, manager, "task_name,status", mode=mode)

        assert (outcome.is_finished, outcome.created_count, outcome.refused_count) == (True, 0, 0)
        assert titles(session) == []

    @pytest.mark.parametrize(
        ("filename", "stored"),
        [("tasks.csv", "tasks.csv"), ("a\x00b\n.csv", "ab.csv"), ("", "upload.csv"), ("x" * 300, "x" * 255)],
    )
    def test_the_name_of_the_file_is_made_printable(self, service, manager, filename, stored):
        outcome = service.import_csv(manager, stream_of("task_name", "One"), filename=filename)

        assert outcome.row.values["filename"] == stored

    def test_a_very_old_imported_task_can_be_changed(self, service, services, manager, session):
        """Dates outside Python's range would be an error for every reader of the task."""
        upload(
            service,
            manager,
            "task_name,created_at",
            "Old,0001-01-01T00:00+14:00",
            "Late,9999-12-31T23:59-14:00",
            "Good,",
        )

        for task_id in session.scalars(select(Task.id)).all():
            services.tasks.change(manager, task_id, {"title": "Changed"})


class TestNumbers:
    def test_follow_the_order_of_the_file(self, service, services, manager, session):
        before = services.tasks.create(manager, {"title": "Before"}).values["ref"]

        upload(service, manager, "task_name,status", "First,", "Refused,maybe", "Second,", "Third,")
        after = services.tasks.create(manager, {"title": "After"}).values["ref"]

        start = number_of(before)
        assert [(task.title, task.number) for task in list_tasks(session)] == [
            ("Before", start),
            ("First", start + 1),
            ("Second", start + 2),
            ("Third", start + 3),
            ("After", start + 4),
        ]
        assert number_of(after) == start + 4

    @pytest.mark.parametrize("mode", ImportMode)
    def test_continue_across_blocks(self, service, manager, session, mode):
        row_count = BLOCK_ROWS + 7

        outcome = upload(
            service, manager, "task_name", *(f"Task {n}" for n in range(row_count)), wait_seconds=30, mode=mode
        )

        rows = session.execute(select(Task.number, Task.title).order_by(Task.number)).all()
        first = rows[0].number
        assert outcome.created_count == row_count
        assert [tuple(row) for row in rows] == [(first + n, f"Task {n}") for n in range(row_count)]
        assert last_number(session) == rows[-1].number

    @pytest.mark.parametrize("policy", [DuplicatePolicy.SKIP, DuplicatePolicy.UPDATE])
    @pytest.mark.parametrize("mode", ImportMode)
    def test_rows_that_make_no_task_take_no_number(
        self, service, manager, session, factories, small_blocks, mode, policy
    ):
        factories.Task(title="There")
        before = last_number(session)

        lines = ["There", "One", "Two", "One", "There", "Three", "Two", "Four"]
        upload(service, manager, "task_name", *lines, mode=mode, on_duplicate=policy)

        assert [(task.title, task.number) for task in list_tasks(session)] == [
            ("There", before),
            ("One", before + 1),
            ("Two", before + 2),
            ("Three", before + 3),
            ("Four", before + 4),
        ]
        assert last_number(session) == before + 4

    def test_each_project_has_its_own(self, service, ops_manager, session):
        session.execute(update(Project).where(Project.key == "OPS").values(last_task_number=41))

        upload(service, ops_manager, "task_name", "One", project="OPS")

        assert [task.number for task in list_tasks(session)] == [42]


def number_of(ref):
    return int(ref.removeprefix("GEN-"))
