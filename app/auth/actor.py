"""Who is asking: a frozen value that is passed explicitly, never looked up."""

from dataclasses import dataclass
from uuid import UUID

import orjson

from app.models.people.user import Role


@dataclass(frozen=True, slots=True)
class Actor:
    user_id: int
    username: str
    role: Role
    project_ids: frozenset[int]
    session_id: UUID

    @property
    def sees_everything(self) -> bool:
        return self.role is Role.ADMIN

    def meant_by(self, person: str | None) -> str | None:
        """Whom a filter means that may say `me`."""
        return str(self.user_id) if person == "me" else person

    def to_json(self) -> bytes:
        return orjson.dumps(
            [self.user_id, self.username, self.role.value, sorted(self.project_ids), str(self.session_id)]
        )

    @classmethod
    def from_json(cls, text: bytes) -> "Actor":
        user_id, username, role, project_ids, session_id = orjson.loads(text)
        return cls(user_id, username, Role(role), frozenset(project_ids), UUID(session_id))
