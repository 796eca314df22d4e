"""Each attempt to log in leaves a line with the user, the address and the result."""

import logging

import pytest

from app.errors import RefreshTokenReusedError, TooManyRequestsError, WrongCredentialsError
from tests.factories import PASSWORD

HOME = "192.0.2.1"


class TestLogIn:
    def test_a_success_names_the_user_and_the_address(self, service, ada, lines):
        service.log_in(login="ADA@example.org", password=PASSWORD, address=HOME)

        assert lines() == [("succeeded", ada.id, "ada", HOME)]

    def test_a_wrong_password_names_the_account(self, service, ada, lines):
        with pytest.raises(WrongCredentialsError):
            service.log_in(login="ada", password="wrong", address=HOME)

        assert lines() == [("wrong password", ada.id, "ada", HOME)]

    def test_an_inactive_account_is_named_only_in_the_log(self, service, factories, lines):
        inactive = factories.User(username="gone", is_active=False)
        with pytest.raises(WrongCredentialsError):
            service.log_in(login="gone", password=PASSWORD, address=HOME)

        assert lines() == [("inactive account", inactive.id, "gone", HOME)]

    def test_an_unknown_name_is_left_out(self, service, lines, caplog):
        with pytest.raises(WrongCredentialsError):
            service.log_in(login="hunter2-hunter2", password="hunter2", address=HOME)

        assert lines() == [("unknown name", None, None, HOME)]
        assert "hunter2" not in str([vars(record) for record in caplog.records])

    def test_a_user_who_has_to_wait_is_named(self, service, ada, lines):
        for _ in range(6):
            with pytest.raises((WrongCredentialsError, TooManyRequestsError)):
                service.log_in(login="ada", password="wrong", address=HOME, is_limit_fixed=False)

        assert {line[0] for line in lines()} <= {"wrong password", "told to wait"}


class TestRefresh:
    def test_a_token_that_was_used_twice_causes_a_warning(self, service, ada, caplog, clock):
        grant = service.log_in(login="ada", password=PASSWORD, address=HOME)
        service.refresh(session_id=grant.session_id, refresh_id=grant.refresh_id)
        clock.advance(seconds=10)

        with pytest.raises(RefreshTokenReusedError):
            service.refresh(session_id=grant.session_id, refresh_id=grant.refresh_id)

        (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert str(grant.session_id) in warning.getMessage()
        assert warning.user_id == ada.id


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="app.services.login.log_in")

    def read():
        return [
            (record.outcome, getattr(record, "user_id", None), getattr(record, "username", None), record.address)
            for record in caplog.records
            if record.getMessage() == "log-in"
        ]

    return read
