from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from app.auth.passwords import is_password, needs_rehash
from app.composition.services import serving
from app.errors import (
    EmailTakenError,
    InvalidError,
    RefreshTokenReusedError,
    RegistrationClosedError,
    SessionEndedError,
    TooManyRequestsError,
    UsernameTakenError,
    WrongCredentialsError,
)
from app.models.login.attempt import LoginAttempt
from app.models.login.network import LoginNetwork
from app.models.login.session import LoginSession
from app.models.login.wait import LoginWait
from app.models.people.user import Role, User
from app.services.login.limits import KNOWN_TIME, MAX_WAIT
from app.settings import RateLimit
from tests.factories import PASSWORD

LIMIT = RateLimit(3, 60)
HOME = "192.0.2.1"


class TestRegister:
    def test_makes_a_user_and_never_more(self, service, session):
        service.register(username="ada", email="ada@example.org", password=PASSWORD, address=HOME)

        user = session.scalars(select(User).where(User.username == "ada")).one()
        assert (user.role, user.is_active) == (Role.USER, True)
        assert is_password(PASSWORD, user.password_hash)

    def test_the_answer_does_not_hold_the_hash(self, service):
        row = service.register(username="ada", email="ada@example.org", password=PASSWORD, address=HOME)

        assert b"argon2" not in row.json

    def test_a_name_is_taken_however_it_is_capitalised(self, service, factories):
        factories.User(username="Ada")

        with pytest.raises(UsernameTakenError):
            service.register(username="aDA", email="other@example.org", password=PASSWORD, address=HOME)

    def test_an_address_is_taken_however_it_is_capitalised(self, service, factories):
        factories.User(email="Ada@example.org")

        with pytest.raises(EmailTakenError):
            service.register(username="ada", email="ada@EXAMPLE.org", password=PASSWORD, address=HOME)

    @pytest.mark.parametrize("password", ["Lovelace-1815", "lovelace@example.org", "LOVELACE"])
    def test_the_name_or_address_is_no_password(self, service, password):
        with pytest.raises(InvalidError, match="must not be the username or email address"):
            service.register(username="lovelace-1815", email="Lovelace@example.org", password=password, address=HOME)

    def test_closed_it_makes_nobody(self, closed_service, session):
        with pytest.raises(RegistrationClosedError):
            closed_service.register(username="ada", email="ada@example.org", password=PASSWORD, address=HOME)

        assert session.scalar(select(func.count()).select_from(User)) == 0


class TestLogIn:
    @pytest.mark.parametrize("login", ["ada", "ADA", "ada@example.org", "Ada@Example.ORG"])
    def test_by_name_or_address_in_any_case(self, service, ada, login):
        grant = service.log_in(login=login, password=PASSWORD, address=HOME)

        assert grant.user_id == ada.id

    def test_the_session_lasts_as_long_as_the_settings_say(self, service, ada, clock, settings):
        grant = service.log_in(login="ada", password=PASSWORD, address=HOME)

        assert grant.expires_at == clock() + timedelta(days=settings.session_days)

    def test_unknown_wrong_and_inactive_answer_alike(self, service, ada, factories):
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

    def test_a_name_does_not_stand_for_an_address(self, service, factories):
        factories.User(username="ada", email="ada@example.org", is_active=False, password_hash=None)
        factories.User(username="eve", email="eve@example.org")

        with pytest.raises(WrongCredentialsError):
            service.log_in(login="ada@example.org", password=PASSWORD, address=HOME)

    def test_a_hash_of_weaker_parameters_is_made_anew(self, service, factories, session):
        weaker = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
        user = factories.User(username="ada", password_hash=weaker)

        service.log_in(login="ada", password=PASSWORD, address=HOME)

        session.refresh(user)
        assert user.password_hash != weaker
        assert not needs_rehash(user.password_hash)
        assert is_password(PASSWORD, user.password_hash)

    def test_a_hash_of_todays_stays(self, service, ada, session):
        before = ada.password_hash

        service.log_in(login="ada", password=PASSWORD, address=HOME)

        session.refresh(ada)
        assert ada.password_hash == before


