"""The shape of the feed of events."""

from typing import Any

from marshmallow import Schema, fields, validate

from app.queries.events import EventPage, Feed, FeedEvent
from app.schemas.base import Moment, StrictSchema

DEFAULT_EVENTS = 200
MAX_EVENTS = 1_000
MAX_EVENT_CURSOR_LENGTH = 64


class EventQuery(StrictSchema):
    after = fields.String(
        load_default=None,
        validate=validate.Length(max=MAX_EVENT_CURSOR_LENGTH),
        metadata={"description": "the `next_cursor` of the page before; without it, the feed begins now"},
    )
    limit = fields.Integer(
        load_default=DEFAULT_EVENTS,
        validate=validate.Range(1, MAX_EVENTS),
        metadata={"description": "events per page"},
    )


class TaskOfEvent(Schema):
    id = fields.Integer(required=True)
    ref = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`null` if the task was removed for good, or has left the project since"},
    )
    version = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "the version that the event has made; apply it only over an older one"},
    )


class Event(Schema):
    id = fields.String(required=True, metadata={"description": "the cursor behind this event: `after` takes it too"})
    kind = fields.String(required=True, metadata={"example": "task.changed"})
    occurred_at = Moment(required=True)
    actor = fields.String(required=True, allow_none=True, metadata={"description": "the user who did it"})
    project = fields.String(
        required=True, allow_none=True, metadata={"description": "`null`: tasks of any project may have changed"}
    )
    task = fields.Nested(TaskOfEvent, required=True, allow_none=True)
    changed = fields.List(
        fields.String(), required=True, allow_none=True, metadata={"description": "the fields that have changed"}
    )
    comment_id = fields.Integer(required=True, allow_none=True)
    member = fields.String(
        required=True, allow_none=True, metadata={"description": "the user who was added to the project, or removed"}
    )
    count = fields.Integer(
        required=True, allow_none=True, metadata={"description": "of the tasks or comments that were changed at once"}
    )


class Events(Schema):
    items = fields.List(fields.Nested(Event), required=True)
    next_cursor = fields.String(required=True, metadata={"description": "always there: send it as `after` next time"})
    has_more = fields.Boolean(required=True, metadata={"description": "more events are waiting already"})


def event_values(feed: Feed, event: FeedEvent) -> dict[str, Any]:
    """An event as clients see it."""
    task = event.task
    return {
        "id": feed.cursor_at(event.position),
        "kind": event.kind,
        "occurred_at": event.occurred_at,
        "actor": event.actor,
        "project": event.project,
        "task": None if task is None else {"id": task.id, "ref": task.ref, "version": task.version},
        "changed": event.changed,
        "comment_id": event.comment_id,
        "member": event.member,
        "count": event.count,
    }


def page_values(page: EventPage) -> dict[str, Any]:
    return {
        "items": [event_values(page.feed, event) for event in page.events],
        "next_cursor": page.next_cursor,
        "has_more": page.has_more,
    }
