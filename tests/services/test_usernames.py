"""Ownership of usernames: names that look alike, and names that an import used before their owner came."""

import pytest
from sqlalchemy import select

from app.errors import InvalidError, UsernameTakenError
from app.models.people.user import Role, User
from app.models.projects.project import ProjectMember
from tests.factories import PASSWORD


class TestNamesThatLookAlike:
    @pytest.mark.parametrize(("first", "second"), [("user1", "userl"), ("agent0", "AgentO"), ("\u0430da", "ada")])
    def test_only_one_of_them_registers(self, services, factories, first, second):
        factories.User(username=first)

        with pytest.raises(UsernameTakenError, match="looks like"):
            register(services, second)

    def test_an_admin_can_create_only_one_of_them(self, services, factories, acting_as, admin):
        factories.User(username="user1")

        with pytest.raises(UsernameTakenError):
            create(services, acting_as(admin), "userl")

    def test_nobody_can_be_renamed_to_one(self, services, factories, acting_as, admin):
        factories.User(username="user1")
        other = factories.User(username="other")

        with pytest.raises(UsernameTakenError):
            services.people.change(acting_as(admin), other.id, {"username": "userl"})

    def test_an_older_user_with_such_a_name_keeps_it(self, services, session, acting_as, admin, factories):
        factories.User(username="user1")
        older = factories.User(username="older", username_skeleton=None)
        older.username_skeleton = None
        session.flush()

        services.people.change(acting_as(admin), older.id, {"role": Role.VIEWER})

        assert services.login.log_in(login="older", password=PASSWORD, address="192.0.2.1").user_id == older.id


class TestNamesThatAnImportTook:
    def test_an_admin_gives_the_name_and_its_tasks_to_their_owner(
        self, services, acting_as, admin, unclaimed, factories
    ):
        task = factories.Task(assignee_id=unclaimed.id)

        create(services, acting_as(admin), "Ada", email="ada@example.org", role=Role.MANAGER)

        ada = services.login.log_in(login="ada", password=PASSWORD, address="192.0.2.1")
        assert ada.user_id == unclaimed.id == task.assignee_id

    def test_the_owner_has_the_values_from_the_admin(self, services, acting_as, admin, unclaimed, session):
        create(services, acting_as(admin), "Ada", email="ada@example.org", role=Role.MANAGER)

        session.refresh(unclaimed)
        assert (unclaimed.username, unclaimed.email, unclaimed.role, unclaimed.is_active) == (
            *("Ada", "ada@example.org", Role.MANAGER),
            True,
        )

    def test_nobody_gets_it_by_registering(self, services, unclaimed, factories, session):
        project = factories.Project()
        factories.ProjectMember(project_id=project.id, user_id=unclaimed.id)

        with pytest.raises(UsernameTakenError):
            register(services, "ada")

        assert session.scalars(select(ProjectMember.user_id)).all() == [unclaimed.id]

    def test_a_user_who_could_log_in_once_is_not_taken_over(self, services, acting_as, admin, factories):
        factories.User(username="ada", is_active=False)

        with pytest.raises(UsernameTakenError):
            create(services, acting_as(admin), "ada")

    @pytest.fixture
    def unclaimed(self, factories) -> User:
        return factories.User(username="ada", email=None, password_hash=None, is_active=False)


class TestPasswords:
    @pytest.mark.parametrize("password", ["password", "Password1!", "new-member", "TaskTrackerPro1"])
    def test_a_guessable_password_is_refused(self, services, acting_as, admin, factories, password):
        user = factories.User()
        with pytest.raises(InvalidError, match="password"):
            services.login.register(
                username="new-member", email="n@example.org", password=password, address="192.0.2.1"
            )
        with pytest.raises(InvalidError, match="password"):
            create(services, acting_as(admin), "new-member", password=password)
        with pytest.raises(InvalidError, match="password"):
            services.people.change(acting_as(admin), user.id, {"username": "new-member", "password": password})


def register(services, username):
    services.login.register(username=username, email="somebody@example.org", password=PASSWORD, address="192.0.2.1")


def create(services, actor, username, *, email="created@example.org", password=PASSWORD, role=Role.USER):
    services.people.create(actor, username=username, email=email, password=password, role=role)
