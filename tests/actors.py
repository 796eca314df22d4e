"""Actors made from users, for calling services."""

from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.people.user import User
from app.repositories.login.sessions import SessionRepository
from tests import factories


def actor_of(session: Session, user: User) -> Actor:
    """The user as an actor, logged in with a new session."""
    login_session = factories.LoginSession(user_id=user.id)
    row = SessionRepository(session).get_with_user(login_session.id, user.id)
    assert row is not None
    return Actor(
        user.id,
        user.username,
        user.role,
        frozenset(row.project_ids),
        login_session.id,
        archived_project_ids=frozenset(row.archived_project_ids),
    )
