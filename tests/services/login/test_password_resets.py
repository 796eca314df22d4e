from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.auth.passwords import is_password
from app.auth.reset_tokens import digest_of_text
from app.composition.services import serving
from app.errors import (
    CannotLogInError,
    ForbiddenError,
    InsufficientScopeError,
    InvalidError,
    NotFoundError,
    ResetTokenInvalidError,
    SessionEndedError,
    TooManyRequestsError,
)
from app.local.operator import OPERATOR
from app.models.login.api_token import TokenScope
from app.models.login.password_reset import PasswordReset
from app.models.people.user import Role, User
from app.settings import RateLimit
from tests import factories as all_factories
from tests.at_once import at_once
from tests.factories import PASSWORD

HOME = "192.0.2.1"
NEW_PASSWORD = "a new and longer one"


class TestMake:
    def test_the_token_sets_a_new_password(self, service, services, boss, ada):
        made = service.make(boss, ada.id)

        spend(service, made)

        assert services.login.log_in(login="ada", password=NEW_PASSWORD, address=HOME).user_id == ada.id

    def test_only_a_digest_is_stored(self, service, boss, ada, session):
        made = service.make(boss, ada.id)

        reset = session.scalars(select(PasswordReset)).one()
        assert reset.digest == digest_of_text(made.token)
        assert made.token.encode() not in reset.digest
        assert len(made.token) >= 43

    def test_the_settings_decide_how_long_it_is_valid(self, service, boss, ada, clock, settings):
        assert service.make(boss, ada.id).expires_at == clock() + timedelta(hours=settings.password_reset_hours)

    def test_a_new_one_replaces_the_earlier_one(self, service, boss, ada, session):
        first, second = service.make(boss, ada.id), service.make(boss, ada.id)

        with pytest.raises(ResetTokenInvalidError):
            spend(service, first)
        spend(service, second)
        assert session.scalar(select(func.count()).select_from(PasswordReset)) == 0

    def test_the_old_password_and_its_sessions_stay_valid_until_it_is_used(self, service, services, boss, ada):
        grant = services.login.log_in(login="ada", password=PASSWORD, address=HOME)

        service.make(boss, ada.id)

        assert services.actors.get(session_id=grant.session_id, user_id=ada.id)
        assert services.login.log_in(login="ada", password=PASSWORD, address=HOME)

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_only_an_admin_may(self, service, factories, acting_as, ada, role):
        with pytest.raises(ForbiddenError):
            service.make(acting_as(factories.User(role=role)), ada.id)

    def test_no_api_token_may(self, service, boss, ada):
        with pytest.raises(InsufficientScopeError, match="no API token may do this"):
            service.make(replace(boss, scopes=frozenset(TokenScope)), ada.id)

    def test_the_operator_makes_one_by_name(self, service, ada):
        spend(service, service.make_for_name(OPERATOR, "ADA"))

    def test_an_unknown_user_is_not_found(self, service, boss):
        with pytest.raises(NotFoundError):
            service.make(boss, 999_999_999)
        with pytest.raises(NotFoundError):
            service.make_for_name(OPERATOR, "nobody")

    @pytest.mark.parametrize(
        "values",
        [
            {"is_active": False},
            {"is_active": False, "password_hash": None, "email": None},
            {"is_service": True, "password_hash": None, "email": None},
        ],
        ids=["inactive", "made by an import", "service account"],
    )
    def test_a_user_who_cannot_log_in_gets_none(self, service, boss, factories, values):
        with pytest.raises(CannotLogInError):
            service.make(boss, factories.User(**values).id)


