"""The SQL of log-in sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from app.database.prepared import PlannedOnce, parameter
from app.models.login.session import LoginSession
from app.models.people.user import User
from app.models.projects.project import Project, ProjectMember
from app.repositories.sweeping import delete_some


class SessionRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, login_session: LoginSession) -> None:
        # The driver does not know UUIDs.
        ids = {"id": str(login_session.id), "refresh_id": str(login_session.refresh_id)}
        values = {**ids, "user_id": login_session.user_id, "expires_at": login_session.expires_at}
        _INSERT.write(self._session, values)

    def get_with_user(self, session_id: UUID, user_id: int) -> Any | None:
        """The session of that user as `LoginSession`, with `username`, `role`, `is_active` and `project_ids`.

        The projects are those that the user is a member of, and those that include everybody.
        """
        is_member = (
            select(ProjectMember.project_id)
            .where(ProjectMember.user_id == user_id, ProjectMember.project_id == Project.id)
            .exists()
        )
        project_ids = select(Project.id).where(Project.includes_everyone | is_member)
        statement = (
            select(
                LoginSession,
                User.username,
                User.role,
                User.is_active,
                func.array(project_ids.scalar_subquery()).label("project_ids"),
            )
            .join(User, User.id == LoginSession.user_id)
            .where(LoginSession.id == session_id, User.id == user_id)
            .execution_options(populate_existing=True)
        )
        return self._session.execute(statement).one_or_none()

    def get_for_update(self, session_id: UUID) -> LoginSession | None:
        return self._session.get(LoginSession, session_id, with_for_update=True, populate_existing=True)

    def list_open_of(self, user_id: int, *, at: datetime) -> Sequence[LoginSession]:
        statement = select(LoginSession).where(
            LoginSession.user_id == user_id, LoginSession.ended_at.is_(None), LoginSession.expires_at > at
        )
        return self._session.scalars(statement.order_by(LoginSession.expires_at.desc(), LoginSession.id)).all()

    def end_all_of(self, user_id: int, *, at: datetime, except_id: UUID | None = None) -> None:
        statement = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
        if except_id is not None:
            statement = statement.where(LoginSession.id != except_id)
        self._session.execute(statement.values(ended_at=at))

    def delete_expired(self, *, before: datetime, limit: int) -> int:
        """Delete up to `limit` expired sessions; return how many were deleted."""
        return delete_some(self._session, LoginSession, LoginSession.expires_at < before, limit=limit)


_INSERT = PlannedOnce(
    insert(LoginSession)
    .values(
        {
            name: parameter(name, LoginSession.__table__.c[name].type)
            for name in ("id", "user_id", "refresh_id", "expires_at")
        }
    )
    .returning(LoginSession.user_id)
)
