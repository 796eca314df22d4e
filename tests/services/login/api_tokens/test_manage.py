"""Making, listing and revoking API tokens."""

import hashlib
import logging
from datetime import timedelta

import pytest
from sqlalchemy import Text, cast, func, select

from app.auth.api_tokens import digest_of
from app.auth.tokens import TokenInvalidError
from app.errors import (
    ConflictError,
    ForbiddenError,
    InsufficientScopeError,
    InvalidError,
    NotAServiceAccountError,
    NotFoundError,
    TooManyTokensError,
)
from app.models.login.api_token import ApiToken, TokenScope
from app.models.people.user import Role
from app.services.login.api_tokens import MAX_LIFETIME, MAX_VALID_TOKENS
from tests.stored import count


class TestCreate:
    def test_the_token_acts_for_its_owner_with_its_scopes(self, make, services, ada):
        made = make(scopes=[TokenScope.TASKS_READ])

        owner = services.actors.get_owner(digest_of(made.token))
        assert (owner.user_id, owner.username, owner.role) == (ada.id, "ada", Role.USER)
        assert owner.scopes == {TokenScope.TASKS_READ}
        assert owner.token_id == made.row.values["id"]
        assert owner.session_id is None

    def test_only_the_digest_is_stored(self, make, session):
        made = make()

        stored = session.scalars(select(ApiToken)).one()
        assert stored.digest == hashlib.sha256(made.token.encode()).digest()
        row = session.scalar(select(cast(func.to_jsonb(ApiToken.__table__.table_valued()), Text)))
        assert made.token[4:] not in row
        assert made.token not in str(made.row.values)

    def test_a_scope_that_is_named_twice_counts_once(self, make):
        made = make(scopes=[TokenScope.TASKS_WRITE, TokenScope.TASKS_READ, TokenScope.TASKS_WRITE])

        assert made.row.values["scopes"] == ["tasks:read", "tasks:write"]

    def test_a_token_without_an_expiry_lives_for_a_year(self, make, session, clock):
        make()

        assert session.scalars(select(ApiToken.expires_at)).one() == clock() + MAX_LIFETIME

    @pytest.mark.parametrize("lifetime", [timedelta(seconds=1), MAX_LIFETIME])
    def test_an_expiry_within_a_year_is_taken(self, make, session, clock, lifetime):
        make(expires_at=clock() + lifetime)

        assert session.scalars(select(ApiToken.expires_at)).one() == clock() + lifetime

    @pytest.mark.parametrize("lifetime", [timedelta(days=-1), timedelta(), MAX_LIFETIME + timedelta(seconds=1)])
    def test_any_other_expiry_is_refused(self, make, session, clock, lifetime):
        with pytest.raises(InvalidError, match="expires_at"):
            make(expires_at=clock() + lifetime)

        assert count(session, ApiToken) == 0

    def test_a_user_has_a_limited_number_of_valid_tokens(self, make, service, ada_herself, factories, ada, clock):
        for number in range(MAX_VALID_TOKENS - 1):
            factories.ApiToken(owner_id=ada.id, name=f"Script {number}")
        factories.ApiToken(owner_id=ada.id, revoked_at=clock())
        factories.ApiToken(owner_id=ada.id, expires_at=clock())
        factories.ApiToken(owner_id=factories.User().id)
        last = make()

        with pytest.raises(TooManyTokensError):
            make()

        service.revoke(ada_herself, ada.id, last.row.values["id"])
        make()

    def test_an_admin_makes_tokens_for_a_service_account(self, make, services, boss, robot):
        made = make(boss, robot.id)

        assert services.actors.get_owner(digest_of(made.token)).username == "robot"

    def test_an_admin_makes_no_token_for_another_person(self, make, boss, ada, session):
        with pytest.raises(NotAServiceAccountError):
            make(boss, ada.id)

        assert count(session, ApiToken) == 0

    def test_an_admin_makes_no_token_for_an_inactive_service_account(self, make, boss, factories):
        with pytest.raises(ConflictError, match="not active"):
            make(boss, factories.ServiceAccount(is_active=False).id)

    def test_an_admin_finds_no_user_who_does_not_exist(self, make, boss):
        with pytest.raises(NotFoundError):
            make(boss, 999_999_999)

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_nobody_else_makes_tokens_for_a_service_account(self, make, factories, acting_as, robot, role):
        with pytest.raises(ForbiddenError):
            make(acting_as(factories.User(role=role)), robot.id)

    def test_a_token_makes_no_token(self, make, services):
        token_actor = services.actors.get_owner(digest_of(make().token))

        with pytest.raises(InsufficientScopeError):
            make(token_actor)

    def test_leaves_a_line_in_the_log_without_the_token(self, make, ada, caplog):
        caplog.set_level(logging.INFO)

        made = make()

        (line,) = [record for record in caplog.records if record.getMessage() == "API token made"]
        assert (line.user_id, line.token_id) == (ada.id, made.row.values["id"])
        assert made.token not in str([vars(record) for record in caplog.records])


