"""The claims of tokens, which `http/authentication.py` signs and reads."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Grant:
    """A log-in or a refresh grants this: the right to an access token now and to one refresh later."""

    user_id: int
    session_id: UUID
    refresh_id: UUID
    expires_at: datetime