class TestLimitOfRegistrations:
    def test_bites_by_address_and_leaves_log_ins_alone(self, service, ada):
        for number in range(LIMIT.amount):
            service.register(username=f"u{number}", email=f"u{number}@example.org", password=PASSWORD, address=HOME)

        with pytest.raises(TooManyRequestsError):
            service.register(username="late", email="late@example.org", password=PASSWORD, address=HOME)
        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id


class TestLimitOfAnAddress:
    def test_bites_whatever_the_password(self, service, ada):
        fail(service, times=LIMIT.amount, address=HOME)

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_says_how_long_to_wait_and_that_is_enough(self, service, ada, clock):
        fail(service, times=LIMIT.amount, address=HOME)
        clock.advance(seconds=20)
        with pytest.raises(TooManyRequestsError) as caught:
            service.log_in(login="ada", password=PASSWORD, address=HOME)

        assert 40 <= caught.value.retry_after_seconds <= 41
        clock.advance(seconds=caught.value.retry_after_seconds)
        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id

    def test_does_not_hold_for_a_user_who_logged_in_there_before(self, service, ada):
        for _ in range(LIMIT.amount + 1):
            assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id

    def test_counts_log_ins_that_succeed_too_where_it_is_fixed(self, service, ada):
        for _ in range(LIMIT.amount):
            service.log_in(login="ada", password=PASSWORD, address=HOME, is_limit_fixed=True)

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME, is_limit_fixed=True)

    def test_counts_over_all_accounts(self, service, ada):
        for name in ("first", "second", "third"):
            with pytest.raises(WrongCredentialsError):
                service.log_in(login=name, password="wrong", address=HOME)

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_another_address_is_another_count(self, service, ada):
        fail(service, times=LIMIT.amount, address=HOME)

        assert service.log_in(login="ada", password=PASSWORD, address="192.0.2.2").user_id == ada.id

    def test_switched_off_it_does_not_bite(self, unlimited_service, ada):
        fail(unlimited_service, times=LIMIT.amount + 1, address=HOME)

        assert unlimited_service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id


class TestWaitsOfAnAccount:
    def test_a_network_that_is_new_waits_once_there_were_too_many_failures(self, service, ada):
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        with pytest.raises(TooManyRequestsError) as caught:
            service.log_in(login="ada", password=PASSWORD, address=HOME)

        assert caught.value.retry_after_seconds == 1

    def test_after_its_wait_the_right_password_is_taken_whatever_others_did_meanwhile(self, service, ada, clock):
        fail_from_everywhere(service, "ada", times=LIMIT.amount)
        with pytest.raises(TooManyRequestsError) as caught:
            service.log_in(login="ada", password=PASSWORD, address=HOME)

        clock.advance(seconds=caught.value.retry_after_seconds)
        fail_after_waiting(service, clock, "ada", times=3)

        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id

    def test_waits_double_up_to_a_quarter_of_an_hour(self, service, ada, clock):
        waits = fail_after_waiting(service, clock, "ada", times=13, network="203.0.113")

        assert waits[:5] == [1, 2, 4, 8, 16]
        assert waits[-1] == max(waits) == MAX_WAIT.total_seconds()

    def test_an_attempt_during_the_wait_neither_counts_nor_prolongs_it(self, service, ada, clock):
        fail_from_everywhere(service, "ada", times=LIMIT.amount)
        waits = []
        for _ in range(3):
            with pytest.raises(TooManyRequestsError) as caught:
                service.log_in(login="ada", password=PASSWORD, address=HOME)
            waits.append(caught.value.retry_after_seconds)

        assert waits == [1, 1, 1]

    def test_a_known_network_does_not_wait(self, service, ada, clock):
        service.log_in(login="ada", password=PASSWORD, address=HOME)
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id

    def test_the_64_is_what_is_known(self, service, ada):
        service.log_in(login="ada", password=PASSWORD, address="2001:db8::1")
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        assert service.log_in(login="ada", password=PASSWORD, address="2001:db8::2").user_id == ada.id

    def test_what_one_user_is_known_from_another_is_not(self, service, ada, factories):
        factories.User(username="eve")
        service.log_in(login="eve", password=PASSWORD, address=HOME)
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_a_network_that_was_not_used_for_long_is_strange_again(self, service, ada, clock):
        service.log_in(login="ada", password=PASSWORD, address=HOME)
        clock.advance(seconds=KNOWN_TIME.total_seconds() + 1)
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_name_and_address_in_any_case_are_one_account(self, service, ada):
        fail_from_everywhere(service, "ADA", times=1)
        fail_from_everywhere(service, "ada@example.org", times=LIMIT.amount - 1, network="198.51.100")

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_another_account_is_another_count(self, service, ada, factories):
        factories.User(username="eve")
        fail_from_everywhere(service, "eve", times=LIMIT.amount)

        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id

    def test_log_ins_that_succeed_from_ever_new_networks_make_nobody_wait(self, service, ada):
        for number in range(LIMIT.amount * 3):
            assert service.log_in(login="ada", password=PASSWORD, address=f"198.51.100.{number}").user_id == ada.id

    def test_failures_are_forgotten_after_a_quiet_hour(self, service, ada, clock):
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        clock.advance(hours=1)

        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id


