from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.auth.passwords import is_password
from app.composition.services import serving
from app.errors import (
    CannotLogInError,
    EmailTakenError,
    ForbiddenError,
    InvalidError,
    LastAdminError,
    NotFoundError,
    SessionEndedError,
    UsernameTakenError,
)
from app.models.people.user import Role, User
from tests import factories as all_factories
from tests.at_once import at_once
from tests.factories import PASSWORD


class TestCreate:
    def test_an_admin_gives_the_role(self, service, boss, session):
        row = create(service, boss, role=Role.MANAGER)

        assert row.values["role"] == "manager"
        assert session.scalars(select(User).where(User.username == "ada")).one().is_active

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_nobody_else_may(self, service, factories, acting_as, role):
        with pytest.raises(ForbiddenError):
            create(service, acting_as(factories.User(role=role)))

    def test_a_taken_name_is_refused_in_any_case(self, service, boss, factories):
        factories.User(username="ADA")

        with pytest.raises(UsernameTakenError):
            create(service, boss)

    def test_a_taken_address_is_refused_in_any_case(self, service, boss, factories):
        factories.User(email="ADA@example.org")

        with pytest.raises(EmailTakenError):
            create(service, boss)

    def test_the_name_is_refused_as_a_password(self, service, boss):
        with pytest.raises(InvalidError, match="must not be the username"):
            create(service, boss, username="Ada.Lovelace", password="ada.lovelace")

    def test_a_password_that_is_too_short_is_refused(self, service, boss):
        with pytest.raises(InvalidError, match="at least 12 characters"):
            create(service, boss, password="kW9x-2fQ-7b")


class TestGet:
    def test_everybody_sees_their_own_account(self, service, factories, acting_as):
        viewer = factories.User(role=Role.VIEWER)

        assert service.get(acting_as(viewer), viewer.id).values["username"] == viewer.username

    def test_a_user_does_not_learn_whether_another_user_exists(self, service, factories, acting_as):
        user = acting_as(factories.User())

        for user_id in (factories.User().id, 987_654_321):
            with pytest.raises(ForbiddenError):
                service.get(user, user_id)

    def test_a_missing_user_is_not_found(self, service, boss):
        with pytest.raises(NotFoundError):
            service.get(boss, 987_654_321)


