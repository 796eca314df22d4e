from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from app.auth.passwords import hash_password, is_password, needs_rehash
from app.composition.services import serving
from app.errors import InvalidError, SessionEndedError, TooManyRequestsError, WrongCredentialsError
from app.models.people.user import Role
from tests.factories import PASSWORD
from tests.services.login.log_in.attempts import HOME, LIMIT, fail_from_everywhere, refresh


class TestLogIn:
    @pytest.mark.parametrize("login", ["ada", "ADA", "ada@example.org", "Ada@Example.ORG"])
    def test_accepts_the_name_or_the_address_in_any_case(self, service, ada, login):
        grant = service.log_in(login=login, password=PASSWORD, address=HOME)

        assert grant.user_id == ada.id

    def test_a_password_that_is_too_short_for_todays_rules_still_logs_in(self, service, factories):
        user = factories.User(username="ada", password_hash=hash_password("seven77"))

        assert service.log_in(login="ada", password="seven77", address=HOME).user_id == user.id

    def test_the_settings_decide_how_long_a_session_lasts(self, service, ada, clock, settings):
        grant = service.log_in(login="ada", password=PASSWORD, address=HOME)

        assert grant.expires_at == clock() + timedelta(days=settings.session_days)

    def test_an_unknown_name_a_wrong_password_and_an_inactive_user_get_the_same_answer(self, service, ada, factories):
        factories.User(username="gone", is_active=False)
        factories.User(username="unclaimed", is_active=False, password_hash=None, email=None)

        answers = set()
        for number, (login, password) in enumerate(
            [("nobody", PASSWORD), ("ada", "wrong"), ("gone", PASSWORD), ("unclaimed", PASSWORD), ("x@y.z", "x")]
        ):
            with pytest.raises(WrongCredentialsError) as caught:
                service.log_in(login=login, password=password, address=f"192.0.2.{number}")
            answers.add((type(caught.value), caught.value.detail))

        assert len(answers) == 1

    def test_a_name_is_not_compared_with_an_address(self, service, factories):
        factories.User(username="ada", email="ada@example.org", is_active=False, password_hash=None)
        factories.User(username="eve", email="eve@example.org")

        with pytest.raises(WrongCredentialsError):
            service.log_in(login="ada@example.org", password=PASSWORD, address=HOME)

    def test_a_hash_with_weaker_parameters_is_replaced(self, service, factories, session):
        weaker = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
        user = factories.User(username="ada", password_hash=weaker)

        service.log_in(login="ada", password=PASSWORD, address=HOME)

        session.refresh(user)
        assert user.password_hash != weaker
        assert not needs_rehash(user.password_hash)
        assert is_password(PASSWORD, user.password_hash)
        assert user.version == 1

    def test_a_hash_with_todays_parameters_stays(self, service, ada, session):
        before = ada.password_hash

        service.log_in(login="ada", password=PASSWORD, address=HOME)

        session.refresh(ada)
        assert ada.password_hash == before


class TestLogOut:
    def test_ends_the_session_at_once(self, service, services, grant):
        actor = services.actors.get(session_id=grant.session_id, user_id=grant.user_id)

        service.log_out(actor)

        with pytest.raises(SessionEndedError):
            services.actors.get(session_id=grant.session_id, user_id=grant.user_id)
        with pytest.raises(SessionEndedError):
            refresh(service, grant)

    def test_a_second_log_out_changes_nothing(self, service, services, grant):
        actor = services.actors.get(session_id=grant.session_id, user_id=grant.user_id)

        service.log_out(actor)
        service.log_out(actor)


class TestGetActor:
    def test_returns_the_user_with_their_projects(self, service, services, grant, ada, factories):
        project = factories.Project()
        factories.Project()
        factories.ProjectMember(project_id=project.id, user_id=ada.id)

        actor = services.actors.get(session_id=grant.session_id, user_id=ada.id)

        assert (actor.user_id, actor.username, actor.role) == (ada.id, "ada", Role.USER)
        assert project.id in actor.project_ids
        assert len(actor.project_ids) == 2

    def test_the_session_of_another_user_is_refused(self, service, services, grant, factories):
        with pytest.raises(SessionEndedError):
            services.actors.get(session_id=grant.session_id, user_id=factories.User().id)

    def test_an_inactive_user_is_refused(self, resources, grant, ada, session):
        ada.is_active = False
        session.flush()

        with serving(resources) as services, pytest.raises(SessionEndedError):
            services.actors.get(session_id=grant.session_id, user_id=ada.id)

    def test_does_not_depend_on_redis(self, service, services, grant, redis):
        before = services.actors.get(session_id=grant.session_id, user_id=grant.user_id)
        redis.flushdb()

        assert services.actors.get(session_id=grant.session_id, user_id=grant.user_id) == before


class TestChangePassword:
    def test_only_the_new_password_logs_in(self, service, services, grant):
        change_password(services, grant, new="a new and longer one")

        assert service.log_in(login="ada", password="a new and longer one", address="192.0.2.7")
        with pytest.raises(WrongCredentialsError):
            service.log_in(login="ada", password=PASSWORD, address="192.0.2.7")

    def test_a_password_that_is_too_short_is_refused(self, services, grant):
        with pytest.raises(InvalidError, match="new_password: must have at least 12 characters"):
            change_password(services, grant, new="kW9x-2fQ-7b")

    def test_every_other_session_ends(self, service, services, grant):
        other = service.log_in(login="ada", password=PASSWORD, address="192.0.2.7")

        change_password(services, grant, new="a new and longer one")

        assert refresh(service, grant).user_id == grant.user_id
        with pytest.raises(SessionEndedError):
            refresh(service, other)
        with pytest.raises(SessionEndedError):
            services.actors.get(session_id=other.session_id, user_id=other.user_id)

    def test_the_current_password_is_required(self, service, services, grant, session):
        with pytest.raises(InvalidError, match="current_password"):
            change_password(services, grant, current="wrong", new="a new and longer one")

        assert service.log_in(login="ada", password=PASSWORD, address="192.0.2.7")

    def test_wrong_current_passwords_are_counted(self, services, grant):
        for _ in range(LIMIT.amount):
            with pytest.raises(InvalidError):
                change_password(services, grant, current="wrong", new="a new and longer one", address="192.0.2.9")

        with pytest.raises(TooManyRequestsError):
            change_password(services, grant, new="a new and longer one", address="192.0.2.9")

    def test_networks_that_used_only_the_old_password_are_unknown_again(self, service, services, grant, ada):
        service.log_in(login="ada", password=PASSWORD, address="192.0.2.66")
        change_password(services, grant, new="a new and longer one")
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        assert service.log_in(login="ada", password="a new and longer one", address=HOME).user_id == ada.id
        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password="a new and longer one", address="192.0.2.66")

    def test_ones_own_name_is_refused_as_a_password(self, services, grant):
        with pytest.raises(InvalidError, match="must not be the username"):
            change_password(services, grant, new="ADA@example.org")


def change_password(services, grant, *, new, current=PASSWORD, address=HOME):
    actor = services.actors.get(session_id=grant.session_id, user_id=grant.user_id)
    services.login.change_password(actor, current_password=current, new_password=new, address=address)
