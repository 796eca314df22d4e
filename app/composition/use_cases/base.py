"""What all use cases of one request or job share: its session, its unit of work, its calendar."""

import hmac
from functools import cached_property, partial

from app.auth.password_rules import PasswordRules
from app.cache import CacheView, Glance
from app.clock import Calendar
from app.composition.reactions import react_to
from app.composition.resources import Resources
from app.database.engine import DatabaseSession
from app.database.unit_of_work import UnitOfWork


class UseCases:
    """Makes the services of one request or job, each when it is first asked for."""

    def __init__(self, resources: Resources, *, request_id: str | None = None, glance: Glance | None = None) -> None:
        """`glance` is what a request has learnt from the cache's server already."""
        self._resources = resources
        self._settings = resources.settings
        self._request_id = request_id
        self._cache = CacheView(resources.cache, glance)

    @cached_property
    def _session(self) -> DatabaseSession:
        return self._resources.new_session()

    @cached_property
    def _uow(self) -> UnitOfWork:
        react = partial(react_to, self._resources, self._cache, request_id=self._request_id)
        return UnitOfWork(self._session, react, request_id=self._request_id)

    @cached_property
    def _calendar(self) -> Calendar:
        return Calendar(self._resources.clock, self._settings.time_zone)

    def _key_for(self, purpose: bytes) -> bytes:
        """A secret key for one purpose, derived from the secret of this installation."""
        return hmac.digest(self._settings.jwt_secret_key.encode(), purpose, "sha256")

    @property
    def _password_rules(self) -> PasswordRules:
        return PasswordRules(self._settings.password_min_length)
