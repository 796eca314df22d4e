import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, func, select, update

from app.composition.services import serving
from app.csv_files.blocks import BLOCK_ROWS, Encoding
from app.errors import (
    ConflictError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InvalidError,
    NotFoundError,
    TooLargeError,
    UnreadableCsvError,
)
from app.job_queue import JobName
from app.models.imports.task_import import DuplicatePolicy, ImportBlock, ImportDraft, ImportMode, RowError, TaskImport
from app.models.people.user import Role, User
from app.models.projects.project import Project, ProjectMember
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.queries.tasks import TaskQuery
from app.services.imports.imports import ImportOptions
from app.services.imports.uploads import UPLOAD_LEASE
from tests.factories import general_project

JANUARY = datetime(2026, 1, 15, 12, tzinfo=UTC)
COUNTS = ("read_count", "created_count", "updated_count", "skipped_count", "refused_count", "error_count")


class TestImportCsv:
    def test_good_rows_become_tasks_and_bad_ones_are_counted(self, service, manager, session):
        outcome = upload(service, manager, "task_name,status", "One,todo", "Two,maybe", "Three,done", ",todo")

        body = outcome.row.values
        assert (outcome.is_finished, outcome.created_count, outcome.refused_count) == (True, 2, 2)
        assert (body["read_count"], body["created_count"], body["refused_count"]) == (4, 2, 2)
        assert (body["updated_count"], body["skipped_count"], body["error_count"]) == (0, 0, 2)
        assert (body["state"], body["failure"], body["is_dry_run"]) == ("finished", None, False)
        assert titles(session) == ["One", "Three"]

    def test_every_column_arrives(self, service, manager, session, factories):
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

    def test_how_it_was_asked_for_can_be_read_in_it(self, service, manager):
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

        times = [(task.started_at, task.completed_at) for task in tasks(session)]
        assert times == [(None, None), (clock(), None), (None, clock()), (None, clock())]
        assert all(task.created_at == task.updated_at == clock() for task in tasks(session))

    def test_a_date_without_a_zone_is_the_workspaces(self, resources, settings, manager, session):
        resources.settings = replace(settings, time_zone=ZoneInfo("Europe/Berlin"))

        with serving(resources) as services:
            upload(services.imports, manager, "task_name,due_at", "Paint,7/1/2026")

        assert session.scalars(select(Task)).one().due_at == datetime(2026, 6, 30, 22, tzinfo=UTC)

    @pytest.mark.parametrize(
        "title", ["=1+1", "+49", "-5", "@ada", '=cmd|" /C calc"!A0', "100% %s %(x)s", r"\N", r"C:\new"]
    )
    def test_formulas_and_other_code_are_text(self, service, manager, session, title):
        cell = '"' + title.replace('"', '""') + '"'

        upload(service, manager, "task_name,description", f"{cell},{cell}")

        task = session.scalars(select(Task)).one()
        assert (task.title, task.description) == (title, title)

    def test_what_was_imported_is_seen_at_once(self, service, services, manager):
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
    def test_only_a_header_makes_no_tasks(self, service, manager, session, mode):
        outcome = upload(service, manager, "task_name,status", mode=mode)

        assert (outcome.is_finished, outcome.created_count, outcome.refused_count) == (True, 0, 0)
        assert titles(session) == []

    @pytest.mark.parametrize(
        ("filename", "kept"),
        [("tasks.csv", "tasks.csv"), ("a\x00b\n.csv", "ab.csv"), ("", "upload.csv"), ("x" * 300, "x" * 255)],
    )
    def test_the_file_is_known_by_a_name_that_can_be_shown(self, service, manager, filename, kept):
        outcome = service.import_csv(manager, stream_of("task_name", "One"), filename=filename)

        assert outcome.row.values["filename"] == kept

    def test_what_was_imported_can_be_changed_however_old_it_is(self, service, services, manager, session):
        """Dates beyond those that Python knows would be an error in whoever reads the task."""
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


class TestHowTheFileIsRead:
    @pytest.mark.parametrize(
        ("is_day_first", "month"), [(False, 3), (True, 9)], ids=["the month first", "the day first"]
    )
    def test_which_of_two_numbers_is_the_month_is_said(self, service, manager, session, is_day_first, month):
        upload(service, manager, "task_name,due_at", "One,3/9/2026", is_day_first=is_day_first)

        assert session.scalar(select(Task.due_at)).month == month

    def test_dots_are_taken_from_who_writes_the_day_first(self, service, manager):
        lines = ("task_name,due_at", "One,3.9.2026")

        assert upload(service, manager, *lines).refused_count == 1
        assert upload(service, manager, *lines, is_day_first=True).created_count == 1

    @pytest.mark.parametrize("encoding", Encoding)
    def test_the_encoding_that_is_said_is_the_one_it_is_read_by(self, service, manager, session, encoding):
        stream = io.BytesIO("task_name\nZoë\n".encode(encoding))

        service.import_csv(manager, stream, filename="tasks.csv", options=ImportOptions(encoding=encoding))

        assert titles(session) == ["Zoë"]

    @pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_it_is_found_out_when_it_is_not_said(self, service, manager, session, codec):
        service.import_csv(manager, io.BytesIO("task_name\nZoë\n".encode(codec)), filename="tasks.csv")

        assert titles(session) == ["Zoë"]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("is_said", [True, False])
    def test_the_delimiter_is_said_or_found_out(self, service, manager, session, delimiter, is_said):
        lines = [delimiter.join(row) for row in (("task_name", "status"), ("One", "done"))]

        upload(service, manager, *lines, delimiter=delimiter if is_said else None)

        assert [(task.title, task.status) for task in tasks(session)] == [("One", TaskStatus.DONE)]

    def test_a_delimiter_that_is_said_is_the_only_one(self, service, manager, session):
        upload(service, manager, "task_name", "One;Two,Three", delimiter="|")

        assert titles(session) == ["One;Two,Three"]

    def test_columns_that_nobody_knows_are_named_as_the_file_names_them(self, service, manager, session):
        lines = ["Colour,task_name,story points,Colour,ref,", "red,One,5,green,OPS-1,x"]

        outcome = upload(service, manager, *lines)

        assert outcome.row.values["ignored_columns"] == ["Colour", "story points", "(no name)"]
        assert titles(session) == ["One"]

    def test_a_name_that_is_nearly_a_known_one_is_a_slip(self, service, manager, session):
        with pytest.raises(UnreadableCsvError, match="did you mean priority"):
            upload(service, manager, "task_name,priorty", "One,high")

        assert count(session, TaskImport) == 0

    def test_more_rows_than_are_allowed_leave_nothing(self, resources, settings, manager, session):
        resources.settings = replace(settings, csv_limits=replace(settings.csv_limits, rows=5))

        with serving(resources) as services, pytest.raises(TooLargeError, match="more than 5 rows"):
            upload(services.imports, manager, "task_name", *"123456")

        assert titles(session) == []
        assert count(session, TaskImport) == count(session, ImportBlock) == 0

    def test_a_cell_that_is_too_long_refuses_its_row(self, resources, settings, manager, session):
        resources.settings = replace(settings, csv_limits=replace(settings.csv_limits, cell_characters=10))

        with serving(resources) as services:
            outcome = upload(services.imports, manager, "task_name,ignored", "One,x", "Two," + "x" * 11, "Three,")

        assert (outcome.created_count, outcome.refused_count) == (2, 1)
        assert titles(session) == ["One", "Three"]


