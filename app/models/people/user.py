"""Users and their roles."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from app.models.base import Base, word_enum
from app.models.people.username import skeleton_of


class Role(StrEnum):
    ADMIN = "admin"
    MANAGER = "manager"
    USER = "user"
    VIEWER = "viewer"


MAX_USERNAME_LENGTH = 64
MAX_EMAIL_LENGTH = 254
# The API uses these words in place of a username: the caller, and nobody.
RESERVED_USERNAMES = ("me", "none")


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    username: Mapped[str]
    # The skeleton of the username. None if an older user had the same skeleton when the column was added.
    username_skeleton: Mapped[str | None]
    # Both are None for users who cannot log in: service accounts, and unclaimed users, whom an import has created.
    email: Mapped[str | None]
    password_hash: Mapped[str | None]
    role: Mapped[Role] = mapped_column(word_enum(Role, "user_role"))
    time_zone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    # A service account is the user of a script, and acts by API tokens alone.
    is_service: Mapped[bool] = mapped_column(server_default=text("false"))
    # The user who took over the tasks and projects of this one, whom an import had made up.
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    version: Mapped[int] = mapped_column(server_default=text("1"))

    # Every UPDATE names the version that it was made from, so no update can be lost silently.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
    __table_args__ = (
        # A name belongs to one user, however it is capitalised.
        Index("uq_users_username", text("lower(username)"), unique=True),
        Index("uq_users_username_skeleton", "username_skeleton", unique=True),
        Index("uq_users_email", text("lower(email)"), unique=True),
        CheckConstraint(f"char_length(username) BETWEEN 1 AND {MAX_USERNAME_LENGTH}", "username_length"),
        CheckConstraint(f"char_length(email) <= {MAX_EMAIL_LENGTH}", "email_length"),
        CheckConstraint("NOT is_active OR password_hash IS NOT NULL OR is_service", "active_can_act"),
        CheckConstraint("NOT is_service OR password_hash IS NULL AND email IS NULL", "service_cannot_log_in"),
        CheckConstraint(
            "merged_into_id IS NULL OR NOT is_active AND password_hash IS NULL AND NOT is_service"
            " AND merged_into_id <> id",
            "merged_cannot_log_in",
        ),
    )

    @validates("username")
    def _look_at(self, _key: str, username: str) -> str:
        if self.username is None or username.lower() != self.username.lower():
            self.username_skeleton = skeleton_of(username)
        return username
