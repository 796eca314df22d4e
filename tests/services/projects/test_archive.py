"""An archived project is read-only, whoever writes, and lists of the present leave it out."""

import csv

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError, ForbiddenError, NotFoundError, ProjectArchivedError
from app.models.people.user import Role
from app.models.projects.project import ProjectArchival
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from app.queries.pages import Shape
from app.queries.tasks import TaskQuery
from tests.services.imports.uploading import upload


class TestArchive:
    def test_archives_once(self, service, boss, ops, clock):
        first = service.archive(boss, "OPS").values
        clock.advance(hours=1)

        assert first["archived_at"] is not None
        assert service.archive(boss, "OPS").values == first
        assert first["version"] == 2

    def test_can_be_undone(self, service, boss, ops):
        service.archive(boss, "OPS")

        assert service.restore(boss, "OPS").values["archived_at"] is None
        assert service.restore(boss, "OPS").values["version"] == 3

    def test_every_period_is_kept(self, service, boss, ops, clock, session):
        times = []
        for _ in range(2):
            for act in (service.archive, service.restore):
                clock.advance(hours=1)
                act(boss, "OPS")
                times.append(clock())

        rows = session.execute(
            select(ProjectArchival.archived_at, ProjectArchival.restored_at).order_by(ProjectArchival.archived_at)
        ).all()
        assert [time for row in rows for time in row] == times

    def test_periods_do_not_overlap_even_if_the_clock_is_set_back(self, service, boss, ops, clock, session):
        service.archive(boss, "OPS")
        clock.advance(hours=-1)
        service.restore(boss, "OPS")
        service.archive(boss, "OPS")

        first, second = session.scalars(select(ProjectArchival).order_by(ProjectArchival.archived_at)).all()
        assert first.archived_at < first.restored_at <= second.archived_at

    def test_a_manager_of_the_project_may(self, service, member):
        assert service.archive(member("mia", Role.MANAGER), "OPS").values["archived_at"]

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_other_members_may_not(self, service, member, role):
        with pytest.raises(ForbiddenError):
            service.archive(member("uwe", role), "OPS")

    def test_a_stranger_does_not_learn_of_the_project(self, service, manager, ops):
        for act in (service.archive, service.restore):
            with pytest.raises(NotFoundError):
                act(manager, "OPS")

    def test_not_the_project_that_everybody_is_in(self, service, boss):
        with pytest.raises(ConflictError):
            service.archive(boss, "GEN")

    def test_not_even_by_sql(self, session):
        with pytest.raises(IntegrityError, match="ck_projects_default_is_open"), session.begin_nested():
            session.execute(text("UPDATE projects SET archived_at = now() WHERE key = 'GEN'"))


