"""The days that the reports of the daily log cover, and readers of their numbers."""

from collections import Counter
from datetime import UTC, date, datetime

import orjson
from marshmallow import RAISE

from app.http.responses import envelope_of
from app.schemas.daily_log import LogDifferencePage

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 3, day) for day in (9, 10, 11))
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
NONE_OF_EACH = {"entered": 0, "left": 0, "changed": 0}


def diff(service, actor, since=MONDAY, until=TUESDAY, *, project=None, cursor=None, limit=200):
    """Read the body as a client gets it and check it against its schema."""
    page = service.diff(actor, since=since, until=until, project=project, cursor=cursor, limit=limit)
    counts = {} if page.counts is None else {"counts": page.counts}
    body = orjson.loads(envelope_of(page, **counts))
    assert LogDifferencePage(unknown=RAISE).validate(body) == {}
    assert page.next_cursor == body["next_cursor"]
    if cursor is None and body["next_cursor"] is None:
        counted = Counter(item["change"] for item in body["items"])
        assert body["counts"] == {**NONE_OF_EACH, **counted}
    return body


def changes_of(body):
    return {item["task_id"]: item["change"] for item in body["items"]}
