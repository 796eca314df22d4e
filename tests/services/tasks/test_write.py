from dataclasses import replace

import pytest

from app.errors import ForbiddenError, InvalidError, NotFoundError, PreconditionFailedError
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from app.queries.tasks import TaskQuery


class TestCreate:
    def test_numbers_are_consecutive_within_a_project(self, service, user):
        first = service.create(user, {"title": "One"})
        second = service.create(user, {"title": "Two"})

        refs = [ref_of(first), ref_of(second)]
        assert int(refs[1].removeprefix("GEN-")) == int(refs[0].removeprefix("GEN-")) + 1

    def test_a_viewer_may_not(self, service, factories, acting_as):
        viewer = acting_as(factories.User(role=Role.VIEWER))

        with pytest.raises(ForbiddenError):
            service.create(viewer, {"title": "One"})

    def test_another_project_counts_as_unknown(self, service, user, factories):
        factories.Project(key="SECRET")

        with pytest.raises(InvalidError, match="there is no project SECRET"):
            service.create(user, {"title": "One", "project": "SECRET"})

    def test_an_assignee_must_be_in_the_project(self, service, factories, acting_as):
        project = factories.Project(key="OPS")
        member = factories.User()
        factories.ProjectMember(project_id=project.id, user_id=member.id)
        stranger = factories.User()

        with pytest.raises(InvalidError, match="in OPS"):
            service.create(acting_as(member), {"title": "One", "project": "OPS", "assignee": stranger.username})


class TestChange:
    def test_an_absent_field_is_not_none(self, service, user, factories, session):
        assignee = factories.User()
        task = factories.Task(assignee_id=assignee.id, description="kept")

        service.change(user, task.id, {"title": "New"})

        session.refresh(task)
        assert (task.title, task.description, task.assignee_id) == ("New", "kept", assignee.id)

    def test_a_change_that_changes_nothing_makes_no_version(self, service, user, factories):
        task = factories.Task(title="Same")

        view = service.change(user, task.id, {"title": "Same"})

        assert view.version == 1

    def test_a_stale_precondition_is_refused_and_changes_nothing(self, service, user, factories, session):
        task = factories.Task(title="Old")

        with pytest.raises(PreconditionFailedError):
            service.change(user, task.id, {"title": "New"}, may_overwrite=lambda _id, version: version == 7)

        session.refresh(task)
        assert task.title == "Old"

    def test_a_task_of_another_project_is_not_found(self, service, user, factories):
        task = factories.Task(project_id=factories.Project().id)

        with pytest.raises(NotFoundError):
            service.change(user, task.id, {"title": "New"})

    def test_the_lock_reads_the_current_values_again(self, services, user, factories, session):
        """Without populate_existing the lock returns the old values: a lost update that nobody notices."""
        task = factories.Task(title="First")
        services.tasks.change(user, task.id, {"description": "now it is in the session"})
        session.refresh(task)
        task.title = "Second"
        session.flush()

        services.tasks.change(user, task.id, {"description": "changed again"})

        session.refresh(task)
        assert task.title == "Second"

    def test_a_move_to_another_project_gives_a_new_ref(self, service, factories, acting_as):
        project = factories.Project(key="OPS", last_task_number=41)
        task = factories.Task()

        view = service.change(acting_as(factories.User(role=Role.ADMIN)), task.id, {"project": "OPS"})

        assert ref_of(view) == "OPS-42"
        assert project.key == "OPS"

    def test_a_task_can_be_written_back_as_it_was_read(self, service, user, factories, views):
        """An import may assign people without an account; writing back what one has read changes nothing."""
        unclaimed = factories.User(is_active=False, password_hash=None)
        task = factories.Task(assignee_id=unclaimed.id)
        read = fields_of(views.get(user, task.id))

        view = service.change(user, task.id, {"assignee": read["assignee"], "project": read["project"]})

        assert view.version == 1

    def test_an_admin_may_be_assigned_in_any_project_and_stays_assigned(self, service, factories, acting_as, admin):
        project = factories.Project(key="OPS")
        task = factories.Task(project_id=project.id)

        service.change(acting_as(admin), task.id, {"assignee": admin.username})

        assert fields_of(service.change(acting_as(admin), task.id, {"project": "OPS"}))["assignee"] == admin.username


class TestDelete:
    def test_a_user_may_not(self, service, user, factories):
        task = factories.Task()

        with pytest.raises(ForbiddenError):
            service.delete(user, task.id)

    def test_a_deleted_task_is_gone_from_the_list_and_can_be_restored(self, service, factories, manager, views):
        task = factories.Task()

        service.delete(manager, task.id)
        page, _ = views.list_page(manager, TaskQuery())
        assert str(task.id).encode() not in page.rows

        service.restore(manager, task.id)
        page, _ = views.list_page(manager, TaskQuery())
        assert task.title.encode() in page.rows


class TestListPage:
    def test_the_second_request_is_answered_from_the_cache(self, service, user, factories, views):
        factories.Task()

        _, was_cached_at_first = views.list_page(user, TaskQuery())
        _, was_cached_then = views.list_page(user, TaskQuery())

        assert (was_cached_at_first, was_cached_then) == (False, True)

    def test_a_change_is_seen_at_once(self, service, user, factories, views):
        task = factories.Task(title="Old")
        views.list_page(user, TaskQuery())

        service.change(user, task.id, {"title": "New"})

        page, was_cached = views.list_page(user, TaskQuery())
        assert b"New" in page.rows
        assert not was_cached

    def test_another_scope_does_not_share_a_page(self, service, factories, acting_as, user, views):
        project = factories.Project()
        member = factories.User()
        factories.ProjectMember(project_id=project.id, user_id=member.id)
        factories.Task(project_id=project.id, title="For members")

        of_member, _ = views.list_page(acting_as(member), TaskQuery())
        of_stranger, _ = views.list_page(user, TaskQuery())

        assert b"For members" in of_member.rows
        assert b"For members" not in of_stranger.rows

    @pytest.mark.parametrize("sort", ["id", "-id", "due_at", "-due_at", "priority", "-title", "updated_at", "position"])
    def test_pages_join_without_gaps_or_duplicates(self, service, user, factories, sort, views):
        expected = sorted(factories.Task(title=f"T{n % 3}").id for n in range(7))

        seen: list[int] = []
        query = TaskQuery(sort=(sort,), limit=2)
        while True:
            page, _ = views.list_page(user, query)
            seen += ids_of(page)
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)

        assert sorted(seen) == expected


class TestStatus:
    def test_times_follow_the_status(self, clock):
        task = Task(status=TaskStatus.TODO)

        task.change_status(TaskStatus.IN_PROGRESS, at=clock())
        assert task.started_at == clock()
        task.change_status(TaskStatus.DONE, at=clock())
        assert task.completed_at == clock()
        task.change_status(TaskStatus.TODO, at=clock())
        assert task.completed_at is None


def ref_of(view):
    return fields_of(view)["ref"]


def fields_of(view):
    return view.values


def ids_of(page):
    return [item["id"] for item in page.items]


@pytest.fixture
def service(services):
    return services.tasks


@pytest.fixture
def user(factories, acting_as):
    return acting_as(factories.User())


@pytest.fixture
def views(services):
    return services.task_views
