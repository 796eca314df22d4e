from dataclasses import replace

import pytest
from sqlalchemy import func, select

from app.auth.passwords import is_password
from app.composition.services import serving
from app.errors import EmailTakenError, InvalidError, RegistrationClosedError, TooManyRequestsError, UsernameTakenError
from app.models.people.user import Role, User
from tests.factories import PASSWORD
from tests.services.login.log_in.attempts import HOME, LIMIT


class TestRegister:
    def test_creates_an_account_with_the_role_user(self, service, session):
        service.register(username="ada", email="ada@example.org", password=PASSWORD, address=HOME)

        user = session.scalars(select(User).where(User.username == "ada")).one()
        assert (user.role, user.is_active) == (Role.USER, True)
        assert is_password(PASSWORD, user.password_hash)

    def test_the_answer_does_not_contain_the_hash(self, service):
        row = service.register(username="ada", email="ada@example.org", password=PASSWORD, address=HOME)

        assert b"argon2" not in row.json

    def test_a_taken_name_is_refused_in_any_case(self, service, factories):
        factories.User(username="Ada")

        with pytest.raises(UsernameTakenError):
            service.register(username="aDA", email="other@example.org", password=PASSWORD, address=HOME)

    def test_a_taken_address_is_refused_in_any_case(self, service, factories):
        factories.User(email="Ada@example.org")

        with pytest.raises(EmailTakenError):
            service.register(username="ada", email="ada@EXAMPLE.org", password=PASSWORD, address=HOME)

    @pytest.mark.parametrize("password", ["Lovelace-1815", "lovelace@example.org", "LOVELACE"])
    def test_the_name_and_the_address_are_refused_as_a_password(self, service, password):
        with pytest.raises(InvalidError, match="must not be the username or email address"):
            service.register(username="lovelace-1815", email="Lovelace@example.org", password=password, address=HOME)

    def test_creates_nobody_when_registration_is_closed(self, closed_service, session):
        with pytest.raises(RegistrationClosedError):
            closed_service.register(username="ada", email="ada@example.org", password=PASSWORD, address=HOME)

        assert session.scalar(select(func.count()).select_from(User)) == 0


class TestLimitOfRegistrations:
    def test_applies_by_address_and_does_not_affect_log_ins(self, service, ada):
        for number in range(LIMIT.amount):
            service.register(username=f"u{number}", email=f"u{number}@example.org", password=PASSWORD, address=HOME)

        with pytest.raises(TooManyRequestsError):
            service.register(username="late", email="late@example.org", password=PASSWORD, address=HOME)
        assert service.log_in(login="ada", password=PASSWORD, address=HOME).user_id == ada.id


@pytest.fixture
def closed_service(resources):
    resources.settings = replace(resources.settings, self_registration_enabled=False)
    with serving(resources) as services:
        yield services.login