class TestSpend:
    def test_ends_all_sessions(self, service, services, made, ada):
        grant = services.login.log_in(login="ada", password=PASSWORD, address=HOME)

        spend(service, made)

        with pytest.raises(SessionEndedError):
            services.actors.get(session_id=grant.session_id, user_id=ada.id)
        with pytest.raises(SessionEndedError):
            services.login.refresh(session_id=grant.session_id, refresh_id=grant.refresh_id)

    def test_the_token_is_spent_by_its_first_use(self, service, made, session, ada):
        spend(service, made)

        with pytest.raises(ResetTokenInvalidError):
            spend(service, made, new_password="yet another new one")
        assert is_password(NEW_PASSWORD, session.get_one(User, ada.id, populate_existing=True).password_hash)

    def test_is_refused_from_its_expiry_on(self, service, made, clock):
        clock.now = made.expires_at

        with pytest.raises(ResetTokenInvalidError):
            spend(service, made)

    def test_is_accepted_until_its_expiry(self, service, made, clock):
        clock.now = made.expires_at - timedelta(microseconds=1)

        spend(service, made)

    def test_an_unknown_a_spent_and_an_expired_token_get_the_same_answer(
        self, service, boss, made, ada, factories, clock
    ):
        expired = service.make(boss, factories.User().id)
        clock.now = expired.expires_at
        spent = service.make(boss, ada.id)
        spend(service, spent)

        answers = set()
        for token in (expired.token, spent.token, made.token, "unknown", "ключ", spent.token.swapcase()):
            with pytest.raises(ResetTokenInvalidError) as caught:
                service.spend(token=token, new_password=NEW_PASSWORD, address=HOME)
            answers.add((caught.value.code, caught.value.detail, caught.value.problems))

        assert len(answers) == 1

    def test_a_password_that_was_changed_meanwhile_ends_the_token(self, service, services, boss, made, ada):
        services.people.change(boss, ada.id, {"password": "chosen by the admin"})

        with pytest.raises(ResetTokenInvalidError):
            spend(service, made)

    def test_a_user_who_was_deactivated_meanwhile_gets_no_new_password(self, service, services, boss, made, ada):
        services.people.deactivate(boss, ada.id)

        with pytest.raises(ResetTokenInvalidError):
            spend(service, made)

    @pytest.mark.parametrize("password", ["eleven-char", "ada@example.org", "password1234"])
    def test_a_refused_password_does_not_spend_the_token(self, service, made, password):
        with pytest.raises(InvalidError, match="new_password"):
            spend(service, made, new_password=password)

        spend(service, made)

    class TestLimits:
        def test_too_many_attempts_of_one_address_are_refused(self, service, boss, ada):
            made = service.make(boss, ada.id)
            for _ in range(3):
                with pytest.raises(ResetTokenInvalidError):
                    service.spend(token="a guess", new_password=NEW_PASSWORD, address=HOME)

            with pytest.raises(TooManyRequestsError):
                spend(service, made)
            service.spend(token=made.token, new_password=NEW_PASSWORD, address="198.51.100.1")

        def test_attempts_and_log_ins_count_together(self, service, services, ada):
            for _ in range(3):
                services.login.log_in(login="ada", password=PASSWORD, address=HOME)

            with pytest.raises(TooManyRequestsError):
                service.spend(token="a guess", new_password=NEW_PASSWORD, address=HOME)

        @pytest.fixture
        def settings(self, base_settings):
            limits = replace(base_settings.rate_limits, login=RateLimit(3, 60))
            return replace(base_settings, rate_limits=limits)


class TestAtOnce:
    """The test has a database of its own, where transactions commit."""

    def test_of_several_requests_only_one_spends_the_token(self, own_resources):
        with Session(own_resources.engine) as session:
            all_factories.bind(session)
            user_id = all_factories.User(username="ada").id
            session.commit()
        with serving(own_resources) as services:
            token = services.password_resets.make(OPERATOR, user_id).token

        def try_to_spend(services, number):
            try:
                services.password_resets.spend(token=token, new_password=f"{NEW_PASSWORD} {number}", address=HOME)
            except ResetTokenInvalidError:
                return False
            return True

        spent = at_once(own_resources, try_to_spend, count=4)

        assert sum(spent) == 1
        with serving(own_resources) as services:
            password = f"{NEW_PASSWORD} {spent.index(True)}"
            assert services.login.log_in(login="ada", password=password, address=HOME)


def spend(service, made, *, new_password=NEW_PASSWORD):
    service.spend(token=made.token, new_password=new_password, address=HOME)


@pytest.fixture
def service(services):
    return services.password_resets


@pytest.fixture
def made(service, boss, ada):
    return service.make(boss, ada.id)
