import io
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import orjson
import pytest
from sqlalchemy import func, select, update

from app.composition import serving
from app.errors import ForbiddenError, InvalidError, NotFoundError, UnreadableCsvError
from app.models.project import Project
from app.models.task import Task, TaskPriority, TaskStatus
from app.models.task_import import ImportRow, TaskImport
from app.models.user import Role, User
from app.repositories.task_list import TaskQuery
from app.services.imports import CHUNK_ROWS
from tests.factories import general_project


class TestImportCsv:
    def test_good_rows_become_tasks_and_bad_ones_are_counted(self, service, manager, session):
        outcome = upload(service, manager, "task_name,status", "One,todo", "Two,maybe", "Three,done", ",todo")

        body = orjson.loads(outcome.body)
        assert (outcome.created_count, outcome.refused_count) == (2, 2)
        assert (body["read_count"], body["created_count"], body["refused_count"]) == (4, 2, 2)
        assert (body["state"], body["failure"], body["is_dry_run"]) == ("finished", None, False)
        assert titles(session) == ["One", "Three"]

    def test_every_column_arrives(self, service, manager, session, factories):
        ada = factories.User(username="ada")

        upload(
            service,
            manager,
            "task_name,description,status,priority,created_at,assigned_user,due_at,labels",
            'Paint,"Green,\nnot red",in progress,urgent,3/9/2026,Ada,2026-04-01T12:00:00Z,"shed, outside"',
        )

        task = session.scalars(select(Task)).one()
        assert (task.title, task.description) == ("Paint", "Green,\nnot red")
        assert (task.status, task.priority) == (TaskStatus.IN_PROGRESS, TaskPriority.CRITICAL)
        assert (task.created_at, task.due_at) == (
            datetime(2026, 3, 9, tzinfo=UTC),
            datetime(2026, 4, 1, 12, tzinfo=UTC),
        )
        assert (task.assignee_id, task.creator_id) == (ada.id, manager.user_id)
        assert task.labels == ["shed", "outside"]

    def test_times_follow_the_status(self, service, manager, session, clock):
        upload(service, manager, "task_name,status", "A,todo", "B,in_progress", "C,done", "D,cancelled")

        times = [(task.started_at, task.completed_at) for task in tasks(session)]
        assert times == [(None, None), (clock(), None), (None, clock()), (None, clock())]
        assert all(task.created_at == task.updated_at == clock() for task in tasks(session))

    def test_a_date_without_a_zone_is_the_workspaces(self, parts, settings, manager, session):
        parts.settings = replace(settings, time_zone=ZoneInfo("Europe/Berlin"))

        with serving(parts) as services:
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
        services.tasks.list_page(manager, TaskQuery())

        upload(service, manager, "task_name", "Brand new")

        page, was_cached = services.tasks.list_page(manager, TaskQuery())
        assert b"Brand new" in page.body
        assert not was_cached

    def test_nothing_is_left_in_staging(self, service, manager, session):
        upload(service, manager, "task_name", "One", "Two")

        assert session.scalar(select(func.count()).select_from(ImportRow)) == 0

    def test_only_a_header_makes_no_tasks(self, service, manager, session):
        outcome = upload(service, manager, "task_name,status")

        assert (outcome.created_count, outcome.refused_count) == (0, 0)
        assert titles(session) == []

    @pytest.mark.parametrize(
        ("filename", "kept"),
        [("tasks.csv", "tasks.csv"), ("a\x00b\n.csv", "ab.csv"), ("", "upload.csv"), ("x" * 300, "x" * 255)],
    )
    def test_the_file_is_known_by_a_name_that_can_be_shown(self, service, manager, filename, kept):
        outcome = service.import_csv(manager, stream_of("task_name", "One"), filename=filename)

        assert orjson.loads(outcome.body)["filename"] == kept

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


