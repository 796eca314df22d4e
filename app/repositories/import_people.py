"""The SQL of the assignees that an import names: who is known, who may be assigned, and users for the others."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.repositories.import_batches import Person

# By address before by name: a name may look like one, and stands for nobody who can log in then. Whom only imports
# know may be assigned everywhere.
_FIND = text("""
    SELECT DISTINCT ON (named.name) named.name, u.id, lower(u.username),
           u.role = 'admin' OR u.password_hash IS NULL
           OR EXISTS (SELECT FROM projects AS p WHERE p.id = :project_id AND p.includes_everyone)
           OR EXISTS (SELECT FROM project_members AS m WHERE m.project_id = :project_id AND m.user_id = u.id)
      FROM unnest(CAST(:names AS text[])) AS named (name)
      JOIN users AS u ON lower(u.email) = lower(named.name) OR lower(u.username) = lower(named.name)
     ORDER BY named.name, lower(u.email) IS DISTINCT FROM lower(named.name)
""")
# The first spelling of each becomes an inactive user.
_ADD = text("""
    INSERT INTO users (username, role, is_active)
    SELECT DISTINCT ON (lower(name)) name, 'user'::user_role, false
      FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS named (name, place)
     ORDER BY lower(name), place
    ON CONFLICT DO NOTHING
""")
# Whom only imports know is in every project that imports name them in, ready for whoever claims the account.
_ADD_UNCLAIMED_MEMBERS = text("""
    INSERT INTO project_members (project_id, user_id)
    SELECT DISTINCT p.id, u.id
      FROM unnest(CAST(:names AS text[])) AS named (name)
      JOIN users AS u ON lower(u.username) = lower(named.name) AND u.password_hash IS NULL
      JOIN projects AS p ON p.id = :project_id AND NOT p.includes_everyone
     ORDER BY p.id, u.id
    ON CONFLICT DO NOTHING
""")


class ImportPeopleRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, project_id: int, names: Collection[str]) -> dict[str, Person]:
        """Those of the names that somebody has, as username or address, in any case."""
        rows = self._session.execute(_FIND, {"project_id": project_id, "names": [*names]})
        return {name: Person(user_id, username, may_be) for name, user_id, username, may_be in rows}

    def add(self, names: Collection[str]) -> None:
        """Make inactive users of names that nobody has. Idempotent."""
        self._session.execute(_ADD, {"names": [*names]})

    def add_unclaimed_members(self, project_id: int, names: Collection[str]) -> None:
        self._session.execute(_ADD_UNCLAIMED_MEMBERS, {"project_id": project_id, "names": [*names]})