class TestRefresh:
    def test_each_token_is_good_for_one_exchange(self, service, grant):
        second = refresh(service, grant)
        third = refresh(service, second)

        assert len({grant.refresh_id, second.refresh_id, third.refresh_id}) == 3
        assert grant.session_id == second.session_id == third.session_id
        assert third.expires_at == grant.expires_at

    def test_a_spent_one_ends_the_session_for_whoever_holds_it(self, service, grant, clock):
        newest = refresh(service, grant)
        clock.advance(seconds=10)

        with pytest.raises(RefreshTokenReusedError):
            refresh(service, grant)
        with pytest.raises(SessionEndedError):
            refresh(service, newest)

    def test_sent_again_within_ten_seconds_it_gets_the_same_successor(self, service, grant, clock):
        first = refresh(service, grant)
        clock.advance(seconds=9.9)

        assert refresh(service, grant) == first
        assert refresh(service, first).session_id == grant.session_id

    def test_once_its_successor_was_used_a_spent_one_ends_the_session_at_once(self, service, grant):
        newest = refresh(service, refresh(service, grant))

        with pytest.raises(RefreshTokenReusedError):
            refresh(service, grant)
        with pytest.raises(SessionEndedError):
            refresh(service, newest)

    def test_a_thief_and_the_owner_who_share_a_successor_end_the_session_when_both_use_it(self, service, grant, clock):
        thiefs, owners = refresh(service, grant), refresh(service, grant)
        clock.advance(minutes=15)
        refresh(service, thiefs)
        clock.advance(minutes=15)

        with pytest.raises(RefreshTokenReusedError):
            refresh(service, owners)

    def test_a_spent_one_ends_the_access_tokens_too_at_once(self, service, grant, clock):
        refresh(service, grant)
        clock.advance(seconds=10)
        service.get_actor(session_id=grant.session_id, user_id=grant.user_id)

        with pytest.raises(RefreshTokenReusedError):
            refresh(service, grant)

        with pytest.raises(SessionEndedError):
            service.get_actor(session_id=grant.session_id, user_id=grant.user_id)

    def test_another_session_of_the_user_lives_on(self, service, grant, clock):
        other = service.log_in(login="ada", password=PASSWORD, address=HOME)
        refresh(service, grant)
        clock.advance(seconds=10)

        with pytest.raises(RefreshTokenReusedError):
            refresh(service, grant)

        assert refresh(service, other).session_id == other.session_id

    def test_a_session_that_is_over_is_not_refreshed(self, service, grant, clock):
        clock.now = grant.expires_at

        with pytest.raises(SessionEndedError):
            refresh(service, grant)

    def test_until_then_it_is(self, service, grant, clock):
        clock.now = grant.expires_at - timedelta(microseconds=1)

        assert refresh(service, grant).session_id == grant.session_id

    def test_a_session_that_never_was_is_not_refreshed(self, service):
        with pytest.raises(SessionEndedError):
            service.refresh(session_id=uuid4(), refresh_id=uuid4())

    def test_an_inactive_users_session_ends(self, resources, grant, ada, session):
        ada.is_active = False
        session.flush()

        with serving(resources) as services, pytest.raises(SessionEndedError):
            refresh(services.login, grant)

        assert session.get_one(LoginSession, grant.session_id, populate_existing=True).ended_at is not None


