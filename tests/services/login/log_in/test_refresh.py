from datetime import timedelta
from uuid import uuid4

import pytest

from app.composition.services import serving
from app.errors import RefreshTokenReusedError, SessionEndedError
from app.models.login.session import LoginSession
from tests.factories import PASSWORD
from tests.services.login.log_in.attempts import HOME, refresh


class TestRefresh:
    def test_each_token_can_be_exchanged_once(self, service, grant):
        second = refresh(service, grant)
        third = refresh(service, second)

        assert len({grant.refresh_id, second.refresh_id, third.refresh_id}) == 3
        assert grant.session_id == second.session_id == third.session_id
        assert third.expires_at == grant.expires_at

    def test_a_spent_token_ends_the_session_for_everybody(self, service, grant, clock):
        newest = refresh(service, grant)
        clock.advance(seconds=10)

        with pytest.raises(RefreshTokenReusedError):
            refresh(service, grant)
        with pytest.raises(SessionEndedError):
            refresh(service, newest)

    def test_a_repeated_exchange_within_ten_seconds_gets_the_same_successor(self, service, grant, clock):
        first = refresh(service, grant)
        clock.advance(seconds=9.9)

        assert refresh(service, grant) == first
        assert refresh(service, first).session_id == grant.session_id

    def test_a_spent_token_ends_the_session_at_once_after_its_successor_was_used(self, service, grant):
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

    def test_a_spent_token_ends_the_access_tokens_at_once(self, service, services, grant, clock):
        refresh(service, grant)
        clock.advance(seconds=10)
        services.actors.get(session_id=grant.session_id, user_id=grant.user_id)

        with pytest.raises(RefreshTokenReusedError):
            refresh(service, grant)

        with pytest.raises(SessionEndedError):
            services.actors.get(session_id=grant.session_id, user_id=grant.user_id)

    def test_another_session_of_the_user_goes_on(self, service, grant, clock):
        other = service.log_in(login="ada", password=PASSWORD, address=HOME)
        refresh(service, grant)
        clock.advance(seconds=10)

        with pytest.raises(RefreshTokenReusedError):
            refresh(service, grant)

        assert refresh(service, other).session_id == other.session_id

    def test_an_expired_session_is_not_refreshed(self, service, grant, clock):
        clock.now = grant.expires_at

        with pytest.raises(SessionEndedError):
            refresh(service, grant)

    def test_a_session_is_refreshed_until_it_expires(self, service, grant, clock):
        clock.now = grant.expires_at - timedelta(microseconds=1)

        assert refresh(service, grant).session_id == grant.session_id

    def test_an_unknown_session_is_not_refreshed(self, service):
        with pytest.raises(SessionEndedError):
            service.refresh(session_id=uuid4(), refresh_id=uuid4())

    def test_the_session_of_an_inactive_user_ends(self, resources, grant, ada, session):
        ada.is_active = False
        session.flush()

        with serving(resources) as services, pytest.raises(SessionEndedError):
            refresh(services.login, grant)

        assert session.get_one(LoginSession, grant.session_id, populate_existing=True).ended_at is not None
