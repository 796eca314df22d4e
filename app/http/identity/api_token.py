"""Authentication by API token, in the same header as a log-in's token: `Authorization: Bearer ttp_…`."""

from dataclasses import dataclass

from flask import current_app

from app.auth.actor import Actor
from app.auth.api_tokens import PREFIX, digest_of
from app.auth.tokens import caller_of

# The start of the header. The scheme may be in any case.
_PREFIX_AT = slice(len("Bearer "), len("Bearer ") + len(PREFIX))
MAX_ACCEPTED_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token whose checksum is right. Only the database knows whether it exists."""

    digest: bytes
    # The name that limits count this caller under: the owner's, once this process has accepted the token. None before
    # that, so that requests with invented tokens count for their address.
    caller: str | None


class ApiTokens:
    """Reads tokens from requests, and remembers the owners of those that this process has accepted."""

    def __init__(self) -> None:
        self._owner_ids: dict[bytes, int] = {}

    def read(self, header: str) -> PresentedToken:
        """Raises UnauthenticatedError for a token that was mistyped."""
        digest = digest_of(header[_PREFIX_AT.start :])
        owner_id = self._owner_ids.get(digest)
        return PresentedToken(digest, None if owner_id is None else caller_of(owner_id))

    def accept(self, token: PresentedToken, owner: Actor) -> None:
        if len(self._owner_ids) >= MAX_ACCEPTED_TOKENS:
            self._owner_ids.clear()
        self._owner_ids[token.digest] = owner.user_id

    def refuse(self, token: PresentedToken) -> None:
        """Forget a token that is no longer valid."""
        self._owner_ids.pop(token.digest, None)


def holds_api_token(header: str) -> bool:
    """Tell an API token from the token of a log-in, by its prefix."""
    return header[_PREFIX_AT] == PREFIX and header[: _PREFIX_AT.start].lower() == "bearer "


def api_tokens() -> ApiTokens:
    tokens: ApiTokens = current_app.extensions["api_tokens"]
    return tokens