class TestReadOnly:
    @pytest.mark.parametrize(
        "write",
        [
            lambda tasks, actor, _task: tasks.create(actor, {"title": "Two", "project": "OPS"}),
            lambda tasks, actor, task: tasks.change(actor, task.id, {"title": "Two"}),
            lambda tasks, actor, task: tasks.change(actor, task.id, {"position": 7.0}),
            lambda tasks, actor, task: tasks.change(actor, task.id, {"project": "GEN"}),
            lambda tasks, actor, task: tasks.delete(actor, task.id),
        ],
        ids=["create", "change", "move on the board", "move away", "delete"],
    )
    def test_a_task_cannot_be_written(self, services, boss, archived_task, session, write):
        with pytest.raises(ProjectArchivedError, match="the project OPS is archived"):
            write(services.tasks, boss, archived_task)

        assert session.scalars(select(Task.title)).all() == ["One"]

    def test_a_deleted_task_cannot_be_restored(self, services, service, boss, factories, ops):
        task = factories.Task(project_id=ops.id)
        services.tasks.delete(boss, task.id)
        service.archive(boss, "OPS")

        with pytest.raises(ProjectArchivedError):
            services.tasks.restore(boss, task.id)

    def test_a_task_cannot_be_moved_in(self, services, boss, archived_task, factories):
        with pytest.raises(ProjectArchivedError):
            services.tasks.change(boss, factories.Task().id, {"project": "OPS"})

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE tasks SET title = 'Two'",
            "UPDATE tasks SET project_id = 1, number = 99",
            """INSERT INTO tasks (project_id, number, position, title, status, priority, creator_id)
               SELECT project_id, 99, 1, 'Two', 'todo', 'low', creator_id FROM tasks""",
        ],
    )
    def test_sql_cannot_write_it_either(self, session, archived_task, statement):
        with pytest.raises(IntegrityError, match="the project OPS is archived"), session.begin_nested():
            session.execute(text(statement))

    def test_a_statement_on_other_projects_is_not_in_the_way(self, services, boss, archived_task, factories):
        assert services.tasks.change(boss, factories.Task().id, {"title": "Two"}).title == "Two"

    def test_members_and_details_stay(self, service, boss, archived_task, factories):
        factories.User(username="ada")
        for write in (
            lambda: service.add_member(boss, "OPS", username="ada"),
            lambda: service.remove_member(boss, "OPS", username="ada"),
            lambda: service.add_members(boss, "OPS", names=["ada"]),
            lambda: service.change(boss, "OPS", name="Other"),
        ):
            with pytest.raises(ProjectArchivedError):
                write()

    def test_imports_and_their_words_are_refused(self, services, boss, archived_task):
        with pytest.raises(ProjectArchivedError):
            upload(services.imports, boss, "task_name", "Two", project="OPS")
        with pytest.raises(ProjectArchivedError):
            services.import_mappings.replace(boss, "OPS", {"status_map": {"odd": "todo"}})

    def test_a_task_can_be_written_again_once_the_project_is_restored(self, services, service, boss, archived_task):
        service.restore(boss, "OPS")

        assert services.tasks.change(boss, archived_task.id, {"title": "Two"}).title == "Two"

    def test_a_merge_reaches_its_tasks(self, services, service, boss, factories, ops, session):
        grace = factories.User(username="grace", password_hash=None, is_active=False)
        ada = factories.User(username="ada")
        task = factories.Task(project_id=ops.id, assignee_id=grace.id)
        service.archive(boss, "OPS")

        assert services.handover.merge(boss, grace.id, into="ada") == 1
        session.refresh(task)
        assert task.assignee_id == ada.id

    def test_a_merge_lets_nobody_else_write(self, session, services, service, boss, factories, archived_task):
        grace = factories.User(username="grace", password_hash=None, is_active=False)
        factories.User(username="ada")
        services.handover.merge(boss, grace.id, into="ada")

        with pytest.raises(ProjectArchivedError):
            services.tasks.change(boss, archived_task.id, {"title": "Two"})

    def test_a_reassignment_leaves_its_tasks(self, services, boss, factories, archived_task, session):
        ada = factories.User(username="ada")
        other = factories.Task(assignee_id=archived_task.assignee_id)

        assert services.handover.reassign(boss, archived_task.assignee_id, to="ada") == 1
        session.refresh(other)
        assert other.assignee_id == ada.id

    def test_a_reassignment_of_its_tasks_alone_is_refused(self, services, boss, factories, archived_task, ops):
        ada = factories.User(username="ada")
        factories.ProjectMember(project_id=ops.id, user_id=ada.id)

        with pytest.raises(ProjectArchivedError):
            services.handover.reassign(boss, archived_task.assignee_id, to="ada", project="OPS")