class TestLogOut:
    def test_ends_the_session_at_once(self, service, grant):
        actor = service.get_actor(session_id=grant.session_id, user_id=grant.user_id)

        service.log_out(actor)

        with pytest.raises(SessionEndedError):
            service.get_actor(session_id=grant.session_id, user_id=grant.user_id)
        with pytest.raises(SessionEndedError):
            refresh(service, grant)

    def test_twice_is_once(self, service, grant):
        actor = service.get_actor(session_id=grant.session_id, user_id=grant.user_id)

        service.log_out(actor)
        service.log_out(actor)


class TestGetActor:
    def test_is_the_user_with_the_projects_they_are_in(self, service, grant, ada, factories):
        project = factories.Project()
        factories.Project()
        factories.ProjectMember(project_id=project.id, user_id=ada.id)

        actor = service.get_actor(session_id=grant.session_id, user_id=ada.id)

        assert (actor.user_id, actor.username, actor.role) == (ada.id, "ada", Role.USER)
        assert project.id in actor.project_ids
        assert len(actor.project_ids) == 2

    def test_somebody_elses_session_makes_nobody(self, service, grant, factories):
        with pytest.raises(SessionEndedError):
            service.get_actor(session_id=grant.session_id, user_id=factories.User().id)

    def test_an_inactive_user_is_nobody(self, resources, grant, ada, session):
        ada.is_active = False
        session.flush()

        with serving(resources) as services, pytest.raises(SessionEndedError):
            services.login.get_actor(session_id=grant.session_id, user_id=ada.id)

    def test_with_redis_flushed_it_is_the_same(self, service, grant, redis):
        before = service.get_actor(session_id=grant.session_id, user_id=grant.user_id)
        redis.flushdb()

        assert service.get_actor(session_id=grant.session_id, user_id=grant.user_id) == before


class TestChangePassword:
    def test_the_new_one_is_good_and_the_old_one_not(self, service, grant):
        change_password(service, grant, new="a new and longer one")

        assert service.log_in(login="ada", password="a new and longer one", address="192.0.2.7")
        with pytest.raises(WrongCredentialsError):
            service.log_in(login="ada", password=PASSWORD, address="192.0.2.7")

    def test_every_other_session_ends_and_this_one_stays(self, service, grant):
        other = service.log_in(login="ada", password=PASSWORD, address="192.0.2.7")

        change_password(service, grant, new="a new and longer one")

        assert refresh(service, grant).user_id == grant.user_id
        with pytest.raises(SessionEndedError):
            refresh(service, other)
        with pytest.raises(SessionEndedError):
            service.get_actor(session_id=other.session_id, user_id=other.user_id)

    def test_the_current_one_is_needed(self, service, grant, session):
        with pytest.raises(InvalidError, match="current_password"):
            change_password(service, grant, current="wrong", new="a new and longer one")

        assert service.log_in(login="ada", password=PASSWORD, address="192.0.2.7")

    def test_guessing_the_current_one_is_counted(self, service, grant):
        for _ in range(LIMIT.amount):
            with pytest.raises(InvalidError):
                change_password(service, grant, current="wrong", new="a new and longer one", address="192.0.2.9")

        with pytest.raises(TooManyRequestsError):
            change_password(service, grant, new="a new and longer one", address="192.0.2.9")

    def test_networks_where_only_the_old_one_was_used_are_strange_again(self, service, grant, ada):
        service.log_in(login="ada", password=PASSWORD, address="192.0.2.66")
        change_password(service, grant, new="a new and longer one")
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        assert service.log_in(login="ada", password="a new and longer one", address=HOME).user_id == ada.id
        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password="a new and longer one", address="192.0.2.66")

    def test_ones_own_name_is_no_password(self, service, grant):
        with pytest.raises(InvalidError, match="must not be the username"):
            change_password(service, grant, new="ADA@example.org")