class TestNumbers:
    def test_they_continue_in_the_order_of_the_file(self, service, services, manager, session):
        before = orjson.loads(services.tasks.create(manager, {"title": "Before"}).body)["ref"]

        upload(service, manager, "task_name,status", "First,", "Refused,maybe", "Second,", "Third,")
        after = orjson.loads(services.tasks.create(manager, {"title": "After"}).body)["ref"]

        start = number_of(before)
        assert [(task.title, task.number) for task in tasks(session)] == [
            ("Before", start),
            ("First", start + 1),
            ("Second", start + 2),
            ("Third", start + 3),
            ("After", start + 4),
        ]
        assert number_of(after) == start + 4

    def test_over_more_rows_than_are_loaded_at_once(self, service, manager, session):
        count = CHUNK_ROWS + 7

        outcome = upload(service, manager, "task_name", *(f"Task {n}" for n in range(count)))

        rows = session.execute(select(Task.number, Task.title).order_by(Task.number)).all()
        first = rows[0].number
        assert outcome.created_count == count
        assert [tuple(row) for row in rows] == [(first + n, f"Task {n}") for n in range(count)]

    def test_a_project_has_its_own(self, service, ops_manager, session):
        session.execute(update(Project).where(Project.key == "OPS").values(last_task_number=41))

        upload(service, ops_manager, "task_name", "One", project_key="OPS")

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
        assert session.scalar(select(func.count()).where(func.lower(User.username) == "grace")) == 1

    def test_over_chunks_they_are_made_once(self, service, manager, session):
        upload(
            service,
            manager,
            "task_name,assigned_user",
            *(f"{n},{'Grace' if n % 2 else 'GRACE'}" for n in range(CHUNK_ROWS + 2)),
        )

        assert session.scalar(select(func.count()).where(func.lower(User.username) == "grace")) == 1
        assert session.scalar(select(func.count(Task.assignee_id.distinct()))) == 1

    def test_a_known_one_is_found_by_name_in_any_case(self, service, manager, session, factories):
        ada = factories.User(username="Ada")

        upload(service, manager, "task_name,assigned_user", "1,aDA")

        assert [task.assignee_id for task in tasks(session)] == [ada.id]

    def test_a_known_one_is_found_by_address_in_any_case_and_not_made_again(self, service, manager, session, factories):
        ada = factories.User(username="ada", email="Ada@Example.org")
        before = session.scalar(select(func.count()).select_from(User))

        upload(service, manager, "task_name,assigned_user", "1,ada@example.ORG")

        assert [task.assignee_id for task in tasks(session)] == [ada.id]
        assert session.scalar(select(func.count()).select_from(User)) == before

    @pytest.mark.parametrize("cell", ["eve", "EVE", "Eve@Example.org"])
    def test_a_known_one_who_is_not_in_the_project_is_refused(self, service, ops_manager, session, factories, cell):
        factories.User(username="eve", email="eve@example.org")

        lines = ["task_name,assigned_user,status", "1,,", f'"2",{cell},', "3,x,maybe", ""]
        outcome = upload(service, ops_manager, *lines, project_key="OPS")

        assert (outcome.created_count, outcome.refused_count) == (1, 2)
        assert report(service, ops_manager, outcome) == [(2, 3, "assigned_user", cell), (3, 4, "status", "maybe")]
        assert titles(session) == ["1"]

    def test_an_admin_need_not_be_in_the_project(self, service, ops_manager, admin, session):
        outcome = upload(service, ops_manager, "task_name,assigned_user", f"1,{admin.username}", project_key="OPS")

        assert outcome.created_count == 1
        assert [task.assignee_id for task in tasks(session)] == [admin.id]

    def test_an_unknown_one_is_in_the_project_from_then_on(self, service, services, ops_manager, session):
        for number in range(2):
            upload(service, ops_manager, "task_name,assigned_user", f"{number},Grace", project_key="OPS")

        members = orjson.loads(services.projects.list_members(ops_manager, "OPS", cursor=None, limit=10).body)["items"]
        assert [member["username"] for member in members].count("Grace") == 1
        assert len(tasks(session)) == 2

    def test_a_refused_row_makes_nobody(self, service, manager, session):
        upload(service, manager, "task_name,status,assigned_user", "1,maybe,Grace")

        assert session.scalar(select(func.count()).where(User.username == "Grace")) == 0

    def test_without_one_it_is_nobodys(self, service, manager, session):
        upload(service, manager, "task_name,assigned_user", "1,", "2,   ")

        assert [task.assignee_id for task in tasks(session)] == [None, None]


