"""/api/v1/events: what has happened since a client looked last, without a gap."""

from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import EventsExpiredError
from app.http.identity.access import current_actor, requires
from app.http.openapi import Blueprint, raises
from app.http.responses import value_response
from app.schemas.events import EventQuery, Events, page_values

blueprint = Blueprint("events", __name__, url_prefix="/api/v1/events", description="What has happened, in order")


@blueprint.get("")
@requires(Permission.TASK_READ)
@blueprint.arguments(EventQuery, location="query")
@blueprint.response(200, Events)
@raises(EventsExpiredError)
def list_events(query: dict[str, Any]) -> Response:
    """List what has happened in your projects after a cursor, oldest first.

    Begin without `after`: the answer has no events, and the cursor of now. Then send each `next_cursor` as `after`.
    Every change is in the feed, whether it came through the API, from an import or from SQL. None is missed or
    repeated, and those of one task come in the order of its versions. A statement that changes more than 100
    tasks is one event. Events are kept for 30 days.
    """
    return value_response(page_values(services().event_feed.list_page(current_actor(), **query)))
