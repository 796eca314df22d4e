from dataclasses import replace

import pytest
from sqlalchemy import func, select

from app.errors import ForbiddenError, InsufficientScopeError, InvalidError, NotFoundError
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion


class TestReassign:
    def test_an_admin_moves_all_tasks_but_deleted_ones(self, service, boss, ina, ada, factories, session, ops):
        factories.ProjectMember(project_id=ops.id, user_id=ada.id)
        tasks = [
            factories.Task(assignee_id=ina.id),
            factories.Task(assignee_id=ina.id, project_id=ops.id),
            factories.Task(assignee_id=ina.id, status=TaskStatus.DONE),
            factories.Task(assignee_id=ina.id, deleted_at=func.now()),
            factories.Task(),
        ]

        assert service.reassign(boss, ina.id, to="ADA") == 3

        assert assignees(session, *tasks) == [ada.id, ada.id, ada.id, ina.id, None]
        assert [session.get_one(Task, task.id).version for task in tasks] == [2, 2, 2, 1, 1]

    def test_an_email_address_names_the_new_assignee_too(self, service, boss, ina, ada, factories, session):
        task = factories.Task(assignee_id=ina.id)

        assert service.reassign(boss, ina.id, to=ada.email.upper()) == 1

        assert assignees(session, task) == [ada.id]

    def test_the_history_is_signed(self, service, boss, ina, ada, factories, session, clock):
        task = factories.Task(assignee_id=ina.id)
        clock.advance(hours=1)

        service.reassign(boss, ina.id, to="ada")

        before, after = session.scalars(
            select(TaskVersion).where(TaskVersion.task_id == task.id).order_by(TaskVersion.revision)
        ).all()
        assert (before.assignee_id, after.assignee_id, after.actor_id) == (ina.id, ada.id, boss.user_id)

    def test_tasks_that_have_ended_may_stay(self, service, boss, ina, ada, factories, session):
        tasks = [factories.Task(assignee_id=ina.id, status=status) for status in TaskStatus]

        assert service.reassign(boss, ina.id, to="ada", only_active=True) == 3

        assert assignees(session, *tasks) == [ada.id, ada.id, ada.id, ina.id, ina.id]

    def test_one_project_may_be_named(self, service, boss, ina, ada, factories, session, ops):
        factories.ProjectMember(project_id=ops.id, user_id=ada.id)
        general, in_ops = factories.Task(assignee_id=ina.id), factories.Task(assignee_id=ina.id, project_id=ops.id)

        assert service.reassign(boss, ina.id, to="ada", project="OPS") == 1

        assert assignees(session, general, in_ops) == [ina.id, ada.id]

    def test_a_manager_moves_only_tasks_of_their_own_projects(
        self, service, manager, ina, ada, factories, session, ops
    ):
        general, in_ops = factories.Task(assignee_id=ina.id), factories.Task(assignee_id=ina.id, project_id=ops.id)

        assert service.reassign(manager, ina.id, to="ada") == 1

        assert assignees(session, general, in_ops) == [ada.id, ina.id]

    def test_a_manager_cannot_name_the_project_of_others(self, service, manager, ina, ada, ops):
        with pytest.raises(InvalidError, match="there is no project OPS"):
            service.reassign(manager, ina.id, to="ada", project="OPS")

    def test_an_admin_may_be_assigned_in_every_project(self, service, boss, admin, ina, factories, ops):
        factories.Task(assignee_id=ina.id, project_id=ops.id)

        assert service.reassign(boss, ina.id, to=admin.username) == 1

    def test_nothing_moves_if_the_new_assignee_is_missing_in_one_project(
        self, service, boss, ina, ada, factories, session, ops
    ):
        tasks = [factories.Task(assignee_id=ina.id), factories.Task(assignee_id=ina.id, project_id=ops.id)]

        with pytest.raises(InvalidError, match="to: ada is not in OPS"):
            service.reassign(boss, ina.id, to="ada")

        assert assignees(session, *tasks) == [ina.id, ina.id]

    def test_a_user_without_tasks_is_answered_with_zero(self, service, boss, ina, ada):
        assert service.reassign(boss, ina.id, to="ada") == 0

    def test_cached_lists_show_it_at_once(self, service, services, boss, ina, ada, factories, client, admin):
        factories.Task(assignee_id=ina.id)
        path = f"/api/v1/users/{ada.id}/tasks"
        assert client.acting_as(admin).get(path).json["items"] == []

        service.reassign(boss, ina.id, to="ada")

        assert len(client.acting_as(admin).get(path).json["items"]) == 1

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_other_roles_may_not(self, service, factories, acting_as, ina, ada, role):
        with pytest.raises(ForbiddenError):
            service.reassign(acting_as(factories.User(role=role)), ina.id, to="ada")

    def test_an_api_token_needs_the_scope_that_writes_tasks(self, service, boss, ina, ada):
        with pytest.raises(InsufficientScopeError, match="tasks:write"):
            service.reassign(replace(boss, scopes=frozenset({TokenScope.USERS_ADMIN})), ina.id, to="ada")

    def test_an_inactive_an_unknown_and_the_same_user_are_refused(self, service, boss, ina, factories):
        factories.User(username="gone", is_active=False)

        for to in ("gone", "nobody", "ina"):
            with pytest.raises(InvalidError, match="to: "):
                service.reassign(boss, ina.id, to=to)

    def test_an_unknown_owner_is_not_found(self, service, boss, ada):
        with pytest.raises(NotFoundError):
            service.reassign(boss, 999_999_999, to="ada")


def assignees(session, *tasks):
    return [session.get_one(Task, task.id, populate_existing=True).assignee_id for task in tasks]


@pytest.fixture
def ina(factories):
    return factories.User(username="ina")
