from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.composition.services import serving
from app.errors import TooManyRequestsError, WrongCredentialsError
from app.models.login.attempt import LoginAttempt
from app.models.login.network import LoginNetwork
from app.models.login.session import LoginSession
from app.models.login.wait import LoginWait
from app.services.login.limits import KNOWN_TIME, MAX_WAIT
from tests.factories import PASSWORD
from tests.services.login.log_in.attempts import HOME, LIMIT, fail, fail_from_everywhere


class TestLimitOfAnAddress:
    def test_applies_to_right_and_wrong_passwords(self, service, ada):
        fail(service, times=LIMIT.amount, address=HOME)

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_ends_after_the_wait_that_it_states(self, service, ada, clock):
        fail(service, times=LIMIT.amount, address=HOME)
        clock.advance(seconds=20)
        with pytest.raises(TooManyRequestsError) as caught:
            service.log_in(login="ada", password=PASSWORD, address=HOME)

        assert 40 <= caught.value.retry_after_seconds <= 41
        clock.advance(seconds=caught.value.retry_after_seconds)
        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id

    def test_does_not_apply_to_a_user_who_logged_in_there_before(self, service, ada):
        for _ in range(LIMIT.amount + 1):
            assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id

    def test_a_fixed_limit_also_counts_log_ins_that_succeed(self, service, ada):
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

    def test_counts_each_address_separately(self, service, ada):
        fail(service, times=LIMIT.amount, address=HOME)

        assert service.log_in(login="ada", password=PASSWORD, address="192.0.2.2").user_id == ada.id

    def test_can_be_switched_off(self, unlimited_service, ada):
        fail(unlimited_service, times=LIMIT.amount + 1, address=HOME)

        assert unlimited_service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id


class TestWaitsOfAnAccount:
    def test_a_new_network_waits_after_too_many_failures(self, service, ada):
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        with pytest.raises(TooManyRequestsError) as caught:
            service.log_in(login="ada", password=PASSWORD, address=HOME)

        assert caught.value.retry_after_seconds == 1

    def test_the_right_password_is_accepted_after_the_wait_whatever_others_did(self, service, ada, clock):
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

    def test_an_attempt_during_the_wait_does_not_count_or_prolong_it(self, service, ada, clock):
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

    def test_an_ipv6_network_of_64_bits_is_known_as_one(self, service, ada):
        service.log_in(login="ada", password=PASSWORD, address="2001:db8::1")
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        assert service.log_in(login="ada", password=PASSWORD, address="2001:db8::2").user_id == ada.id

    def test_a_network_is_known_for_each_user_separately(self, service, ada, factories):
        factories.User(username="eve")
        service.log_in(login="eve", password=PASSWORD, address=HOME)
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_a_network_that_was_not_used_for_long_is_unknown_again(self, service, ada, clock):
        service.log_in(login="ada", password=PASSWORD, address=HOME)
        clock.advance(seconds=KNOWN_TIME.total_seconds() + 1)
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_the_name_and_the_address_in_any_case_are_one_account(self, service, ada):
        fail_from_everywhere(service, "ADA", times=1)
        fail_from_everywhere(service, "ada@example.org", times=LIMIT.amount - 1, network="198.51.100")

        with pytest.raises(TooManyRequestsError):
            service.log_in(login="ada", password=PASSWORD, address=HOME)

    def test_failures_are_counted_for_each_account_separately(self, service, ada, factories):
        factories.User(username="eve")
        fail_from_everywhere(service, "eve", times=LIMIT.amount)

        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id

    def test_successful_log_ins_from_new_networks_cause_no_wait(self, service, ada):
        for number in range(LIMIT.amount * 3):
            assert service.log_in(login="ada", password=PASSWORD, address=f"198.51.100.{number}").user_id == ada.id

    def test_failures_are_forgotten_after_a_quiet_hour(self, service, ada, clock):
        fail_from_everywhere(service, "ada", times=LIMIT.amount)

        clock.advance(hours=1)

        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id


class TestSweep:
    def test_removes_only_rows_that_no_longer_matter(self, service, factories, clock, session):
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

    def test_does_nothing_without_old_rows(self, service, session):
        service.sweep()

        assert session.scalar(select(func.count()).select_from(LoginSession)) == 0


def fail_after_waiting(service, clock, login, *, times, network="198.18.0"):
    """Fail from a new network each time, in the order of the waits, and return the waits in seconds."""
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


@pytest.fixture
def unlimited_service(resources):
    resources.settings = replace(resources.settings, rate_limits=replace(resources.settings.rate_limits, enabled=False))
    with serving(resources) as services:
        yield services.login
