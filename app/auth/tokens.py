"""What tokens say: the claims that `http/authentication.py` signs and reads."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Grant:
    """What a log-in or a refresh gives: the right to an access token now and to one refresh later."""

    user_id: int
    session_id: UUID
    refresh_id: UUID
    expires_at: datetime
