"""What a service says when it does not find what it was asked for."""

from typing import NoReturn

from app.errors import NotFoundError


def not_found(what: str, key: object) -> NoReturn:
    """The same words whether there is no such thing or none that the actor may know of."""
    raise NotFoundError(f"there is no {what} {key}")
