"""The SQL of an import's people: its owner, and the assignees that its rows name."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.login.api_token import ApiToken
from app.models.login.session import LoginSession
from app.models.people.user import User
from app.models.people.username import skeleton_of
from app.models.projects.project import Project, ProjectMember
from app.repositories.imports.batches import Person

# A match by email address comes first: a username may look like an address, but then its user cannot log in. A user
# without a password, whom only imports name, may be assigned in every project. The name of a merged user means the user
# that it was merged into. A service account is a user like others.
_FIND = text("""
    SELECT DISTINCT ON (named.name) named.name, u.id, lower(u.username),
           u.role = 'admin' OR u.password_hash IS NULL AND NOT u.is_service
           OR EXISTS (SELECT FROM projects AS p WHERE p.id = :project_id AND p.includes_everyone)
           OR EXISTS (SELECT FROM project_members AS m WHERE m.project_id = :project_id AND m.user_id = u.id)
      FROM unnest(CAST(:names AS text[])) AS named (name)
      JOIN users AS n ON lower(n.email) = lower(named.name) OR lower(n.username) = lower(named.name)
      JOIN users AS u ON u.id = coalesce(n.merged_into_id, n.id)
     ORDER BY named.name, lower(n.email) IS DISTINCT FROM lower(named.name)
""")
# In the order of their ids, so that two imports and a merge cannot wait for each other in a circle.
_LOCK_UNCLAIMED = text("""
    SELECT u.id FROM users AS u
     WHERE lower(u.username) = ANY (SELECT lower(name) FROM unnest(CAST(:names AS text[])) AS named (name))
       AND u.password_hash IS NULL AND NOT u.is_service AND u.merged_into_id IS NULL
     ORDER BY u.id
       FOR KEY SHARE
""")
# The first spelling of each name becomes an inactive user.
_ADD = text("""
    INSERT INTO users (username, username_skeleton, role, is_active)
    SELECT DISTINCT ON (skeleton) name, skeleton, 'user'::user_role, false
      FROM unnest(CAST(:names AS text[]), CAST(:skeletons AS text[])) WITH ORDINALITY AS named (name, skeleton, place)
     ORDER BY skeleton, place
    ON CONFLICT DO NOTHING
""")
_FIND_LIKE = text("""
    SELECT named.name
      FROM unnest(CAST(:names AS text[]), CAST(:skeletons AS text[])) AS named (name, skeleton)
      JOIN users AS u ON u.username_skeleton = named.skeleton
""")


@dataclass(frozen=True, slots=True)
class Importer:
    """The owner of an import as an actor, with their present role. Of their projects, only the import's is read."""

    actor: Actor
    is_active: bool
    is_project_archived: bool


class ImportPeopleRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get_importer(self, user_id: int, project_id: int) -> Importer:
        """Read the owner from the database at each call, past the cache and this session's earlier reads."""
        is_member = exists().where(ProjectMember.project_id == Project.id, ProjectMember.user_id == User.id)
        statement = (
            select(
                User.username,
                User.role,
                User.is_active,
                (Project.includes_everyone | is_member).label("is_in_project"),
                Project.archived_at,
            )
            .join_from(User, Project, Project.id == project_id)
            .where(User.id == user_id)
        )
        row = self._session.execute(statement).one()
        project_ids = frozenset({project_id} if row.is_in_project else ())
        return Importer(Actor(user_id, row.username, row.role, project_ids), row.is_active, row.archived_at is not None)

    def is_logged_in(self, user_id: int, session_id: UUID, *, at: datetime) -> bool:
        statement = select(LoginSession.ended_at.is_(None) & (LoginSession.expires_at > at)).where(
            LoginSession.id == session_id, LoginSession.user_id == user_id
        )
        return bool(self._session.scalar(statement))

    def holds_token(self, user_id: int, token_id: int, *, at: datetime) -> bool:
        """True if the API token is still valid."""
        statement = select(ApiToken.revoked_at.is_(None) & (ApiToken.expires_at > at)).where(
            ApiToken.id == token_id, ApiToken.owner_id == user_id
        )
        return bool(self._session.scalar(statement))

    def find(self, project_id: int, names: Collection[str]) -> dict[str, Person]:
        """Find the person for each name that is a username or an email address. Letter case does not matter."""
        rows = self._session.execute(_FIND, {"project_id": project_id, "names": [*names]})
        return {name: Person(user_id, username, may_be_assigned) for name, user_id, username, may_be_assigned in rows}

    def lock_unclaimed(self, names: Collection[str]) -> None:
        """Keep users who have no password from being merged until the commit. Call it before `find`."""
        self._session.execute(_LOCK_UNCLAIMED, {"names": [*names]})

    def add(self, names: Collection[str]) -> None:
        """Create inactive users for names that no user has. Idempotent. Skips names that look like an existing one."""
        self._session.execute(_ADD, _with_skeletons(names))

    def find_look_alikes(self, names: Collection[str]) -> set[str]:
        """Return those names that look like an existing username. The caller passes only names that no user has."""
        return set(self._session.scalars(_FIND_LIKE, _with_skeletons(names)))


def _with_skeletons(names: Collection[str]) -> dict[str, list[str]]:
    return {"names": [*names], "skeletons": [skeleton_of(name) for name in names]}
