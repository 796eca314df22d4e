"""The feed of events: numbering what has happened, and reading it without a gap. See docs/adr/035."""

from datetime import timedelta

from app.auth.actor import Actor
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import EventsExpiredError
from app.queries.events import EventPage, Feed, FeedEvent
from app.repositories.events import EventRepository

BATCH_EVENTS = 1_000
# A request for a few events reads this many at once, since its client may not see all of them.
MIN_READ_EVENTS = 200
# A request looks through this many events for those that its client may see.
MAX_SCANNED_EVENTS = 5_000
# One job numbers at most this many; the next one continues.
MAX_NUMBERED_EVENTS = 100_000
KEEPING_TIME = timedelta(days=30)
SWEEP_SLICE = timedelta(seconds=20)
SWEEP_BATCH_ROWS = 10_000


class EventFeed:
    def __init__(self, uow: UnitOfWork, events: EventRepository, clock: Clock) -> None:
        self._uow = uow
        self._events = events
        self._now = clock

    def list_page(self, actor: Actor, *, after: str | None, limit: int) -> EventPage:
        """The next events after a cursor that the actor may see. Without a cursor, none, and the cursor of now.

        Numbers new events first. What another session numbers at this moment comes with the next page.
        Raises EventsExpiredError for a cursor from which the feed can no longer continue.
        """
        with self._uow.single_statements():
            self._events.number(batch=BATCH_EVENTS)
            feed = self._events.get_feed()
            position = feed.head if after is None else _position_of(feed, after)
            # Read after the head. With the actor's projects of a moment before, the events of a project that has just
            # become theirs would be passed over for good.
            project_ids = None if actor.sees_everything else self._events.list_project_ids(actor.user_id)
            seen: list[FeedEvent] = []
            last = min(feed.head, position + MAX_SCANNED_EVENTS)
            while position < last and len(seen) < limit:
                batch = self._events.list_after(position, limit=min(max(limit, MIN_READ_EVENTS), last - position))
                if not batch or batch[0].position != position + 1:
                    # They were deleted meanwhile.
                    raise _expired()
                for event in batch:
                    position = event.position
                    shown = event.seen_by(actor.user_id, project_ids)
                    if shown is not None:
                        seen.append(shown)
                        if len(seen) == limit:
                            break
        return EventPage(feed, seen, position)

    def number(self) -> None:
        """Number what nobody reads at the moment, so that the outbox stays short."""
        for _ in range(MAX_NUMBERED_EVENTS // BATCH_EVENTS):
            with self._uow.single_statements():
                before = self._events.get_feed().head
                head = self._events.number(batch=BATCH_EVENTS)
            if head is None or head - before < BATCH_EVENTS:
                return

    def sweep(self) -> None:
        """Delete events that are older than KEEPING_TIME, in batches, for a limited time."""
        until, is_more = self._now() + SWEEP_SLICE, True
        while is_more and self._now() < until:
            with self._uow.transaction():
                deleted = self._events.delete_older(before=self._now() - KEEPING_TIME, limit=SWEEP_BATCH_ROWS)
            is_more = deleted == SWEEP_BATCH_ROWS


def _position_of(feed: Feed, cursor: str) -> int:
    position = feed.position_of(cursor)
    if position is None:
        raise _expired()
    return position


def _expired() -> EventsExpiredError:
    return EventsExpiredError(
        "the feed cannot continue from there; read your lists anew, then the feed without `after`"
    )