class TestLists:
    @pytest.fixture(params=["admin", "member"])
    def reader(self, request, archived_task, factories, acting_as, ops):
        user = factories.User(role=Role.ADMIN if request.param == "admin" else Role.USER)
        factories.ProjectMember(project_id=ops.id, user_id=user.id)
        factories.Task(title="Other")
        return acting_as(user)

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, ["Other"]),
            ({"archived": False}, ["Other"]),
            ({"archived": True}, ["One"]),
            ({"projects": ("OPS",)}, ["One"]),
            ({"projects": ("OPS", "GEN")}, ["One", "Other"]),
            ({"projects": ("OPS", "GEN"), "archived": False}, ["Other"]),
            ({"projects": ("GEN",), "archived": True}, []),
            ({"refs": ("OPS-1",)}, ["One"]),
            ({"statuses": (TaskStatus.TODO,)}, ["Other"]),
        ],
    )
    def test_show_archived_tasks_only_if_they_are_asked_for(self, services, reader, filters, expected):
        assert titles(services, reader, **filters) == expected
        assert sorted(exported(services, reader, **filters)) == expected

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({"parent": "OPS-1"}, ["Below"]),
            ({"parent": "id"}, ["Below"]),
            ({"parent": "OPS-1", "archived": False}, []),
            ({"parent": "none"}, ["Other"]),
        ],
    )
    def test_a_parent_asks_for_the_tasks_below_it(
        self, services, service, boss, factories, acting_as, ops, filters, expected
    ):
        parent = factories.Task(title="One", project_id=ops.id)
        factories.Task(title="Below", project_id=ops.id, parent_id=parent.id)
        factories.Task(title="Other")
        service.archive(boss, "OPS")
        reader = acting_as(factories.User(role=Role.ADMIN))
        named = filters | ({"parent": parent.id} if filters["parent"] == "id" else {})

        assert titles(services, reader, **named) == expected
        assert exported(services, reader, **named) == expected
        columns, _was_cached = services.board.open(reader, TaskQuery(**named))
        assert [item["title"] for column in columns for item in column.page.items] == expected

    def test_of_active_tasks_leave_them_out(self, services, reader):
        (page,) = services.task_views.list_active(reader, Shape.of(title="title"))

        assert len(page) == 1

    def test_a_single_task_is_shown(self, services, reader, archived_task):
        assert services.task_views.get(reader, archived_task.id).title == "One"

    def test_of_archived_projects_where_none_is_archived(self, services, boss, factories):
        factories.Task()

        assert titles(services, boss, archived=True) == []

    def test_of_projects_show_one_kind(self, service, boss, archived_task):
        def keys(**query):
            return [row["key"] for row in service.list_page(boss, cursor=None, limit=50, **query).items]

        assert (keys(), keys(archived=True)) == (["GEN"], ["OPS"])


class TestPast:
    def test_a_list_of_the_past_shows_what_was_not_archived_then(self, services, service, boss, factories, ops, clock):
        services.tasks.create(boss, {"title": "One", "project": "OPS"})
        instants = [clock()]
        for act in (service.archive, service.restore, service.archive):
            clock.advance(hours=1)
            act(boss, "OPS")
            instants.append(clock())

        assert [titles(services, boss, as_of=instant) for instant in instants] == [["One"], [], ["One"], []]
        assert [titles(services, boss, as_of=instant, archived=True) for instant in instants] == [
            [],
            ["One"],
            [],
            ["One"],
        ]
        assert all(titles(services, boss, as_of=instant, projects=("OPS",)) == ["One"] for instant in instants)

    def test_the_tasks_below_a_task_are_listed_as_of_a_time_when_it_was_archived(
        self, services, service, boss, factories, ops, clock
    ):
        services.tasks.create(boss, {"title": "One", "project": "OPS"})
        services.tasks.create(boss, {"title": "Below", "project": "OPS", "parent": "OPS-1"})
        service.archive(boss, "OPS")
        instant = clock()
        clock.advance(hours=1)
        service.restore(boss, "OPS")

        assert titles(services, boss, as_of=instant, parent="OPS-1") == ["Below"]

    def test_the_history_of_a_task_gets_no_version(self, services, service, boss, archived_task):
        service.restore(boss, "OPS")

        assert len(services.task_history.list_page(boss, archived_task.id, cursor=None, limit=9).items) == 1


class TestImportUnderWay:
    def test_fails_with_the_reason(self, services, service, boss, ops, session):
        import_id = upload(services.imports, boss, "task_name", "One", project="OPS", wait_seconds=0).import_id
        service.archive(boss, "OPS")

        services.import_runs.run_waiting()

        report = services.imports.get(boss, import_id).values
        assert (report["state"], report["failure"]) == ("failed", "the project is archived")


def titles(services, actor, **filters):
    page, _was_cached = services.task_views.list_page(actor, TaskQuery(sort=("title",), **filters))
    return [item["title"] for item in page.items]


def exported(services, actor, **filters):
    pieces = services.task_export.write(actor, TaskQuery(**filters))
    header, *rows = csv.reader(b"".join(piece.content for piece in pieces).decode().splitlines())
    return [row[header.index("title")] for row in rows]


@pytest.fixture
def service(services):
    return services.projects


@pytest.fixture
def archived_task(services, boss, factories, ops):
    task = factories.Task(title="One", project_id=ops.id, assignee_id=factories.User().id)
    services.projects.archive(boss, "OPS")
    return task
