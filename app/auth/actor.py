"""The actor: the user on whose behalf a use case runs, as a frozen value that is passed explicitly."""

from dataclasses import dataclass
from uuid import UUID

import orjson

from app.models.login.api_token import TokenScope
from app.models.people.user import Role

# Stands for the actor in a filter.
MYSELF = "me"


@dataclass(frozen=True, slots=True)
class Actor:
    user_id: int
    username: str
    role: Role
    project_ids: frozenset[int]
    # The session that the actor is logged in with; None for an actor without one, such as the operator.
    session_id: UUID | None = None
    # The API token that the actor uses, and what it is limited to. Both are None for an actor without a token.
    token_id: int | None = None
    scopes: frozenset[TokenScope] | None = None
    # The archived ones among the projects that the actor sees.
    archived_project_ids: frozenset[int] = frozenset()

    @property
    def sees_everything(self) -> bool:
        return self.role is Role.ADMIN

    def resolve_me(self, person: str | None) -> str | None:
        """Replace `me` in a filter with the actor's id."""
        return str(self.user_id) if person == MYSELF else person

    def to_json(self) -> bytes:
        session_id = None if self.session_id is None else str(self.session_id)
        return orjson.dumps(
            {
                "user_id": self.user_id,
                "username": self.username,
                "role": self.role.value,
                "project_ids": sorted(self.project_ids),
                "session_id": session_id,
                "token_id": self.token_id,
                "scopes": None if self.scopes is None else sorted(self.scopes),
                "archived_project_ids": sorted(self.archived_project_ids),
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> "Actor":
        values = orjson.loads(text)
        session_id, scopes = values["session_id"], values["scopes"]
        return cls(
            values["user_id"],
            values["username"],
            Role(values["role"]),
            frozenset(values["project_ids"]),
            None if session_id is None else UUID(session_id),
            values["token_id"],
            None if scopes is None else frozenset(map(TokenScope, scopes)),
            frozenset(values["archived_project_ids"]),
        )