class TestList:
    def test_shows_ones_own_tokens_by_id_in_pages(self, service, make, ada_herself, factories):
        names = [make(name=name).row.values["name"] for name in ("One", "Two", "Three")]
        factories.ApiToken(owner_id=factories.User().id)

        first = service.list_page(ada_herself, ada_herself.user_id, cursor=None, limit=2)
        second = service.list_page(ada_herself, ada_herself.user_id, cursor=first.next_cursor, limit=2)

        assert [item["name"] for item in first.items + second.items] == names
        assert second.next_cursor is None

    def test_an_admin_sees_the_tokens_of_others(self, service, make, boss, ada):
        made = make()

        page = service.list_page(boss, ada.id, cursor=None, limit=10)

        assert [item["id"] for item in page.items] == [made.row.values["id"]]

    def test_an_admin_finds_no_user_who_does_not_exist(self, service, boss):
        with pytest.raises(NotFoundError):
            service.list_page(boss, 999_999_999, cursor=None, limit=10)

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_nobody_else_sees_them(self, service, factories, acting_as, ada, role):
        with pytest.raises(ForbiddenError):
            service.list_page(acting_as(factories.User(role=role)), ada.id, cursor=None, limit=10)


class TestRevoke:
    def test_ends_the_token_at_once(self, service, make, services, ada_herself):
        made = make()
        assert services.actors.get_owner(digest_of(made.token))

        service.revoke(ada_herself, ada_herself.user_id, made.row.values["id"])

        with pytest.raises(TokenInvalidError):
            services.actors.get_owner(digest_of(made.token))

    def test_leaves_the_other_tokens_of_the_owner(self, service, make, services, ada_herself):
        revoked, other = make(), make()

        service.revoke(ada_herself, ada_herself.user_id, revoked.row.values["id"])

        assert services.actors.get_owner(digest_of(other.token))

    def test_again_keeps_the_first_time(self, service, make, ada_herself, session, clock):
        token_id = make().row.values["id"]
        service.revoke(ada_herself, ada_herself.user_id, token_id)
        first = clock()
        clock.advance(minutes=1)

        service.revoke(ada_herself, ada_herself.user_id, token_id)

        assert session.scalars(select(ApiToken.revoked_at)).one() == first

    def test_an_admin_revokes_the_token_of_another_user(self, service, make, services, boss, ada):
        made = make()

        service.revoke(boss, ada.id, made.row.values["id"])

        with pytest.raises(TokenInvalidError):
            services.actors.get_owner(digest_of(made.token))

    def test_a_token_is_found_only_under_its_owner(self, service, make, services, boss, ada_herself, factories):
        made = make()
        other = factories.ApiToken(owner_id=factories.User().id)

        with pytest.raises(NotFoundError):
            service.revoke(boss, other.owner_id, made.row.values["id"])
        with pytest.raises(NotFoundError):
            service.revoke(ada_herself, ada_herself.user_id, other.id)

        assert services.actors.get_owner(digest_of(made.token))

    def test_leaves_a_line_in_the_log(self, service, make, boss, ada, caplog):
        caplog.set_level(logging.INFO)
        token_id = make().row.values["id"]

        service.revoke(boss, ada.id, token_id)

        (line,) = [record for record in caplog.records if record.getMessage() == "API token revoked"]
        assert (line.user_id, line.token_id) == (boss.user_id, token_id)


class TestSweep:
    def test_deletes_tokens_that_ended_long_ago(self, services, factories, session, clock, ada):
        long_ago = clock() - timedelta(days=91)
        factories.ApiToken(owner_id=ada.id, name="expired", expires_at=long_ago)
        factories.ApiToken(owner_id=ada.id, name="revoked", revoked_at=long_ago)
        factories.ApiToken(owner_id=ada.id, name="lately", revoked_at=clock() - timedelta(days=89))
        factories.ApiToken(owner_id=ada.id, name="valid")

        services.login.sweep()

        assert set(session.scalars(select(ApiToken.name))) == {"lately", "valid"}
