"""How the service of the feed is made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.events import EventRepository
from app.services.events import EventFeed


class EventUseCases(UseCases):
    @cached_property
    def event_feed(self) -> EventFeed:
        return EventFeed(self._uow, EventRepository(self._session), self._resources.clock)