class TestDryRun:
    def test_writes_no_task_no_user_and_takes_no_number(self, service, manager, session):
        before = last_number(session)

        outcome = upload(
            service, manager, "task_name,assigned_user,status", "One,Grace,", "Two,,maybe", is_dry_run=True
        )

        assert (outcome.created_count, outcome.refused_count) == (0, 1)
        assert titles(session) == []
        assert session.scalar(select(func.count()).where(User.username == "Grace")) == 0
        assert last_number(session) == before
        assert session.scalar(select(func.count()).select_from(ImportRow)) == 0

    def test_reports_what_an_import_would(self, service, manager):
        lines = ["task_name,status", "One,maybe", "Two", ",", "Three,todo"]

        dry = upload(service, manager, *lines, is_dry_run=True)
        real = upload(service, manager, *lines)

        assert report(service, manager, dry) == report(service, manager, real)
        assert orjson.loads(dry.body)["is_dry_run"]
        assert orjson.loads(dry.body)["read_count"] == orjson.loads(real.body)["read_count"] == 3


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
        for table in (TaskImport, ImportRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0
        assert session.scalar(select(func.count()).where(User.username == "Grace")) == 0

    def test_the_next_file_is_read_as_if_nothing_had_been(self, service, manager, session):
        with pytest.raises(UnreadableCsvError):
            upload(service, manager, "task_name", "One", '"Open')

        assert upload(service, manager, "task_name", "Two").created_count == 1
        assert titles(session) == ["Two"]

    @pytest.mark.parametrize(
        "content", [b"", b"\x89PNG\r\n\x1a\n\x00\x00", b"status\ntodo\n", b"title,colour\nx,red\n"]
    )
    def test_found_out_at_once_it_leaves_nothing_either(self, service, manager, session, content):
        with pytest.raises(UnreadableCsvError):
            service.import_csv(manager, io.BytesIO(content), filename="tasks.csv")

        assert session.scalar(select(func.count()).select_from(TaskImport)) == 0


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

    def test_pages_join_without_a_gap_or_a_double(self, service, manager):
        outcome = upload(service, manager, "task_name,status,priority", *(f"T{n},maybe,asap" for n in range(5)))

        whole = report(service, manager, outcome)
        by_threes = report(service, manager, outcome, limit=3)

        assert len(whole) == 10
        assert by_threes == whole

    def test_a_good_file_has_an_empty_one(self, service, manager):
        assert report(service, manager, upload(service, manager, "task_name", "One")) == []

    def test_names_what_can_be_shown(self, service, manager):
        lines = ["task_name,description", *(f"T{n}," + "x" * 400 for n in range(400)), "T,a\x00b", "T," + "y" * 20_001]

        outcome = upload(service, manager, *lines)

        body = service.list_errors(manager, outcome.import_id, cursor=None, limit=10).body
        values = [item["value"] for item in orjson.loads(body)["items"]]
        assert values == ["a\N{REPLACEMENT CHARACTER}b", "y" * 200]


class TestAccess:
    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_a_user_may_not(self, service, factories, acting_as, role, session):
        with pytest.raises(ForbiddenError):
            upload(service, acting_as(factories.User(role=role)), "task_name", "One")

        assert titles(session) == []

    def test_a_project_that_one_is_not_in_is_not_there(self, service, manager, factories, session):
        factories.Project(key="SECRET")

        with pytest.raises(InvalidError, match="there is no project SECRET"):
            upload(service, manager, "task_name", "One", project_key="SECRET")

        assert titles(session) == []

    def test_an_admin_imports_into_every_project(self, service, acting_as, admin, factories):
        factories.Project(key="SECRET")

        assert upload(service, acting_as(admin), "task_name", "One", project_key="SECRET").created_count == 1

    def test_imports_into_other_projects_are_not_found(self, service, manager, acting_as, admin, factories):
        factories.Project(key="SECRET")
        outcome = upload(service, acting_as(admin), "task_name,status", "One,maybe", project_key="SECRET")

        with pytest.raises(NotFoundError):
            service.get(manager, outcome.import_id)
        with pytest.raises(NotFoundError):
            service.list_errors(manager, outcome.import_id, cursor=None, limit=10)
        assert orjson.loads(service.list_page(manager, cursor=None, limit=10).body)["items"] == []

    def test_another_member_finds_it(self, service, manager, factories, acting_as):
        outcome = upload(service, manager, "task_name", "One")

        other = acting_as(factories.User(role=Role.MANAGER))
        assert orjson.loads(service.get(other, outcome.import_id))["id"] == outcome.import_id


class TestListPage:
    def test_newest_first_and_pages_join(self, service, manager):
        ids = [upload(service, manager, "task_name", f"T{n}").import_id for n in range(3)]

        first = service.list_page(manager, cursor=None, limit=2)
        second = service.list_page(manager, cursor=first.next_cursor, limit=2)

        listed = [item["id"] for page in (first, second) for item in orjson.loads(page.body)["items"]]
        assert listed == ids[::-1]
        assert second.next_cursor is None


def upload(service, actor, *lines, **options):
    return service.import_csv(actor, stream_of(*lines), filename="tasks.csv", **options)


def stream_of(*lines):
    return io.BytesIO("\n".join([*lines, ""]).encode())


def report(service, actor, outcome, *, limit=200):
    found, cursor = [], None
    while True:
        page = service.list_errors(actor, outcome.import_id, cursor=cursor, limit=limit)
        found += [
            (item["row"], item["line"], item["column"], item["value"]) for item in orjson.loads(page.body)["items"]
        ]
        cursor = page.next_cursor
        if cursor is None:
            return found


def tasks(session):
    return session.scalars(select(Task).order_by(Task.number)).all()


def titles(session):
    return [task.title for task in tasks(session)]


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