class TestSweep:
    def test_what_can_no_longer_matter_goes_and_the_rest_stays(self, service, factories, clock, session):
        user = factories.User()
        over = factories.LoginSession(user_id=user.id, expires_at=clock() - timedelta(seconds=1))
        current = factories.LoginSession(user_id=user.id, expires_at=clock() + timedelta(seconds=1))
        session.add_all(
            [
                LoginAttempt(subject="address:old", window_started_at=clock() - timedelta(days=2), attempts=9),
                LoginAttempt(subject="address:new", window_started_at=clock() - timedelta(hours=1), attempts=9),
                LoginWait(account="old", network="a", until=clock() - timedelta(days=2)),
                LoginWait(account="new", network="a", until=clock() - timedelta(hours=1)),
                LoginNetwork(user_id=user.id, network="old", last_used_at=clock() - timedelta(days=91)),
                LoginNetwork(user_id=user.id, network="new", last_used_at=clock() - timedelta(days=89)),
            ]
        )
        session.flush()

        service.sweep()

        assert over.id not in session.scalars(select(LoginSession.id)).all()
        assert session.scalars(select(LoginSession.id)).all() == [current.id]
        assert session.scalars(select(LoginAttempt.subject)).all() == ["address:new"]
        assert session.scalars(select(LoginWait.account)).all() == ["new"]
        assert session.scalars(select(LoginNetwork.network)).all() == ["new"]

    def test_with_nothing_to_do_it_does_nothing(self, service, session):
        service.sweep()

        assert session.scalar(select(func.count()).select_from(LoginSession)) == 0


def fail(service, *, times, address, login="nobody"):
    for _ in range(times):
        with pytest.raises(WrongCredentialsError):
            service.log_in(login=login, password="wrong", address=address)


def fail_from_everywhere(service, login, *, times, network="203.0.113"):
    for number in range(times):
        fail(service, times=1, address=f"{network}.{number}", login=login)


def fail_after_waiting(service, clock, login, *, times, network="198.18.0"):
    """Fail so often, each from a network of its own, in the order of their waits; return the waits in seconds."""
    waits = []
    for number in range(times + LIMIT.amount):
        address = f"{network}.{number}"
        try:
            fail(service, times=1, address=address, login=login)
        except TooManyRequestsError as error:
            waits.append(error.retry_after_seconds)
            clock.advance(seconds=error.retry_after_seconds)
            fail(service, times=1, address=address, login=login)
    return waits


def refresh(service, grant):
    return service.refresh(session_id=grant.session_id, refresh_id=grant.refresh_id)


def change_password(service, grant, *, new, current=PASSWORD, address=HOME):
    actor = service.get_actor(session_id=grant.session_id, user_id=grant.user_id)
    service.change_password(actor, current_password=current, new_password=new, address=address)


@pytest.fixture
def settings(base_settings):
    return replace(base_settings, rate_limits=replace(base_settings.rate_limits, login=LIMIT))


@pytest.fixture
def service(services):
    return services.login


@pytest.fixture
def closed_service(resources):
    resources.settings = replace(resources.settings, self_registration_enabled=False)
    with serving(resources) as services:
        yield services.login


@pytest.fixture
def unlimited_service(resources):
    resources.settings = replace(resources.settings, rate_limits=replace(resources.settings.rate_limits, enabled=False))
    with serving(resources) as services:
        yield services.login


@pytest.fixture
def ada(factories):
    return factories.User(username="ada", email="ada@example.org")


@pytest.fixture
def grant(resources, ada):
    """Of a log-in some time ago, in a request of its own."""
    with serving(resources) as services:
        return services.login.log_in(login="ada", password=PASSWORD, address="192.0.2.200")
