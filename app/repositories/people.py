"""The SQL of users: finding, adding and listing them."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.database.engine import violated_constraint
from app.database.prepared import parameter
from app.errors import EmailTakenError, UsernameTakenError
from app.models.people.user import Role, User
from app.queries.pages import Page, VersionedRow, decode_cursor, is_integer
from app.repositories.pages import AnySelect, json_text, page_of

USER_FIELDS: dict[str, Any] = {
    "id": User.id,
    "username": User.username,
    "email": User.email,
    "role": User.role,
    "time_zone": User.time_zone,
    "is_active": User.is_active,
    "is_service": User.is_service,
    "merged_into_id": User.merged_into_id,
    "created_at": User.created_at,
    "updated_at": User.updated_at,
    "version": User.version,
}
# Made once: SQLAlchemy takes longer to make a statement than to load a user with it. The lock is an exclusive one,
# because a merge must wait for the imports that hold a shared lock on the key of the user.
_LOCKED = (
    select(User)
    .where(User.id == parameter("user_id", BigInteger))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_BY_USERNAME = select(User).where(func.lower(User.username) == func.lower(parameter("name", Text)))
_BY_LOGIN_NAME = _BY_USERNAME.where(~User.is_service)
_BY_EMAIL = select(User).where(func.lower(User.email) == func.lower(parameter("name", Text)))
# A service account cannot log in, so it is not an admin who could help when no other one is left.
_IS_ADMIN = (User.role == Role.ADMIN, User.is_active, ~User.is_service)
# Every change of the set of admins takes this lock first, so that two admins cannot remove each other.
ADMIN_ROLL_LOCK = 7_203_114_119


def id_of_name(name: ColumnElement[str]) -> ColumnElement[int]:
    """The id of the user whom `UserRepository.get_by_name` finds."""
    of_email = select(User.id).where(func.lower(User.email) == func.lower(name)).scalar_subquery()
    of_username = select(User.id).where(func.lower(User.username) == func.lower(name)).scalar_subquery()
    return func.coalesce(of_email, of_username)


class UserRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, user_id: int) -> User | None:
        return self._session.get(User, user_id)

    def get_for_update(self, user_id: int) -> User | None:
        return self._session.scalar(_LOCKED, {"user_id": user_id})

    def replace_hash(self, user_id: int, old_hash: str, new_hash: str) -> None:
        """Replace the hash of a password that stays, unless it has changed. The user's version stays too."""
        is_same = (User.id == user_id, User.password_hash == old_hash)
        statement = update(User).where(*is_same).values(password_hash=new_hash)
        self._session.execute(statement.execution_options(synchronize_session=False))

    def get_shared(self, user_id: int) -> User | None:
        """The user with current values, who cannot be changed until the commit, but can be assigned tasks meanwhile."""
        statement = select(User).where(User.id == user_id).with_for_update(read=True)
        return self._session.scalar(statement.execution_options(populate_existing=True))

    def find_ids(self, names: Collection[str]) -> dict[str, int]:
        """The id of each name that is an email address or a username of a user, as `get_by_name` finds it."""
        named = func.unnest(parameter("names", ARRAY(Text))).column_valued("name")
        statement = select(named, id_of_name(named)).params(names=[*names])
        return {name: user_id for name, user_id in self._session.execute(statement) if user_id is not None}

    def lock_shared(self, user_ids: Collection[int]) -> None:
        """Keep the users from being changed until the commit, as `get_shared` does. Locks in the order of their ids."""
        users = select(User.id).where(User.id.in_(user_ids)).order_by(User.id)
        self._session.execute(users.with_for_update(read=True))

    def get_by_login(self, login: str) -> User | None:
        """Find a user who is not a service account by username or email.

        A user whose name contains an @ cannot log in, so an @ means an email.
        """
        return self._session.scalar(_BY_EMAIL if "@" in login else _BY_LOGIN_NAME, {"name": login})

    def get_by_username(self, username: str) -> User | None:
        return self._session.scalar(_BY_USERNAME, {"name": username})

    def get_by_name(self, name: str) -> User | None:
        """Find a user by email address or, if nobody has the address, by username. Letter case does not matter."""
        user = self._session.scalar(_BY_EMAIL, {"name": name}) if "@" in name else None
        return user or self.get_by_username(name)

    def get_unclaimed_for_update(self, username: str) -> User | None:
        """An account that an import created, and that has no password and was not merged into another one.

        Locked until the commit, with current values.
        """
        is_unclaimed = (User.password_hash.is_(None), User.merged_into_id.is_(None))
        statement = _BY_LOGIN_NAME.where(*is_unclaimed).params(name=username)
        return self._session.scalar(statement.with_for_update().execution_options(populate_existing=True))

    def has_admin(self) -> bool:
        return self._session.scalar(select(User.id).where(*_IS_ADMIN).limit(1)) is not None

    def lock_admin_roll(self) -> None:
        self._session.execute(select(func.pg_advisory_xact_lock(ADMIN_ROLL_LOCK)))

    def count_other_admins(self, user_id: int) -> int:
        statement = select(func.count()).where(*_IS_ADMIN, User.id != user_id)
        return self._session.scalar(statement) or 0

    def add(self, user: User) -> None:
        """Flushes, so that a taken name or address is an error here. Raises UsernameTakenError or EmailTakenError."""
        self._session.add(user)
        self.flush()

    def flush(self) -> None:
        """Raises UsernameTakenError or EmailTakenError if another user has the name, a similar one, or the address."""
        try:
            self._session.flush()
        except IntegrityError as error:
            match violated_constraint(error):
                case "uq_users_username":
                    raise UsernameTakenError("the username is taken") from error
                case "uq_users_username_skeleton":
                    raise UsernameTakenError("the username looks like one that is taken") from error
                case "uq_users_email":
                    raise EmailTakenError("the email address is taken") from error
            raise

    def get_row(self, user_id: int) -> VersionedRow | None:
        statement = select(json_text(USER_FIELDS), User.id, User.version).where(User.id == user_id)
        row = self._session.execute(statement).one_or_none()
        return None if row is None else VersionedRow(row[0].encode(), row.id, row.version)

    def list_page(self, *, q: str | None, cursor: str | None, limit: int) -> Page:
        statement: AnySelect = select(json_text(USER_FIELDS), cast(User.id, Text), User.id)
        if q:
            statement = statement.where(User.username.icontains(q, autoescape=True))
        if cursor is not None:
            statement = statement.where(User.id > decode_cursor(cursor, "id", is_integer).id)
        rows = self._session.execute(statement.order_by(User.id).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="id", total=None)
