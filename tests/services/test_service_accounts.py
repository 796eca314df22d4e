"""Service accounts: users who act by API tokens alone, and to whom nobody can log in."""

import pytest
from sqlalchemy import event, select

from app.auth.permissions import Permission, ensure_may
from app.errors import (
    CannotLogInError,
    ForbiddenError,
    InsufficientScopeError,
    InvalidError,
    LastAdminError,
    UsernameTakenError,
    WrongCredentialsError,
)
from app.models.people.user import Role, User
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from tests.factories import PASSWORD

HOME = "192.0.2.1"


class TestCreate:
    def test_the_account_is_active_and_has_neither_password_nor_address(self, service, boss, session):
        row = service.create_service_account(boss, username="robot", role=Role.MANAGER, time_zone="Europe/Berlin")

        robot = session.get_one(User, row.values["id"])
        assert (robot.is_service, robot.is_active, robot.role) == (True, True, Role.MANAGER)
        assert (robot.password_hash, robot.email, robot.time_zone) == (None, None, "Europe/Berlin")
        assert row.values["is_service"] is True

    @pytest.mark.parametrize("name", ["robot", "ROBOT", "r0bot"])
    def test_a_name_that_is_taken_or_looks_like_it_is_refused(self, service, boss, factories, name):
        factories.User(username="robot")

        with pytest.raises(UsernameTakenError):
            service.create_service_account(boss, username=name, role=Role.USER)

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_nobody_else_may(self, service, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            service.create_service_account(acting_as(factories.User(role=role)), username="robot", role=Role.USER)

    def test_its_name_cannot_be_claimed_by_a_user(self, service, boss, robot):
        with pytest.raises(UsernameTakenError):
            service.create(boss, username="robot", email="robot@example.org", password=PASSWORD, role=Role.USER)


class TestLogIn:
    @pytest.mark.parametrize("password", [PASSWORD, "robot"])
    def test_is_refused_like_an_unknown_name(self, services, robot, password, caplog):
        caplog.set_level("INFO")
        for login in ("robot", "nobody"):
            with pytest.raises(WrongCredentialsError, match="the username or password is wrong"):
                services.login.log_in(login=login, password=password, address=HOME)

        lines = [record for record in caplog.records if record.getMessage() == "log-in"]
        assert [line.outcome for line in lines] == ["unknown name", "unknown name"]

    def test_costs_the_same_statements_as_an_unknown_name(self, statements_of_log_in, robot):
        # The first log-in also plans its statements.
        statements_of_log_in("somebody")

        assert statements_of_log_in("robot") == statements_of_log_in("nobody")

    def test_its_password_cannot_be_changed_by_itself(self, services, robot, acting_as):
        with pytest.raises(InvalidError, match="current_password"):
            services.login.change_password(
                acting_as(robot), current_password="", new_password="a brand new password", address=HOME
            )

    def test_its_lost_password_is_not_replaced(self, service, boss, robot):
        with pytest.raises(CannotLogInError, match="robot cannot log in"):
            service.replace_password(boss, "robot", "a brand new password")


class TestChange:
    def test_its_role_and_name_can_be_changed(self, service, boss, robot):
        row = service.change(boss, robot.id, {"role": Role.VIEWER, "username": "robot-two", "time_zone": "UTC"})

        assert (row.values["role"], row.values["username"]) == ("viewer", "robot-two")

    @pytest.mark.parametrize("changes", [{"password": "a brand new password"}, {"email": "robot@example.org"}])
    def test_a_password_and_an_address_are_refused(self, service, boss, robot, session, changes):
        with pytest.raises(InvalidError, match="cannot be set"):
            service.change(boss, robot.id, changes)

        assert session.get_one(User, robot.id, populate_existing=True).password_hash is None

    def test_can_be_deactivated_and_activated_without_a_password(self, service, boss, robot):
        service.deactivate(boss, robot.id)

        assert service.change(boss, robot.id, {"is_active": True}).values["is_active"] is True


class TestLastAdmin:
    @pytest.mark.parametrize("changes", [{"role": Role.USER}, {"is_active": False}])
    def test_a_service_account_does_not_count(self, service, boss, factories, changes):
        factories.ServiceAccount(role=Role.ADMIN)

        with pytest.raises(LastAdminError):
            service.change(boss, boss.user_id, changes)

    def test_a_service_account_with_the_role_can_be_demoted(self, service, boss, factories):
        robot = factories.ServiceAccount(role=Role.ADMIN)

        assert service.change(boss, robot.id, {"role": Role.USER}).values["role"] == "user"

    def test_a_tracker_with_nothing_but_service_accounts_gets_its_first_admin(self, service, factories):
        factories.ServiceAccount(role=Role.ADMIN)

        assert not service.has_admin()
        assert service.create_first_admin(username="admin", email="admin@example.org", password=PASSWORD)


class TestTasks:
    def test_can_be_assigned_to_it_in_its_projects(self, services, boss, ops, robot):
        with pytest.raises(InvalidError, match="assignee"):
            services.tasks.create(boss, {"title": "One", "project": "OPS", "assignee": "robot"})

        services.projects.add_member(boss, "OPS", username="robot")

        view = services.tasks.create(boss, {"title": "One", "project": "OPS", "assignee": "robot"})
        assert view.values["assignee"] == "robot"

    def test_the_history_names_it_as_the_author(self, services, factories, session, robot):
        owner = services.actors.get_owner(factories.ApiToken(owner_id=robot.id).digest)

        view = services.tasks.create(owner, {"title": "By a script"})

        assert session.get_one(Task, view.id).creator_id == robot.id
        assert session.scalars(select(TaskVersion.actor_id).where(TaskVersion.task_id == view.id)).all() == [robot.id]
        (created,) = services.task_history.list_page(owner, view.id, cursor=None, limit=10).items
        assert created.actor == "robot"


class TestWithToken:
    """What the scope `users:admin` does not include, since it would lead out of the scopes."""

    def test_no_password_is_changed(self, service, token_of_boss, robot, factories, session):
        victim = factories.User()
        before = victim.password_hash

        with pytest.raises(InsufficientScopeError, match="no API token may change a password"):
            service.change(token_of_boss, victim.id, {"password": "a brand new password"})

        assert session.get_one(User, victim.id, populate_existing=True).password_hash == before

    def test_no_admin_is_made(self, service, token_of_boss, factories):
        account = {"username": "eve", "email": "eve@example.org", "password": PASSWORD}

        with pytest.raises(InsufficientScopeError, match="no API token may make an admin"):
            service.create(token_of_boss, role=Role.ADMIN, **account)
        with pytest.raises(InsufficientScopeError):
            service.create_service_account(token_of_boss, username="eve", role=Role.ADMIN)
        with pytest.raises(InsufficientScopeError):
            service.change(token_of_boss, factories.User().id, {"role": Role.ADMIN})

    def test_other_users_are_made_and_changed(self, service, token_of_boss):
        account = {"username": "eve", "email": "eve@example.org", "password": PASSWORD}

        row = service.create(token_of_boss, role=Role.USER, **account)

        assert service.change(token_of_boss, row.values["id"], {"role": Role.VIEWER}).values["role"] == "viewer"
        ensure_may(token_of_boss, Permission.USER_READ_ALL)


@pytest.fixture
def service(services):
    return services.people


@pytest.fixture
def robot(factories):
    return factories.ServiceAccount(username="robot")


@pytest.fixture
def statements_of_log_in(services, connection):
    """The statements of a failed log-in, without the names of savepoints."""

    def log_in(login):
        statements = []

        def note(_connection, _cursor, statement, *_rest):
            statements.append(statement.partition("sa_savepoint")[0])

        event.listen(connection, "before_cursor_execute", note)
        with pytest.raises(WrongCredentialsError):
            services.login.log_in(login=login, password=PASSWORD, address=HOME)
        event.remove(connection, "before_cursor_execute", note)
        return statements

    return log_in


@pytest.fixture
def token_of_boss(services, factories, boss):
    """The admin, using an API token with every scope."""
    return services.actors.get_owner(factories.ApiToken(owner_id=boss.user_id).digest)