class TestNumbers:
    def test_they_continue_in_the_order_of_the_file(self, service, services, manager, session):
        before = services.tasks.create(manager, {"title": "Before"}).values["ref"]

        upload(service, manager, "task_name,status", "First,", "Refused,maybe", "Second,", "Third,")
        after = services.tasks.create(manager, {"title": "After"}).values["ref"]

        start = number_of(before)
        assert [(task.title, task.number) for task in tasks(session)] == [
            ("Before", start),
            ("First", start + 1),
            ("Second", start + 2),
            ("Third", start + 3),
            ("After", start + 4),
        ]
        assert number_of(after) == start + 4

    @pytest.mark.parametrize("mode", ImportMode)
    def test_over_more_rows_than_are_loaded_at_once(self, service, manager, session, mode):
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
    def test_rows_that_make_no_task_take_none(self, service, manager, session, factories, small_blocks, mode, policy):
        factories.Task(title="There")
        before = last_number(session)

        lines = ["There", "One", "Two", "One", "There", "Three", "Two", "Four"]
        upload(service, manager, "task_name", *lines, mode=mode, on_duplicate=policy)

        assert [(task.title, task.number) for task in tasks(session)] == [
            ("There", before),
            ("One", before + 1),
            ("Two", before + 2),
            ("Three", before + 3),
            ("Four", before + 4),
        ]
        assert last_number(session) == before + 4

    def test_a_project_has_its_own(self, service, ops_manager, session):
        session.execute(update(Project).where(Project.key == "OPS").values(last_task_number=41))

        upload(service, ops_manager, "task_name", "One", project="OPS")

        assert [task.number for task in tasks(session)] == [42]


class TestAssignee:
    def test_each_unknown_one_becomes_one_inactive_user_whatever_the_case(self, service, manager, session):
        upload(
            service, manager, "task_name,assigned_user", "1,Grace Hopper", "2,grace hopper", "3,GRACE HOPPER", "4,Zoë"
        )

        made = session.scalars(select(User).where(User.password_hash.is_(None)).order_by(User.username)).all()
        assert [(user.username, user.role, user.is_active, user.email) for user in made] == [
            ("Grace Hopper", Role.USER, False, None),
            ("Zoë", Role.USER, False, None),
        ]
        assert [task.assignee_id for task in tasks(session)] == [made[0].id] * 3 + [made[1].id]

    def test_the_next_file_finds_them(self, service, manager, session):
        upload(service, manager, "task_name,assigned_user", "1,Grace")
        upload(service, manager, "task_name,assigned_user", "2,GRACE")

        assert len({task.assignee_id for task in tasks(session)}) == 1
        assert users_called(session, "grace") == 1

    @pytest.mark.parametrize("mode", ImportMode)
    def test_over_blocks_they_are_made_once(self, service, manager, session, small_blocks, mode):
        rows = (f"{n},{'Grace' if n % 2 else 'GRACE'}" for n in range(10))

        upload(service, manager, "task_name,assigned_user", *rows, mode=mode)

        assert users_called(session, "grace") == 1
        assert session.scalar(select(func.count(Task.assignee_id.distinct()))) == 1

    def test_a_known_one_is_found_by_name_in_any_case(self, service, manager, session, factories):
        ada = factories.User(username="Ada")

        upload(service, manager, "task_name,assigned_user", "1,aDA")

        assert [task.assignee_id for task in tasks(session)] == [ada.id]

    def test_a_known_one_is_found_by_address_in_any_case_and_not_made_again(self, service, manager, session, factories):
        ada = factories.User(username="ada", email="Ada@Example.org")
        before = count(session, User)

        upload(service, manager, "task_name,assigned_user", "1,ada@example.ORG")

        assert [task.assignee_id for task in tasks(session)] == [ada.id]
        assert count(session, User) == before

    @pytest.mark.parametrize("cell", ["eve", "EVE", "Eve@Example.org"])
    def test_a_known_one_who_is_not_in_the_project_is_refused(self, service, ops_manager, session, factories, cell):
        factories.User(username="eve", email="eve@example.org")

        lines = ["task_name,assigned_user,status", "1,,", f'"2",{cell},', "3,x,maybe", ""]
        outcome = upload(service, ops_manager, *lines, project="OPS")

        assert (outcome.created_count, outcome.refused_count) == (1, 2)
        assert report(service, ops_manager, outcome) == [(2, 3, "assigned_user", cell), (3, 4, "status", "maybe")]
        assert titles(session) == ["1"]

    def test_an_admin_need_not_be_in_the_project(self, service, ops_manager, admin, session):
        outcome = upload(service, ops_manager, "task_name,assigned_user", f"1,{admin.username}", project="OPS")

        assert outcome.created_count == 1
        assert [task.assignee_id for task in tasks(session)] == [admin.id]

    def test_an_unknown_one_is_in_the_project_from_then_on(self, service, services, ops_manager, session):
        for number in range(2):
            upload(service, ops_manager, "task_name,assigned_user", f"{number},Grace", project="OPS")

        members = services.projects.list_members(ops_manager, "OPS", cursor=None, limit=10).items
        assert [member["username"] for member in members].count("Grace") == 1
        assert len(tasks(session)) == 2

    def test_whom_only_imports_know_may_be_in_every_project(self, service, manager, ops_manager, session):
        upload(service, manager, "task_name,assigned_user", "1,Grace")

        outcome = upload(service, ops_manager, "task_name,assigned_user", "2,grace", project="OPS")

        assert outcome.created_count == 1
        assert users_called(session, "grace") == 1

    def test_a_refused_row_makes_nobody(self, service, manager, session):
        upload(service, manager, "task_name,status,assigned_user", "1,maybe,Grace")

        assert users_called(session, "grace") == 0

    def test_without_one_it_is_nobodys(self, service, manager, session):
        upload(service, manager, "task_name,assigned_user", "1,", "2,   ")

        assert [task.assignee_id for task in tasks(session)] == [None, None]


class TestNamesThatLookLikeOthers:
    @pytest.mark.parametrize("is_dry_run", [False, True])
    def test_a_row_with_one_is_refused_and_makes_nobody(self, service, manager, session, factories, is_dry_run):
        factories.User(username="ada")

        lines = ["task_name,Assignee", "1,ada", "2,\u0430da", "3,ad\ufe0fa", "4,Grace"]
        outcome = upload(service, manager, *lines, is_dry_run=is_dry_run)

        assert (outcome.created_count, outcome.refused_count) == (2, 2)
        assert report(service, manager, outcome) == [(2, 3, "Assignee", "\u0430da"), (3, 4, "Assignee", "ad\ufe0fa")]
        assert users_called(session, "\u0430da") == 0

    def test_of_two_new_ones_the_first_becomes_a_user(self, service, manager, session):
        outcome = upload(service, manager, "task_name,Assignee", "1,user1", "2,userl", "3,USER1")

        assert (outcome.created_count, outcome.refused_count) == (2, 1)
        assert (users_called(session, "user1"), users_called(session, "userl")) == (1, 0)

    def test_a_name_that_shows_nothing_is_refused(self, service, manager):
        assert upload(service, manager, "task_name,Assignee", "1,\u3164").refused_count == 1


class TestWithoutNewUsers:
    @pytest.mark.parametrize("is_dry_run", [False, True])
    def test_a_row_of_somebody_unknown_is_refused(self, service, manager, session, factories, is_dry_run):
        factories.User(username="ada")

        lines = ["task_name,Assignee", "1,ada", "2,Grace", "3,", "4,grace"]
        outcome = upload(service, manager, *lines, creates_users=False, is_dry_run=is_dry_run)

        assert (outcome.created_count, outcome.refused_count) == (2, 2)
        assert report(service, manager, outcome) == [(2, 3, "Assignee", "Grace"), (4, 5, "Assignee", "grace")]
        assert users_called(session, "grace") == 0
        assert titles(session) == ([] if is_dry_run else ["1", "3"])

    def test_somebody_known_elsewhere_is_refused_in_the_same_words(self, service, ops_manager, factories):
        factories.User(username="eve")

        lines = ["task_name,assignee", "1,eve", "2,nobody at all"]
        outcome = upload(service, ops_manager, *lines, project="OPS", creates_users=False)

        page = service.list_errors(ops_manager, outcome.import_id, cursor=None, limit=10)
        assert len({problem["reason"] for problem in page.items}) == 1


