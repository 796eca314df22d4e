"""The SQL of API tokens."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, LargeBinary, Text, cast, func, select, update
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.database.prepared import PlannedOnce, parameter
from app.models.login.api_token import ApiToken, TokenScope
from app.models.people.user import Role, User
from app.queries.pages import JsonRow, Page, decode_cursor, is_integer
from app.repositories.pages import AnySelect, json_text, page_of
from app.repositories.projects import project_ids_of_user
from app.repositories.sweeping import delete_some

TOKEN_FIELDS: dict[str, Any] = {
    "id": ApiToken.id,
    "owner_id": ApiToken.owner_id,
    "name": ApiToken.name,
    "scopes": ApiToken.scopes,
    "created_at": ApiToken.created_at,
    "expires_at": ApiToken.expires_at,
    "last_used_at": ApiToken.last_used_at,
    "revoked_at": ApiToken.revoked_at,
}


@dataclass(frozen=True, slots=True)
class ValidToken:
    """A token that is valid now, and its owner as an actor with the token's scopes."""

    id: int
    owner: Actor
    expires_at: datetime
    last_used_at: datetime | None


class ApiTokenRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def find_valid(self, digest: bytes, *, at: datetime) -> ValidToken | None:
        """None unless there is such a token, valid at this time, and its owner is active."""
        rows = _FIND_VALID.rows(self._session, {"digest": digest, "at": at})
        if not rows:
            return None
        (row,) = rows
        owner = Actor(
            row.owner_id,
            row.username,
            Role(row.role),
            frozenset(row.project_ids),
            token_id=row.id,
            scopes=frozenset(scope for scope in TokenScope if scope in row.scopes),
            archived_project_ids=frozenset(row.archived_project_ids),
        )
        return ValidToken(row.id, owner, row.expires_at, row.last_used_at)

    def note_use(self, token_id: int, *, at: datetime, unless_since: datetime) -> None:
        """Note that the token was used, unless that was noted at a later time than `unless_since`.

        Never waits: whoever has locked the row is noting a use too, or is revoking the token.
        """
        _NOTE_USE.write(self._session, {"token_id": token_id, "at": at, "unless_since": unless_since})

    def count_valid(self, owner_id: int, *, at: datetime) -> int:
        statement = select(func.count()).where(ApiToken.owner_id == owner_id, *_is_valid(at))
        return self._session.scalar(statement) or 0

    def add(self, token: ApiToken) -> None:
        """Flushes, because the row of the answer needs the id."""
        self._session.add(token)
        self._session.flush()

    def get_for_update(self, owner_id: int, token_id: int) -> ApiToken | None:
        """A token of this owner. Locked until the commit, with current values."""
        statement = select(ApiToken).where(ApiToken.id == token_id, ApiToken.owner_id == owner_id).with_for_update()
        return self._session.scalar(statement.execution_options(populate_existing=True))

    def revoke_all_of(self, owner_id: int, *, at: datetime) -> None:
        statement = update(ApiToken).where(ApiToken.owner_id == owner_id, ApiToken.revoked_at.is_(None))
        self._session.execute(statement.values(revoked_at=at))

    def get_row(self, token_id: int) -> JsonRow:
        statement = select(json_text(TOKEN_FIELDS)).where(ApiToken.id == token_id)
        return JsonRow(self._session.execute(statement).scalar_one().encode())

    def list_page(self, owner_id: int, *, cursor: str | None, limit: int) -> Page:
        statement: AnySelect = select(json_text(TOKEN_FIELDS), cast(ApiToken.id, Text), ApiToken.id)
        statement = statement.where(ApiToken.owner_id == owner_id)
        if cursor is not None:
            statement = statement.where(ApiToken.id > decode_cursor(cursor, "id", is_integer).id)
        rows = self._session.execute(statement.order_by(ApiToken.id).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="id", total=None)

    def delete_ended(self, *, before: datetime, limit: int) -> int:
        """Delete up to `limit` tokens that expired or were revoked before this time; return how many were deleted."""
        has_ended = (ApiToken.expires_at < before) | (ApiToken.revoked_at < before)
        return delete_some(self._session, ApiToken, has_ended, limit=limit)


def _is_valid(at: Any) -> Collection[ColumnElement[bool]]:
    return ApiToken.revoked_at.is_(None), ApiToken.expires_at > at


_AT = parameter("at", DateTime(timezone=True))
_FIND_VALID = PlannedOnce(
    select(
        ApiToken.id,
        ApiToken.owner_id,
        ApiToken.scopes,
        ApiToken.expires_at,
        ApiToken.last_used_at,
        User.username,
        User.role,
        *project_ids_of_user(),
    )
    .join(User, User.id == ApiToken.owner_id)
    .where(ApiToken.digest == parameter("digest", LargeBinary), *_is_valid(_AT), User.is_active)
)
_NOTE_USE = PlannedOnce(
    update(ApiToken)
    .where(
        ApiToken.id
        == select(ApiToken.id)
        .where(
            ApiToken.id == parameter("token_id", BigInteger),
            ApiToken.last_used_at.is_(None)
            | (ApiToken.last_used_at <= parameter("unless_since", DateTime(timezone=True))),
        )
        .with_for_update(skip_locked=True)
        .correlate(None)
        .scalar_subquery()
    )
    .values(last_used_at=_AT)
    .returning(ApiToken.id, func.set_config("synchronous_commit", "off", True))
)