class TestListPage:
    def test_pages_join_without_gaps_or_duplicates(self, service, boss, factories):
        expected = sorted([boss.user_id, *(factories.User().id for _ in range(6))])

        seen, cursor = [], None
        while True:
            page = service.list_page(boss, q=None, cursor=cursor, limit=3)
            seen += [item["id"] for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break

        assert seen == expected

    @pytest.mark.parametrize(("q", "found"), [("LOVE", 1), ("%", 0), ("_", 1), ("\\", 0)])
    def test_a_fragment_of_a_name_is_searched_literally(self, service, boss, factories, q, found):
        factories.User(username="lovelace")
        factories.User(username="grace_hopper")

        page = service.list_page(boss, q=q, cursor=None, limit=10)

        assert len(page.items) == found

    def test_a_user_may_not(self, service, factories, acting_as):
        with pytest.raises(ForbiddenError):
            service.list_page(acting_as(factories.User()), q=None, cursor=None, limit=10)


class TestChange:
    def test_absent_fields_are_unchanged(self, service, boss, factories, session):
        user = factories.User(email="old@example.org", time_zone="Europe/Berlin")

        service.change(boss, user.id, {"email": "new@example.org"})

        session.refresh(user)
        assert (user.email, user.time_zone, user.role) == ("new@example.org", "Europe/Berlin", Role.USER)

    def test_a_new_password_ends_the_users_sessions(self, service, resources, boss, factories, session):
        user = factories.User()
        login_session = factories.LoginSession(user_id=user.id)

        service.change(boss, user.id, {"password": "a new and longer one"})

        session.refresh(user)
        assert is_password("a new and longer one", user.password_hash)
        with serving(resources) as services, pytest.raises(SessionEndedError):
            services.actors.get(session_id=login_session.id, user_id=user.id)

    def test_a_deactivated_user_is_refused_at_once(self, service, resources, boss, factories):
        user = factories.User()
        login_session = factories.LoginSession(user_id=user.id)
        with serving(resources) as services:
            services.actors.get(session_id=login_session.id, user_id=user.id)

        service.deactivate(boss, user.id)

        with serving(resources) as services, pytest.raises(SessionEndedError):
            services.actors.get(session_id=login_session.id, user_id=user.id)

    def test_a_new_role_counts_at_once(self, service, resources, boss, factories):
        user = factories.User()
        login_session = factories.LoginSession(user_id=user.id)
        with serving(resources) as services:
            services.actors.get(session_id=login_session.id, user_id=user.id)

        service.change(boss, user.id, {"role": Role.MANAGER})

        with serving(resources) as services:
            actor = services.actors.get(session_id=login_session.id, user_id=user.id)
        assert actor.role is Role.MANAGER

    def test_a_user_without_a_password_cannot_be_active(self, service, boss, factories):
        unclaimed = factories.User(email=None, password_hash=None, is_active=False)

        with pytest.raises(InvalidError, match="password"):
            service.change(boss, unclaimed.id, {"is_active": True})

    def test_a_user_made_by_an_import_can_be_claimed(self, service, boss, factories, session):
        unclaimed = factories.User(email=None, password_hash=None, is_active=False)

        service.change(
            boss, unclaimed.id, {"is_active": True, "password": "a new and longer one", "email": "x@example.org"}
        )

        session.refresh(unclaimed)
        assert unclaimed.is_active

    @pytest.mark.parametrize("changes", [{"role": Role.MANAGER}, {"is_active": False}])
    def test_the_last_admin_stays_one(self, service, boss, changes, session):
        with pytest.raises(LastAdminError):
            service.change(boss, boss.user_id, changes)

        user = session.get_one(User, boss.user_id, populate_existing=True)
        assert (user.role, user.is_active) == (Role.ADMIN, True)

    def test_an_inactive_admin_does_not_count_as_another(self, service, boss, factories):
        factories.User(role=Role.ADMIN, is_active=False)

        with pytest.raises(LastAdminError):
            service.change(boss, boss.user_id, {"role": Role.USER})

    def test_one_of_two_admins_may_step_down(self, service, boss, factories, session):
        factories.User(role=Role.ADMIN)

        service.change(boss, boss.user_id, {"role": Role.USER})

        assert session.get_one(User, boss.user_id, populate_existing=True).role is Role.USER


class TestReplacePassword:
    def test_only_the_new_password_logs_in(self, service, boss, factories, session):
        user = factories.User()

        service.replace_password(boss, user.username, "a new and longer one")

        session.refresh(user)
        assert is_password("a new and longer one", user.password_hash)
        assert not is_password(PASSWORD, user.password_hash)

    def test_ends_all_sessions_of_this_user_only(self, service, resources, boss, factories):
        user, other = factories.User(), factories.User()
        ended = [factories.LoginSession(user_id=user.id) for _ in range(2)]
        other_session = factories.LoginSession(user_id=other.id)
        with serving(resources) as services:
            services.actors.get(session_id=ended[0].id, user_id=user.id)

        service.replace_password(boss, user.username, "a new and longer one")

        for login_session in ended:
            with serving(resources) as services, pytest.raises(SessionEndedError):
                services.actors.get(session_id=login_session.id, user_id=user.id)
        with serving(resources) as services:
            assert services.actors.get(session_id=other_session.id, user_id=other.id).username == other.username

    def test_nothing_else_is_changed(self, service, boss, factories, session):
        user = factories.User(role=Role.MANAGER, time_zone="Europe/Berlin")
        before = (user.username, user.email, user.role, user.time_zone, user.is_active)

        service.replace_password(boss, user.username, "a new and longer one")

        session.refresh(user)
        assert (user.username, user.email, user.role, user.time_zone, user.is_active) == before

    def test_the_case_of_the_name_does_not_matter(self, service, boss, factories, session):
        user = factories.User(username="Lovelace")

        service.replace_password(boss, "lOVELACE", "a new and longer one")

        session.refresh(user)
        assert is_password("a new and longer one", user.password_hash)

    def test_an_address_is_not_accepted_as_a_name(self, service, boss, factories):
        user = factories.User()

        with pytest.raises(NotFoundError):
            service.replace_password(boss, user.email, "a new and longer one")

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_only_an_admin_may(self, service, resources, factories, acting_as, session, role):
        user = factories.User()
        login_session = factories.LoginSession(user_id=user.id)

        with pytest.raises(ForbiddenError):
            service.replace_password(acting_as(factories.User(role=role)), user.username, "a new and longer one")

        session.refresh(user)
        assert is_password(PASSWORD, user.password_hash)
        with serving(resources) as services:
            assert services.actors.get(session_id=login_session.id, user_id=user.id)

    def test_a_refused_user_does_not_learn_who_exists(self, service, factories, acting_as):
        manager = acting_as(factories.User(role=Role.MANAGER))

        with pytest.raises(ForbiddenError):
            service.replace_password(manager, "nobody", "a new and longer one")

    @pytest.mark.parametrize("values", [{"email": None, "password_hash": None}, {}], ids=["made up", "deactivated"])
    def test_a_user_who_cannot_log_in_is_refused(self, service, boss, factories, session, values):
        user = factories.User(username="grace", is_active=False, **values)
        before = user.password_hash

        with pytest.raises(CannotLogInError, match="grace cannot log in"):
            service.replace_password(boss, "grace", "a new and longer one")

        session.refresh(user)
        assert user.password_hash == before

    def test_a_missing_user_is_not_found(self, service, boss):
        with pytest.raises(NotFoundError, match="nobody"):
            service.replace_password(boss, "nobody", "a new and longer one")

    def test_the_name_is_refused_as_a_password(self, service, boss, factories, session):
        user = factories.User(username="Lovelace")

        with pytest.raises(InvalidError):
            service.replace_password(boss, "Lovelace", "lovelace")

        session.refresh(user)
        assert is_password(PASSWORD, user.password_hash)

    def test_the_last_admin_stays_one(self, service, services, boss, admin):
        service.replace_password(boss, admin.username, "a new and longer one")

        assert service.has_admin()
        assert services.login.log_in(login=admin.username, password="a new and longer one", address="192.0.2.1")


class TestCreateFirstAdmin:
    def test_the_first_admin_is_created_once(self, service, session):
        assert create_first_admin(service, "first")
        assert not create_first_admin(service, "second")

        assert session.scalars(select(User.username)).all() == ["first"]

    def test_the_first_admin_can_log_in(self, services, service):
        create_first_admin(service, "first")

        assert services.login.log_in(login="first", password=PASSWORD, address="192.0.2.1")

    def test_an_existing_admin_prevents_another(self, service, boss):
        assert service.has_admin()
        assert not create_first_admin(service, "second")

    def test_an_inactive_admin_does_not_count(self, service, factories):
        factories.User(role=Role.ADMIN, is_active=False)

        assert not service.has_admin()
        assert create_first_admin(service, "second")


class TestAtOnce:
    """Each test has a database of its own, where transactions commit."""

    def test_two_starts_at_once_create_one_admin(self, own_resources):
        def start(services, number):
            return create_first_admin(services.people, f"admin{number}")

        made = at_once(own_resources, start, count=2)

        assert sorted(made) == [False, True]
        assert count_admins(own_resources) == 1

    def test_two_admins_cannot_each_remove_the_other(self, own_resources):
        ids = make_admins(own_resources, 2)

        def remove_the_other(services, number):
            actor = Actor(ids[number], f"admin{number}", Role.ADMIN, frozenset(), uuid4())
            try:
                services.people.deactivate(actor, ids[1 - number])
            except LastAdminError:
                return False
            return True

        for _ in range(20):
            removed = at_once(own_resources, remove_the_other, count=2)

            assert sorted(removed) == [False, True]
            assert count_admins(own_resources) == 1
            reactivate(own_resources, ids)

    def test_two_registrations_of_one_name_create_one_user(self, own_resources):
        def register(services, number):
            try:
                services.login.register(
                    username="Ada", email=f"{number}@example.org", password=PASSWORD, address="192.0.2.1"
                )
            except UsernameTakenError:
                return False
            return True

        assert sorted(at_once(own_resources, register, count=2)) == [False, True]


def create(service, actor, **values):
    fields = {"username": "ada", "email": "ada@example.org", "password": PASSWORD, "role": Role.USER, **values}
    return service.create(actor, **fields)


def create_first_admin(service, username):
    return service.create_first_admin(username=username, email=f"{username}@example.org", password=PASSWORD)


def make_admins(resources, count):
    with Session(resources.engine) as session:
        all_factories.bind(session)
        ids = [all_factories.User(role=Role.ADMIN).id for _ in range(count)]
        session.commit()
    return ids


def reactivate(resources, ids):
    with resources.new_session() as session:
        session.execute(update(User).where(User.id.in_(ids)).values(is_active=True))
        session.commit()


def count_admins(resources):
    with resources.new_session() as session:
        statement = select(func.count()).select_from(User).where(User.role == Role.ADMIN, User.is_active)
        return session.scalar(statement)


@pytest.fixture
def service(services):
    return services.people