class TestDryRun:
    def test_writes_no_task_no_user_and_takes_no_number(self, service, manager, session):
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

    def test_reports_what_an_import_would(self, service, manager):
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
    def test_counts_what_an_import_would(self, service, manager, existing, monkeypatch, mode, policy, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        dry = upload(service, manager, *MIXED_ROWS, mode=mode, on_duplicate=policy, is_dry_run=True)
        real = upload(service, manager, *MIXED_ROWS, mode=mode, on_duplicate=policy)

        assert counts_of(dry) == counts_of(real)
        assert dry.row.values["state"] == real.row.values["state"] == "finished"

    @pytest.mark.parametrize(("policy", "block_rows"), list(product(DuplicatePolicy, [2, 3, 100])))
    @pytest.mark.parametrize("creates_users", [True, False])
    def test_counts_and_reports_bad_rows_as_an_import_would(
        self, service, manager, existing, monkeypatch, policy, block_rows, creates_users
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        options = {"on_duplicate": policy, "creates_users": creates_users}

        dry = upload(service, manager, *BAD_ROWS, **options, is_dry_run=True)
        real = upload(service, manager, *BAD_ROWS, **options)

        assert counts_of(dry) == counts_of(real)
        assert report(service, manager, dry) == report(service, manager, real)

    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_of_a_file_that_would_be_refused_whole_says_so(self, service, manager, existing, small_blocks, policy):
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
    def test_goes_by_the_same_likeness(self, service, manager, monkeypatch, clock, lines, policy, block_rows):
        """Two rows that are like each other by one of two names, in one block or over two."""
        clock.now = JANUARY
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        dry = upload(service, manager, *lines, on_duplicate=policy, is_dry_run=True)
        real = upload(service, manager, *lines, on_duplicate=policy)

        assert counts_of(dry) == counts_of(real)


class TestAllOrNothing:
    @pytest.mark.parametrize("bad_row", ["Bad,maybe,", "Bad,,Grace", "Bad"])
    @pytest.mark.parametrize("position", [0, 4, 9])
    def test_one_bad_row_and_nothing_is_written(self, service, manager, session, small_blocks, bad_row, position):
        rows = [f"{n},todo," for n in range(9)]
        rows.insert(position, bad_row)
        before = last_number(session)

        outcome = upload(
            service,
            manager,
            "task_name,status,assignee",
            *rows,
            mode=ImportMode.ALL_OR_NOTHING,
            creates_users=False,
        )

        body = outcome.row.values
        assert (body["state"], body["failure"]) == ("failed", "1 row was refused, so nothing was imported")
        assert counts_of(outcome) == dict(zip(COUNTS, (10, 0, 0, 0, 1, 1), strict=True))
        assert [row for row, *_ in report(service, manager, outcome)] == [position + 1]
        assert titles(session) == []
        assert last_number(session) == before

    def test_a_bad_row_makes_no_users_of_the_others_either(self, service, manager, session, small_blocks):
        lines = ["task_name,status,assignee", *(f"{n},,Grace" for n in range(5)), "Bad,maybe,", "Worse,never,"]

        outcome = upload(service, manager, *lines, mode=ImportMode.ALL_OR_NOTHING)

        assert outcome.row.values["failure"] == "2 rows were refused, so nothing was imported"
        assert users_called(session, "grace") == 0

    def test_good_rows_are_all_written(self, service, manager, session, small_blocks):
        rows = [f"{n},Grace" for n in range(10)]

        outcome = upload(service, manager, "task_name,assignee", *rows, mode=ImportMode.ALL_OR_NOTHING)

        assert counts_of(outcome) == dict(zip(COUNTS, (10, 10, 0, 0, 0, 0), strict=True))
        assert titles(session) == [str(n) for n in range(10)]
        assert users_called(session, "grace") == 1

    def test_somebody_who_leaves_between_check_and_load_fails_it(
        self, service, services, ops_manager, session, factories, small_blocks, clock
    ):
        ada = factories.User(username="ada")
        project_id = session.scalar(select(Project.id).where(Project.key == "OPS"))
        factories.ProjectMember(project_id=project_id, user_id=ada.id)
        rows = [*(f"{n},Grace" for n in range(4)), "4,ada"]
        import_id = checked(services, ops_manager, "task_name,assignee", *rows, project="OPS", clock=clock)
        session.execute(delete(ProjectMember).where(ProjectMember.user_id == ada.id))

        services.import_runs.run_waiting()

        body = service.get(ops_manager, import_id).values
        assert (body["state"], body["created_count"]) == ("failed", 0)
        assert body["failure"] == "line 6: is not in the project; nothing was imported"
        assert titles(session) == []
        assert users_called(session, "grace") == 0
        assert count(session, ImportBlock) == count(session, ImportDraft) == 0

    def test_a_duplicate_that_comes_between_check_and_load_leaves_no_gap_that_a_task_falls_into(
        self, services, manager, session, small_blocks, clock, factories
    ):
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        checked(services, manager, "task_name", "One", "Two", "Three", clock=clock, **options)
        services.tasks.create(manager, {"title": "Two"})

        services.import_runs.run_waiting()
        services.tasks.create(manager, {"title": "After"})

        assert sorted(titles(session)) == ["After", "One", "Three", "Two"]
        assert len({task.number for task in tasks(session)}) == 4

    def test_a_duplicate_that_goes_between_check_and_load_is_made_and_takes_nobodys_number(
        self, service, services, manager, session, small_blocks, clock, factories
    ):
        there = factories.Task(title="Two")
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        import_id = checked(services, manager, "task_name", "One", "Two", "Three", clock=clock, **options)
        services.tasks.delete(manager, there.id)

        services.import_runs.run_waiting()
        services.tasks.create(manager, {"title": "After"})

        assert service.get(manager, import_id).values["created_count"] == 3
        assert [task.title for task in tasks(session) if task.deleted_at is None] == ["One", "Two", "Three", "After"]
        assert len({task.number for task in tasks(session)}) == 5


class TestSkipDuplicates:
    def test_what_is_there_by_its_name_elsewhere_stays_as_it_is(self, service, manager, session, factories, clock):
        task = factories.Task(title="One", external_ref="A", updated_at=clock() - timedelta(days=1))
        before = as_json(session, task)

        lines = ["task_name,status,external_ref", "Renamed,done,A", "New,done,B"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert counts_of(outcome) == dict(zip(COUNTS, (2, 1, 0, 1, 0, 0), strict=True))
        assert as_json(session, task) == before
        assert [(task.title, task.external_ref) for task in tasks(session)] == [("One", "A"), ("New", "B")]

    @pytest.mark.parametrize(
        ("row", "is_there"),
        [
            ("One,Said,2026-01-15,ada", True),
            ("One,Said,2026-01-15T23:59:59Z,ADA", True),
            ("One,Said,,ada", True),
            ("One,Said,2026-01-15,ada@example.org", True),
            ("one,Said,2026-01-15,ada", False),
            ("One,said,2026-01-15,ada", False),
            ("One,,2026-01-15,ada", False),
            ("One,Said,2026-01-16,ada", False),
            ("One,Said,2026-01-15,", False),
            ("One,Said,2026-01-15,grace", False),
            ("One,Said,2026-01-15,Unknown", False),
        ],
    )
    def test_what_says_the_same_of_the_same_day_and_person_is_there(
        self, service, manager, session, factories, row, is_there
    ):
        ada = factories.User(username="ada")
        factories.User(username="grace")
        factories.Task(title="One", description="Said", created_at=JANUARY, assignee_id=ada.id, status="done")

        lines = ["task_name,description,created_at,assignee", row]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert (counts_of(outcome)["created_count"], counts_of(outcome)["skipped_count"]) == (
            (0, 1) if is_there else (1, 0)
        )

    def test_nobodys_task_is_like_nobodys(self, service, manager, factories):
        factories.Task(title="One")

        outcome = upload(service, manager, "task_name", "One", on_duplicate=DuplicatePolicy.SKIP)

        assert counts_of(outcome)["skipped_count"] == 1

    def test_a_day_is_one_of_the_workspace(self, resources, settings, manager, factories):
        """At 23 o'clock of Greenwich it is the next day in Berlin already."""
        factories.Task(title="One", created_at=datetime(2026, 1, 15, 23, 30, tzinfo=UTC))
        resources.settings = replace(settings, time_zone=ZoneInfo("Europe/Berlin"))

        with serving(resources) as services:
            lines = ["task_name,created_at", "One,2026-01-15", "One,2026-01-16"]
            outcome = upload(services.imports, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert (outcome.created_count, counts_of(outcome)["skipped_count"]) == (1, 1)

    def test_a_row_with_a_name_elsewhere_is_looked_for_by_that_alone(self, service, manager, session, factories):
        factories.Task(title="One")
        factories.Task(title="One", external_ref="A")

        lines = ["task_name,external_ref", "One,B"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert [task.external_ref for task in tasks(session)] == [None, "A", "B"]

    @pytest.mark.parametrize("row", ["One,A", "One,"])
    def test_deleted_tasks_do_not_count(self, service, manager, factories, clock, row):
        factories.Task(title="One", external_ref="A", deleted_at=clock())

        outcome = upload(service, manager, "task_name,external_ref", row, on_duplicate=DuplicatePolicy.SKIP)

        assert outcome.created_count == 1

    @pytest.mark.parametrize("row", ["One,A", "One,"])
    def test_tasks_of_other_projects_do_not_count(self, service, manager, factories, row):
        factories.Task(title="One", external_ref="A", project_id=factories.Project().id)

        outcome = upload(service, manager, "task_name,external_ref", row, on_duplicate=DuplicatePolicy.SKIP)

        assert outcome.created_count == 1

    @pytest.mark.parametrize("block_rows", [1, 2, 3, 100])
    def test_of_rows_that_say_the_same_the_first_is_made(self, service, manager, session, monkeypatch, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        lines = ["task_name,external_ref,priority", "One,A,low", "Two,,low", "Three,A,high", "Two,,high", "Two,B,high"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert counts_of(outcome) == dict(zip(COUNTS, (5, 3, 0, 2, 0, 0), strict=True))
        assert [(task.title, task.priority) for task in tasks(session)] == [
            ("One", TaskPriority.LOW),
            ("Two", TaskPriority.LOW),
            ("Two", TaskPriority.HIGH),
        ]

    def test_the_same_file_again_makes_nothing(self, service, manager, clock, small_blocks):
        for _ in range(2):
            outcome = upload(service, manager, *MIXED_ROWS, on_duplicate=DuplicatePolicy.SKIP)
            clock.advance(seconds=1)

        counts = counts_of(outcome)
        assert (counts["created_count"], counts["skipped_count"]) == (0, counts["read_count"])

    def test_where_separators_are_part_of_the_text_the_rows_are_told_apart(self, service, manager, session):
        lines = ["task_name,description", "a\x1fb,c", "a,b\x1fc"]

        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert len(tasks(session)) == 2


class TestUpdateDuplicates:
    def test_what_is_there_is_changed_to_what_the_row_says(self, service, manager, session, factories, clock):
        ada = factories.User(username="ada")
        task = factories.Task(title="One", external_ref="A", created_at=JANUARY, updated_at=JANUARY)

        header = "task_name,description,status,priority,labels,assignee,due_at,created_at,external_ref"
        row = 'Renamed,Said,blocked,high,"x,y",ada,2026-04-01,2020-01-01,A'
        outcome = upload(service, manager, header, row, on_duplicate=DuplicatePolicy.UPDATE)

        after = task_now(session, task)
        assert counts_of(outcome) == dict(zip(COUNTS, (1, 0, 1, 0, 0, 0), strict=True))
        assert (after.title, after.description) == ("Renamed", "Said")
        assert (after.status, after.priority) == (TaskStatus.BLOCKED, TaskPriority.HIGH)
        assert (after.labels, after.assignee_id) == (["x", "y"], ada.id)
        assert (after.due_at, after.created_at) == (datetime(2026, 4, 1, tzinfo=UTC), JANUARY)
        assert (after.version, after.updated_at, after.number) == (2, clock(), task.number)

    def test_columns_that_the_file_does_not_have_stay_as_they_are(self, service, manager, session, full_task):
        before = as_json(session, full_task)

        lines = ["task_name,priority,external_ref", "One,low,A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        after = as_json(session, full_task)
        times = {name: after[name] for name in ("updated_at", "revised_at")}
        assert after == {**before, **times, "priority": "low", "version": 2, "revision": 2}

    def test_columns_that_the_file_has_empty_are_emptied(self, service, manager, session, full_task):
        lines = ["task_name,description,labels,assignee,due_at,external_ref", "One,,,,,A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        after = task_now(session, full_task)
        assert (after.description, after.labels, after.assignee_id, after.due_at) == ("", [], None, None)

    @pytest.mark.parametrize("block_rows", [1, 100])
    def test_what_changes_nothing_keeps_version_and_time(
        self, service, manager, session, full_task, monkeypatch, block_rows
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        before = as_json(session, full_task)

        header = "task_name,description,status,priority,labels,assignee,due_at,external_ref"
        row = 'One,Said,in progress,HIGH,"x,y",Ada,2026-04-01T01:00:00+01:00,A'
        outcome = upload(service, manager, header, row, row, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome) == dict(zip(COUNTS, (2, 0, 0, 2, 0, 0), strict=True))
        assert as_json(session, full_task) == before

    def test_what_changes_there_and_back_in_one_block_keeps_version_and_time(
        self, service, manager, session, full_task
    ):
        before = as_json(session, full_task)

        lines = ["task_name,priority,external_ref", "One,low,A", "One,high,A"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome)["updated_count"] == 2
        assert as_json(session, full_task) == before

    @pytest.mark.parametrize(
        ("before", "word", "times"),
        [
            (TaskStatus.TODO, "in_progress", ("now", None)),
            (TaskStatus.TODO, "done", (None, "now")),
            (TaskStatus.TODO, "cancelled", (None, "now")),
            (TaskStatus.TODO, "blocked", (None, None)),
            (TaskStatus.IN_PROGRESS, "in_progress", ("then", None)),
            (TaskStatus.IN_PROGRESS, "blocked", ("then", None)),
            (TaskStatus.IN_PROGRESS, "done", ("then", "now")),
            (TaskStatus.BLOCKED, "in_progress", ("now", None)),
            (TaskStatus.DONE, "todo", ("then", None)),
            (TaskStatus.DONE, "in_progress", ("then", None)),
            (TaskStatus.DONE, "cancelled", ("then", "then")),
            (TaskStatus.DONE, "done", ("then", "then")),
        ],
    )
    def test_times_follow_the_status_as_when_somebody_changes_it(
        self, service, services, manager, session, factories, clock, before, word, times
    ):
        """By `change_status`, which is asked of a second task of the same kind."""
        started_at = JANUARY if before in {TaskStatus.IN_PROGRESS, TaskStatus.DONE} else None
        completed_at = JANUARY if before is TaskStatus.DONE else None
        imported, changed = (
            factories.Task(external_ref=ref, status=before, started_at=started_at, completed_at=completed_at)
            for ref in ("A", "B")
        )

        lines = ["task_name,status,external_ref", f"One,{word},A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)
        services.tasks.change(manager, changed.id, {"title": "One", "status": TaskStatus(word)})

        moments = {"now": clock(), "then": JANUARY, None: None}
        found = [
            (task_now(session, task).started_at, task_now(session, task).completed_at) for task in (imported, changed)
        ]
        assert found == [tuple(moments[time] for time in times)] * 2

    @pytest.mark.parametrize("block_rows", [1, 2, 3, 100])
    def test_of_rows_that_mean_the_same_the_last_is_what_is_left(
        self, service, manager, session, factories, monkeypatch, block_rows
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        factories.Task(title="Old", external_ref="A", priority="low")

        lines = ["task_name,external_ref,priority", "1,A,high", "2,B,low", "3,A,high", "4,B,high", "5,A,critical"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome) == dict(zip(COUNTS, (5, 1, 4, 0, 0, 0), strict=True))
        assert [(task.title, task.external_ref, task.priority) for task in tasks(session)] == [
            ("5", "A", TaskPriority.CRITICAL),
            ("4", "B", TaskPriority.HIGH),
        ]

    @pytest.mark.parametrize("block_rows", [1, 100])
    def test_found_by_what_they_say_they_are_changed_too(self, service, manager, session, monkeypatch, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        lines = ["task_name,status", "One,todo", "Two,todo", "One,done", "One,done"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome) == dict(zip(COUNTS, (4, 2, 1, 1, 0, 0), strict=True))
        assert {task.title: task.status for task in tasks(session)} == {"One": TaskStatus.DONE, "Two": TaskStatus.TODO}

    @pytest.mark.parametrize("block_rows", [1, 100])
    @pytest.mark.parametrize(
        "rows",
        [["One,A,low,", "One,,high,"], ["One,,low,", "One,,high,2026-01-15"]],
        ids=["by ref, then by content", "without a day, then with it"],
    )
    def test_a_task_that_two_rows_find_by_different_names_ends_as_the_last_says(
        self, service, manager, session, factories, monkeypatch, rows, block_rows
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        factories.Task(title="One", external_ref="A", created_at=JANUARY)

        lines = ["task_name,external_ref,priority,created_at", *rows]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome)["updated_count"] == 2
        assert [task.priority for task in tasks(session)] == [TaskPriority.HIGH]

    @pytest.mark.parametrize("block_rows", [1, 100])
    def test_what_becomes_of_a_task_that_is_new_does_not_depend_on_where_blocks_end(
        self, service, manager, session, clock, monkeypatch, block_rows
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        lines = [
            "task_name,external_ref,status,created_at",
            "1,A,in_progress,2026-01-15",
            "2,B,todo,2026-01-15",
            "3,A,done,2026-01-16",
        ]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        first, second = tasks(session)
        assert (first.title, first.created_at) == ("3", datetime(2026, 1, 15, tzinfo=UTC))
        assert (first.started_at, first.completed_at) == (clock(), clock())
        assert second.title == "2"

    def test_deleted_tasks_stay_deleted_and_as_they_are(self, service, manager, session, factories, clock):
        deleted = factories.Task(title="Gone", external_ref="A", deleted_at=clock())

        lines = ["task_name,external_ref", "New,A"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert outcome.created_count == 1
        assert (task_now(session, deleted).title, task_now(session, deleted).version) == ("Gone", 1)

    def test_somebody_new_is_made_and_given_what_was_there(self, service, manager, session, factories):
        task = factories.Task(external_ref="A")

        lines = ["task_name,external_ref,assignee", "One,A,Grace"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        grace = session.scalars(select(User).where(User.username == "Grace")).one()
        assert task_now(session, task).assignee_id == grace.id

    def test_what_was_updated_is_seen_at_once(self, service, services, manager, factories):
        factories.Task(title="Old", external_ref="A")
        services.task_views.list_page(manager, TaskQuery())

        upload(service, manager, "task_name,external_ref", "Brand new,A", on_duplicate=DuplicatePolicy.UPDATE)

        page, _was_cached = services.task_views.list_page(manager, TaskQuery())
        assert b"Brand new" in page.rows

    def test_the_same_file_again_changes_nothing(self, service, manager, clock, small_blocks):
        for _ in range(2):
            outcome = upload(service, manager, *MIXED_ROWS[:5], on_duplicate=DuplicatePolicy.UPDATE)
            clock.advance(seconds=1)

        counts = counts_of(outcome)
        assert (counts["created_count"], counts["updated_count"]) == (0, 0)


class TestCreateDuplicates:
    def test_what_is_there_is_made_again(self, service, manager, session, factories):
        factories.Task(title="One", external_ref="A")

        outcome = upload(service, manager, "task_name,external_ref", "One,A", "One,A", "One,")

        assert outcome.created_count == 3
        assert titles(session) == ["One"] * 4


class TestIdempotencyKey:
    def test_the_same_again_is_the_same_import(self, service, manager, session):
        first, second = (upload(service, manager, "task_name", "One", key="once") for _ in range(2))

        assert (second.import_id, second.is_finished, second.created_count) == (first.import_id, True, 1)
        assert second.row == first.row
        assert titles(session) == ["One"]

    def test_under_another_name_it_is_the_same_file(self, service, manager):
        ids = {
            service.import_csv(
                manager, stream_of("task_name", "One"), filename=filename, idempotency_key="once"
            ).import_id
            for filename in ("a.csv", "b.csv")
        }

        assert len(ids) == 1

    @pytest.mark.parametrize(
        ("lines", "options"),
        [
            (["task_name", "Two"], {}),
            (["task_name", "One", "Two"], {}),
            (["title", "One"], {}),
            (["task_name", "One"], {"is_dry_run": True}),
            (["task_name", "One"], {"mode": ImportMode.ALL_OR_NOTHING}),
            (["task_name", "One"], {"on_duplicate": DuplicatePolicy.SKIP}),
            (["task_name", "One"], {"creates_users": False}),
            (["task_name", "One"], {"is_day_first": True}),
        ],
    )
    def test_another_file_or_other_options_may_not_have_it(self, service, manager, session, lines, options):
        upload(service, manager, "task_name", "One", key="once")

        with pytest.raises(IdempotencyKeyReusedError):
            upload(service, manager, *lines, key="once", **options)

        assert titles(session) == ["One"]
        assert count(session, TaskImport) == 1

    def test_somebody_else_may_have_the_same(self, service, manager, factories, acting_as, session):
        other = acting_as(factories.User(role=Role.MANAGER))

        first = upload(service, manager, "task_name", "One", key="once")
        second = upload(service, other, "task_name", "One", key="once")

        assert first.import_id != second.import_id
        assert titles(session) == ["One", "One"]

    def test_other_keys_are_other_imports_of_the_same_file(self, service, manager, session):
        first, second = (upload(service, manager, "task_name", "One", key=key) for key in ("one", "two"))

        assert first.import_id != second.import_id
        assert titles(session) == ["One", "One"]

    def test_other_keys_are_other_imports_while_the_first_is_at_work_too(self, service, manager):
        first, second = (
            upload(service, manager, "task_name", "One", key=key, wait_seconds=0) for key in ("one", "two")
        )

        assert first.import_id != second.import_id

    def test_a_key_of_an_import_that_waits_waits_with_it(self, service, manager, session):
        first = upload(service, manager, "task_name", "One", key="once", wait_seconds=0)

        second = upload(service, manager, "task_name", "One", key="once")

        assert (second.import_id, first.is_finished, second.is_finished) == (first.import_id, False, True)
        assert titles(session) == ["One"]

    def test_one_that_failed_is_told_as_it_failed(self, service, manager):
        options = {"mode": ImportMode.ALL_OR_NOTHING, "key": "once"}

        first, second = (upload(service, manager, "task_name", "One", "Two,", **options) for _ in range(2))

        assert second.row == first.row
        assert second.row.values["state"] == "failed"

    def test_a_file_that_could_not_be_read_does_not_use_it_up(self, service, manager):
        with pytest.raises(UnreadableCsvError):
            upload(service, manager, "task_name", '"Open', key="once")

        assert upload(service, manager, "task_name", "One", key="once").created_count == 1


class TestTwin:
    def test_the_same_file_while_the_first_waits_is_the_first(self, service, manager, session):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        second = upload(service, manager, "task_name", "One", wait_seconds=0)

        assert (second.import_id, second.is_finished) == (first.import_id, False)
        assert count(session, TaskImport) == count(session, ImportBlock) == 1

    def test_while_the_first_is_worked_on_too(self, service, services, manager, session):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)
        services.import_runs.claim(first.import_id)

        assert upload(service, manager, "task_name", "One", wait_seconds=0).import_id == first.import_id

    def test_who_waits_for_the_second_waits_for_the_first(self, service, manager, session):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        second = upload(service, manager, "task_name", "One")

        assert (second.import_id, second.is_finished, second.created_count) == (first.import_id, True, 1)
        assert titles(session) == ["One"]

    def test_the_same_file_after_the_first_was_finished_is_another(self, service, manager, session, clock):
        first = upload(service, manager, "task_name", "One")
        clock.advance(seconds=1)

        second = upload(service, manager, "task_name", "One")

        assert first.import_id != second.import_id
        assert titles(session) == ["One", "One"]

    def test_one_that_began_to_come_in_before_the_first_was_finished_is_the_first(
        self, service, services, manager, session, clock
    ):
        """A proxy sends the request again while the first is still being answered."""
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        def finish_the_first():
            clock.advance(seconds=1)
            services.import_runs.run_waiting()
            clock.advance(seconds=1)

        second = service.import_csv(
            manager, InterruptedStream(b"task_name\n", finish_the_first, b"One\n"), filename="tasks.csv"
        )

        assert (second.import_id, second.created_count) == (first.import_id, 1)
        assert titles(session) == ["One"]

    @pytest.mark.parametrize(
        ("lines", "options"),
        [
            (["task_name", "Two"], {}),
            (["task_name", "One"], {"is_dry_run": True}),
            (["task_name", "One"], {"mode": ImportMode.ALL_OR_NOTHING}),
        ],
    )
    def test_another_file_or_other_options_make_another(self, service, manager, lines, options):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        assert upload(service, manager, *lines, wait_seconds=0, **options).import_id != first.import_id

    def test_somebody_elses_is_another(self, service, manager, factories, acting_as):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        other = acting_as(factories.User(role=Role.MANAGER))
        assert upload(service, other, "task_name", "One", wait_seconds=0).import_id != first.import_id


class TestWaiting:
    def test_without_a_wait_it_is_left_to_a_worker(self, service, services, manager, session, job_queue):
        outcome = upload(service, manager, "task_name", "One", wait_seconds=0)

        body = outcome.row.values
        assert (outcome.is_finished, body["state"], body["finished_at"]) == (False, "loading", None)
        assert (body["read_count"], body["created_count"]) == (1, 0)
        assert job_queue.enqueued == [JobName.RUN_IMPORTS]
        assert titles(session) == []

        services.import_runs.run_waiting()

        assert service.get(manager, outcome.import_id).values["state"] == "finished"
        assert titles(session) == ["One"]

    def test_a_small_file_is_finished_with_the_answer(self, service, manager, job_queue):
        assert upload(service, manager, "task_name", "One").is_finished
        # Should the request die on the way, a worker goes on.
        assert job_queue.enqueued == [JobName.RUN_IMPORTS]

    def test_a_large_one_is_not_waited_for_unless_somebody_says_so(self, service, manager, monkeypatch):
        monkeypatch.setattr("app.services.imports.imports.BLOCK_ROWS", 3)
        lines = ["task_name", "One", "Two", "Three"]

        assert upload(service, manager, *lines).is_finished
        assert not upload(service, manager, *lines, "Four").is_finished
        assert upload(service, manager, *lines, "Four", "Five", wait_seconds=1).is_finished

    @pytest.mark.parametrize(
        ("options", "state"),
        [
            ({}, "loading"),
            ({"is_dry_run": True}, "checking"),
            ({"mode": ImportMode.ALL_OR_NOTHING}, "checking"),
            ({"mode": ImportMode.ALL_OR_NOTHING, "is_dry_run": True}, "checking"),
        ],
    )
    def test_what_is_only_checked_at_first_waits_to_be_checked(self, service, manager, options, state):
        outcome = upload(service, manager, "task_name", "One", wait_seconds=0, **options)

        assert outcome.row.values["state"] == state

    def test_a_refused_file_wakes_nobody(self, service, manager, job_queue):
        with pytest.raises(UnreadableCsvError):
            upload(service, manager, "task_name", '"Open')

        assert job_queue.enqueued == []

    def test_the_answer_goes_out_when_the_time_is_over_and_a_worker_goes_on(
        self, service, services, manager, resources, clock, small_blocks, job_queue
    ):
        resources.clock = TickingClock(clock, seconds=0.2)

        with serving(resources) as slow:
            outcome = upload(slow.imports, manager, "task_name", *map(str, range(60)), wait_seconds=2)

        assert not outcome.is_finished
        assert 0 < outcome.created_count < 60
        assert job_queue.enqueued == [JobName.RUN_IMPORTS, JobName.RUN_IMPORTS]
        services.import_runs.run_waiting()
        assert service.get(manager, outcome.import_id).values["created_count"] == 60


class TestUnreadableFile:
    @pytest.mark.parametrize("good_rows", [2, 20_000])
    def test_found_out_halfway_it_leaves_nothing(self, service, manager, session, good_rows):
        before = last_number(session)

        with pytest.raises(UnreadableCsvError, match="a quote is opened and never closed"):
            upload(
                service, manager, "task_name,assigned_user", *(f"Task {n},Grace" for n in range(good_rows)), '"Open,x'
            )

        assert titles(session) == []
        assert last_number(session) == before
        for table in (TaskImport, ImportBlock, ImportDraft, RowError):
            assert count(session, table) == 0
        assert users_called(session, "grace") == 0

    def test_the_next_file_is_read_as_if_nothing_had_been(self, service, manager, session):
        with pytest.raises(UnreadableCsvError):
            upload(service, manager, "task_name", "One", '"Open')

        assert upload(service, manager, "task_name", "Two").created_count == 1
        assert titles(session) == ["Two"]

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x89PNG\r\n\x1a\n\x00\x00",
            b"\x1f\x8b\x08\x00",
            b"PK\x03\x04",
            b"status\ntodo\n",
            b"title,summary\nx,y\n",
        ],
    )
    def test_found_out_at_once_it_leaves_nothing_either(self, service, manager, session, content):
        with pytest.raises(UnreadableCsvError):
            service.import_csv(manager, io.BytesIO(content), filename="tasks.csv")

        assert count(session, TaskImport) == 0

    @pytest.mark.parametrize("encoding", [Encoding.UTF_8, Encoding.UTF_16, Encoding.CP1252])
    def test_a_header_that_no_table_can_hold_is_told_too(self, service, manager, session, encoding):
        """Whoever says an encoding is not asked whether the file is binary."""
        stream = io.BytesIO("task_name,a\x00b\nOne,x\n".encode(encoding))

        with pytest.raises(UnreadableCsvError):
            service.import_csv(manager, stream, filename="tasks.csv", options=ImportOptions(encoding=encoding))

        assert count(session, TaskImport) == 0

    def test_a_stream_that_breaks_off_leaves_nothing(self, service, manager, session):
        def break_off():
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            service.import_csv(manager, InterruptedStream(b"task_name\nOne\n", break_off), filename="tasks.csv")

        assert count(session, TaskImport) == count(session, ImportBlock) == 0

    @pytest.mark.parametrize(
        ("before", "after"),
        [(b"task_name\n", b"One\n"), (b"task_name\nOne\nTwo\nThree\n", b""), (b"task_name\n", b"")],
        ids=["before a block", "after its last block", "after its header"],
    )
    def test_one_that_stood_still_for_too_long_is_told_so(
        self, service, services, manager, session, clock, monkeypatch, small_blocks, before, after
    ):
        monkeypatch.setattr("app.csv_files.blocks.PIECE_BYTES", len(before))

        def give_up():
            clock.advance(seconds=UPLOAD_LEASE.total_seconds() + 1)
            services.import_runs.run_waiting()

        with pytest.raises(ConflictError, match="stood still"):
            service.import_csv(manager, InterruptedStream(before, give_up, after), filename="tasks.csv")

        assert count(session, TaskImport) == count(session, ImportBlock) == 0


class TestReport:
    def test_is_in_the_order_of_the_file_with_lines_as_an_editor_counts_them(self, service, manager):
        outcome = upload(
            service,
            manager,
            "task_name,description,status,priority",
            '"One","over\ntwo lines",maybe,asap',
            "",
            "Good,,,",
            "Three,x",
            '"Four","a\nb\nc",todo,high',
            ",,,never",
        )

        assert report(service, manager, outcome) == [
            (1, 2, "status", "maybe"),
            (1, 2, "priority", "asap"),
            (3, 6, None, None),
            (5, 10, "task_name", ""),
            (5, 10, "priority", "never"),
        ]

    @pytest.mark.parametrize("block_rows", [1, 2, 3])
    def test_lines_go_on_over_blocks(self, service, manager, monkeypatch, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        rows = [
            "One,maybe",
            '"over\ntwo",',
            '"over\r\ntwo",maybe',
            "",
            "Three,x,y",
            ",,",
            '"a\n\nb",maybe',
            "Five,maybe",
        ]

        outcome = upload(service, manager, "task_name,status", *rows)

        assert [(row, line) for row, line, *_ in report(service, manager, outcome)] == [
            (1, 2),
            (3, 5),
            (4, 8),
            (5, 10),
            (6, 13),
        ]

    def test_pages_join_without_a_gap_or_a_double(self, service, manager):
        outcome = upload(service, manager, "task_name,status,priority", *(f"T{n},maybe,asap" for n in range(5)))

        whole = report(service, manager, outcome)
        by_threes = report(service, manager, outcome, limit=3)

        assert len(whole) == 10
        assert by_threes == whole

    def test_a_good_file_has_an_empty_one(self, service, manager):
        assert report(service, manager, upload(service, manager, "task_name", "One")) == []

    def test_names_what_can_be_shown(self, service, manager):
        lines = ["task_name,description", *(f"T{n}," + "x" * 400 for n in range(1000)), "T,a\x00b", "T," + "y" * 20_001]

        outcome = upload(service, manager, *lines)

        page = service.list_errors(manager, outcome.import_id, cursor=None, limit=10)
        values = [item["value"] for item in page.items]
        assert values == ["a\N{REPLACEMENT CHARACTER}b", "y" * 200]

    def test_says_each_problem_in_one_sentence(self, service, manager):
        outcome = upload(service, manager, "task_name,Status", "One,maybe", "Two")

        page = service.list_errors(manager, outcome.import_id, cursor=None, limit=10)
        assert [item["message"] for item in page.items] == [
            "line 2, column Status: 'maybe' is not a status; say one of todo, in_progress, blocked, done, cancelled",
            "line 3: has 1 cell, the header has 2",
        ]

    @pytest.mark.parametrize("block_rows", [3, 100])
    def test_keeps_so_many_problems_and_counts_all(self, service, manager, monkeypatch, block_rows):
        monkeypatch.setattr("app.services.imports.blocks.MAX_KEPT_ERRORS", 5)
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        outcome = upload(service, manager, "task_name,status,priority", *["One,maybe,asap"] * 10)

        assert (outcome.refused_count, counts_of(outcome)["error_count"]) == (10, 20)
        assert [row for row, *_ in report(service, manager, outcome)] == [1, 1, 2, 2, 3]


class TestReportAsCsv:
    def test_each_row_comes_as_it_was_with_all_that_is_wrong_with_it(self, service, manager):
        outcome = upload(
            service, manager, "task_name;Colour;status;priority", '"One;1";red;maybe;asap', "Good;;;", '"T""wo";;never;'
        )

        header, one, two = csv.reader(io.StringIO(csv_report(service, manager, outcome).decode(), newline=""))
        assert header == ["task_name", "Colour", "status", "priority", "error"]
        assert (one[:-1], two[:-1]) == (["One;1", "red", "maybe", "asap"], ['T"wo', "", "never", ""])
        of_status, of_priority = one[-1].split("; line")
        assert of_status.startswith("line 2, column status: 'maybe' is not a status")
        assert of_priority.startswith(" 2, column priority: 'asap' is not a priority")
        assert two[-1].startswith("line 4, column status: 'never'")

    def test_it_is_written_in_pages_that_join(self, service, manager, monkeypatch):
        monkeypatch.setattr("app.services.imports.imports.REPORT_PAGE_ROWS", 2)

        outcome = upload(service, manager, "task_name,status", *(f"T{n},maybe" for n in range(5)))

        lines = csv_report(service, manager, outcome).decode().splitlines()
        assert [line.partition(",")[0] for line in lines] == ["task_name", "T0", "T1", "T2", "T3", "T4"]

    def test_once_mended_it_imports_what_was_missing(self, service, manager, session):
        header = "task_name,description,status,assignee,labels,created_at"
        outcome = upload(
            service,
            manager,
            header,
            'One,"=1+1, or\nmore",maybe,Grace,"a,b",2026-01-15',
            "Good,,,,,",
            "'=quoted,'',maybe,-ada,=x,",
        )
        mended = csv_report(service, manager, outcome).replace(b"maybe", b"done")

        again = service.import_csv(manager, io.BytesIO(mended), filename="mended.csv")

        assert (again.created_count, again.refused_count) == (2, 0)
        assert again.row.values["ignored_columns"] == []
        _good, one, quoted = tasks(session)
        assert (one.description, one.status, one.labels) == ("=1+1, or\nmore", TaskStatus.DONE, ["a", "b"])
        assert (quoted.title, quoted.description, quoted.labels) == ("=quoted", "''", ["=x"])

    @pytest.mark.parametrize(
        ("cells", "expected"),
        [
            ('"\tOne",,maybe', ("One", "", TaskPriority.MEDIUM)),
            ('"\n=One","\r\n+Said",maybe', ("=One", "+Said", TaskPriority.MEDIUM)),
            ('One,,maybe,"\thigh"', ("One", "", TaskPriority.HIGH)),
        ],
    )
    def test_space_in_front_of_a_cell_does_not_count_the_second_time_either(
        self, service, manager, session, cells, expected
    ):
        row = cells if cells.count(",") == 3 else cells + ","
        outcome = upload(service, manager, "task_name,description,status,priority", row)
        mended = csv_report(service, manager, outcome).replace(b"maybe", b"done")

        again = service.import_csv(manager, io.BytesIO(mended), filename="mended.csv")

        assert again.refused_count == 0
        (task,) = tasks(session)
        assert (task.title, task.description, task.priority) == expected

    def test_mended_wrongly_it_is_reported_on_again_with_one_column_of_errors(self, service, manager):
        first = upload(service, manager, "task_name,status", "One,maybe", "Two,")
        report_of_first = csv_report(service, manager, first)

        second = service.import_csv(manager, io.BytesIO(report_of_first), filename="again.csv")

        assert csv_report(service, manager, second) == report_of_first

    def test_rows_of_another_width_say_so(self, service, manager):
        outcome = upload(service, manager, "task_name,status,priority", "One", "Two,,,,")

        _header, short, long = csv_report(service, manager, outcome).decode().splitlines()
        assert short == 'One,,,"line 2: has 1 cell, the header has 3"'
        assert long == 'Two,,,,,"line 3: has 5 cells, the header has 3"'

    @pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@x", "\t=1", "'=1"])
    def test_no_spreadsheet_reckons_with_its_rows(self, service, manager, words):
        outcome = upload(service, manager, "task_name,status,Colour", f'"{words}",maybe,"{words}"')

        assert formulas_in(csv_report(service, manager, outcome)) == []

    @pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@x", "\t=1", "'=1"])
    def test_no_spreadsheet_reckons_with_its_header(self, service, manager, words):
        outcome = upload(service, manager, f'task_name,status,"{words}"', "One,maybe,red")

        assert formulas_in(csv_report(service, manager, outcome)) == []

    def test_of_a_good_file_is_a_header(self, service, manager):
        outcome = upload(service, manager, "task_name,Colour", "One,red")

        assert csv_report(service, manager, outcome) == b"task_name,Colour,error\r\n"

    def test_of_a_file_of_another_project_is_not_found(self, service, manager, acting_as, admin, factories):
        factories.Project(key="SECRET")
        outcome = upload(service, acting_as(admin), "task_name,status", "One,maybe", project="SECRET")

        with pytest.raises(NotFoundError):
            service.write_errors(manager, outcome.import_id)


class TestAccess:
    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_a_user_may_not(self, service, factories, acting_as, role, session):
        with pytest.raises(ForbiddenError):
            upload(service, acting_as(factories.User(role=role)), "task_name", "One")

        assert titles(session) == []

    def test_a_project_that_one_is_not_in_is_not_there(self, service, manager, factories, session):
        factories.Project(key="SECRET")

        with pytest.raises(InvalidError, match="there is no project SECRET"):
            upload(service, manager, "task_name", "One", project="SECRET")

        assert titles(session) == []

    def test_an_admin_imports_into_every_project(self, service, acting_as, admin, factories):
        factories.Project(key="SECRET")

        assert upload(service, acting_as(admin), "task_name", "One", project="SECRET").created_count == 1

    def test_imports_into_other_projects_are_not_found(self, service, manager, acting_as, admin, factories):
        factories.Project(key="SECRET")
        outcome = upload(service, acting_as(admin), "task_name,status", "One,maybe", project="SECRET")

        with pytest.raises(NotFoundError):
            service.get(manager, outcome.import_id)
        with pytest.raises(NotFoundError):
            service.list_errors(manager, outcome.import_id, cursor=None, limit=10)
        assert service.list_page(manager, cursor=None, limit=10).items == []

    def test_another_member_finds_it(self, service, manager, factories, acting_as):
        outcome = upload(service, manager, "task_name", "One")

        other = acting_as(factories.User(role=Role.MANAGER))
        assert service.get(other, outcome.import_id).values["id"] == outcome.import_id


class TestListPage:
    def test_newest_first_and_pages_join(self, service, manager):
        ids = [upload(service, manager, "task_name", f"T{n}").import_id for n in range(3)]

        first = service.list_page(manager, cursor=None, limit=2)
        second = service.list_page(manager, cursor=first.next_cursor, limit=2)

        listed = [item["id"] for page in (first, second) for item in page.items]
        assert listed == ids[::-1]
        assert second.next_cursor is None


# Of tasks that are there (see `existing`) and that are not, each more than once, and of people known and unknown.
MIXED_ROWS = (
    "task_name,description,status,priority,created_at,assignee,due_at,labels,external_ref",
    "Renamed,,todo,medium,,,,,A",
    "There,Said,done,high,2026-01-15,ada,,,",
    "New,,,,2026-01-15,Grace,,x,",
    "Of ref,,,,,,,,B",
    "Renamed,,todo,medium,,,,,A",
    "New,,done,,2026-01-15,GRACE,,x,",
    "Of ref,,done,,,,,,B",
    "There,Said,done,high,2026-01-15,ADA,,,",
    "New,,,,2026-01-16,grace,,x,",
    "Renamed again,,todo,medium,,,,,A",
    "New,,,,2026-01-15,Zoë,,x,",
    "New,,done,,2026-01-15,GRACE,,x,",
)
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


class InterruptedStream:
    """Between two of its pieces something else happens."""

    def __init__(self, before, interruption, after=b""):
        self._pieces = [before, interruption, *([after] if after else [])]

    def read(self, size):
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if callable(piece):
            piece()
            return self.read(size)
        return piece


class TickingClock:
    """Each look at it takes time."""

    def __init__(self, clock, *, seconds):
        self._clock = clock
        self._seconds = seconds

    def __call__(self):
        self._clock.advance(seconds=self._seconds)
        return self._clock()


def upload(service, actor, *lines, key=None, wait_seconds=None, **options):
    return service.import_csv(
        actor,
        stream_of(*lines),
        filename="tasks.csv",
        options=ImportOptions(**options),
        idempotency_key=key,
        wait_seconds=wait_seconds,
    )


def checked(services, actor, *lines, clock, **options):
    """The id of an import that is to be loaded whole and has been checked, and no more."""
    outcome = upload(services.imports, actor, *lines, mode=ImportMode.ALL_OR_NOTHING, wait_seconds=0, **options)
    while services.imports.get(actor, outcome.import_id).values["state"] == "checking":
        # Time that is over is over after one step.
        services.import_runs.work_on(services.import_runs.claim(outcome.import_id), until=clock())
    return outcome.import_id


def stream_of(*lines):
    return io.BytesIO("\n".join([*lines, ""]).encode())


def counts_of(outcome):
    body = outcome.row.values
    return {name: body[name] for name in COUNTS}


def report(service, actor, outcome, *, limit=200):
    found, cursor = [], None
    while True:
        page = service.list_errors(actor, outcome.import_id, cursor=cursor, limit=limit)
        found += [(item["row"], item["line"], item["column"], item["value"]) for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


def csv_report(service, actor, outcome):
    return b"".join(lines.text for lines in service.write_errors(actor, outcome.import_id))


def formulas_in(content):
    rows = csv.reader(io.StringIO(content.decode(), newline=""))
    return [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


def tasks(session):
    return session.scalars(select(Task).order_by(Task.number).execution_options(populate_existing=True)).all()


def task_now(session, task):
    session.refresh(task)
    return task


def as_json(session, task):
    """All that a task is."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in session.execute(select(Task.__table__).where(Task.id == task.id)).mappings().one().items()
    }


def titles(session):
    return [task.title for task in tasks(session)]


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def users_called(session, name):
    return session.scalar(select(func.count()).where(func.lower(User.username) == name))


def last_number(session):
    project = general_project(session)
    return session.scalar(select(Project.last_task_number).where(Project.id == project.id))


def number_of(ref):
    return int(ref.removeprefix("GEN-"))


@pytest.fixture
def service(services):
    return services.imports


@pytest.fixture
def manager(factories, acting_as):
    return acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def ops_manager(factories, acting_as):
    """Of a project that not everybody is in."""
    manager = factories.User(role=Role.MANAGER)
    factories.ProjectMember(project_id=factories.Project(key="OPS").id, user_id=manager.id)
    return acting_as(manager)


@pytest.fixture
def small_blocks(monkeypatch):
    """So that a file of a few rows has several."""
    monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 3)


@pytest.fixture
def existing(factories):
    """Tasks that MIXED_ROWS are about."""
    ada = factories.User(username="ada")
    factories.Task(title="Old", external_ref="A")
    factories.Task(title="There", description="Said", created_at=JANUARY, assignee_id=ada.id)


@pytest.fixture
def full_task(factories):
    """With nothing at its default; in an import it is A."""
    return factories.Task(
        title="One",
        description="Said",
        status="in_progress",
        priority="high",
        labels=["x", "y"],
        assignee_id=factories.User(username="ada").id,
        due_at=datetime(2026, 4, 1, tzinfo=UTC),
        external_ref="A",
        created_at=JANUARY,
        updated_at=JANUARY,
        started_at=JANUARY,
    )
