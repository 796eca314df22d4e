"""What an API token may do now, and when its use is noted."""

import pytest
from sqlalchemy import select, text

from app.auth.api_tokens import digest_of, new_token
from app.auth.permissions import Permission, ensure_may
from app.auth.tokens import TokenInvalidError
from app.errors import ForbiddenError
from app.models.login.api_token import ApiToken
from app.models.people.user import Role
from app.repositories.login.api_tokens import ApiTokenRepository
from app.services.login.actors import USE_INTERVAL

# Lets PostgreSQL refuse to write to the table, as it does when its disk is full.
FULL_DISK = """
CREATE FUNCTION refuse_as_if_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'disk_full';
END $$;
CREATE TRIGGER full_disk BEFORE UPDATE ON api_tokens FOR EACH ROW EXECUTE FUNCTION refuse_as_if_full();
"""


class TestGetOwner:
    def test_an_unknown_token_is_refused(self, services):
        with pytest.raises(TokenInvalidError, match="the token is invalid"):
            services.actors.get_owner(digest_of(new_token()))

    @pytest.mark.parametrize("is_cached", [False, True])
    def test_an_expired_token_is_refused_to_the_second(self, services, factories, ada, clock, is_cached):
        digest = factories.ApiToken(owner_id=ada.id, expires_at=clock.now).digest
        clock.advance(seconds=-1)
        if is_cached:
            assert services.actors.get_owner(digest)
        clock.advance(seconds=1)

        with pytest.raises(TokenInvalidError, match="the token is invalid"):
            services.actors.get_owner(digest)

    def test_a_token_of_an_inactive_owner_is_refused(self, services, factories):
        token = factories.ApiToken(owner_id=factories.User(is_active=False).id)

        with pytest.raises(TokenInvalidError, match="the token is invalid"):
            services.actors.get_owner(token.digest)

    def test_a_demoted_owner_takes_the_right_from_the_token(self, services, factories, boss, ada):
        digest = factories.ApiToken(owner_id=ada.id).digest
        ensure_may(services.actors.get_owner(digest), Permission.TASK_CREATE)

        services.people.change(boss, ada.id, {"role": Role.VIEWER})

        with pytest.raises(ForbiddenError):
            ensure_may(services.actors.get_owner(digest), Permission.TASK_CREATE)

    def test_a_removed_member_takes_the_project_from_the_token(self, services, factories, boss, ada, ops):
        factories.ProjectMember(project_id=ops.id, user_id=ada.id)
        digest = factories.ApiToken(owner_id=ada.id).digest
        assert ops.id in services.actors.get_owner(digest).project_ids

        services.projects.remove_member(boss, "OPS", username="ada")

        assert ops.id not in services.actors.get_owner(digest).project_ids

    def test_the_projects_are_those_of_a_log_in(self, services, factories, acting_as, ada, ops):
        factories.ProjectMember(project_id=ops.id, user_id=ada.id)
        factories.Project(key="OTHER")

        owner = services.actors.get_owner(factories.ApiToken(owner_id=ada.id).digest)

        assert owner.project_ids == acting_as(ada).project_ids

    def test_a_deactivation_revokes_the_tokens_for_good(self, services, factories, boss, ada):
        digest = factories.ApiToken(owner_id=ada.id).digest
        assert services.actors.get_owner(digest)

        services.people.deactivate(boss, ada.id)
        with pytest.raises(TokenInvalidError):
            services.actors.get_owner(digest)
        services.people.change(boss, ada.id, {"is_active": True})

        with pytest.raises(TokenInvalidError):
            services.actors.get_owner(digest)

    def test_a_new_password_leaves_the_tokens(self, services, factories, boss, ada):
        digest = factories.ApiToken(owner_id=ada.id).digest

        services.people.change(boss, ada.id, {"password": "a brand new password"})

        assert services.actors.get_owner(digest)

    def test_a_scope_of_a_later_release_gives_nothing(self, services, factories, ada):
        digest = factories.ApiToken(owner_id=ada.id, scopes=["tasks:read", "dreams:read"]).digest

        assert services.actors.get_owner(digest).scopes == {"tasks:read"}

    def test_a_cached_owner_is_read_back_whole(self, services, factories, ada):
        digest = factories.ApiToken(owner_id=ada.id).digest

        assert services.actors.get_owner(digest) == services.actors.get_owner(digest)


class TestLastUse:
    def test_is_noted(self, services, token, last_used_at, clock):
        services.actors.get_owner(token.digest)

        assert last_used_at() == clock()

    def test_is_noted_again_after_a_minute(self, services, token, last_used_at, forget, clock):
        services.actors.get_owner(token.digest)
        clock.now += USE_INTERVAL
        forget()

        services.actors.get_owner(token.digest)

        assert last_used_at() == clock()

    def test_is_not_noted_within_a_minute(self, services, token, last_used_at, forget, clock):
        services.actors.get_owner(token.digest)
        first = clock()
        clock.advance(seconds=59)
        forget()

        services.actors.get_owner(token.digest)

        assert last_used_at() == first

    def test_is_not_noted_for_a_token_that_is_refused(self, services, factories, session, ada, clock):
        refused = factories.ApiToken(owner_id=ada.id, revoked_at=clock())

        with pytest.raises(TokenInvalidError):
            services.actors.get_owner(refused.digest)

        assert session.scalars(select(ApiToken.last_used_at)).one() is None

    def test_that_cannot_be_noted_stops_nobody(self, services, session, token, last_used_at):
        session.execute(text(FULL_DISK))

        assert services.actors.get_owner(token.digest)

        assert last_used_at() is None

    def test_of_another_process_is_not_overwritten_within_a_minute(self, session, token, last_used_at, clock):
        tokens, first = ApiTokenRepository(session), clock()
        tokens.note_use(token.id, at=first, unless_since=first - USE_INTERVAL)
        clock.advance(seconds=30)

        tokens.note_use(token.id, at=clock(), unless_since=clock() - USE_INTERVAL)

        assert last_used_at() == first


@pytest.fixture
def token(factories, ada):
    return factories.ApiToken(owner_id=ada.id)


@pytest.fixture
def last_used_at(session):
    return lambda: session.scalars(select(ApiToken.last_used_at)).one()


@pytest.fixture
def forget(services, boss, ada):
    """Makes the cache forget every actor, as any change of a user does."""
    return lambda: services.people.change(boss, ada.id, {"time_zone": "Europe/Berlin"})
