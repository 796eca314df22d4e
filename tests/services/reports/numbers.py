"""Read a report and compare its numbers with the lists that it links to."""

from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import orjson
from marshmallow import RAISE

from app.http.responses import envelope_of
from app.routes.reports import with_links
from app.schemas.reports import AgingReport, CycleTimeReport, FlowReport
from app.schemas.tasks.queries import TaskListQuery

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 3, day) for day in (9, 10, 11, 12))
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)


def flow(service, actor, since=MONDAY, until=None, *, project=None):
    return shown(FlowReport, service.flow(actor, since=since, until=until, project=project))


def cycle_time(service, actor, since=None, until=None, *, project=None):
    return shown(CycleTimeReport, service.cycle_time(actor, since=since, until=until, project=project))


def aging(service, actor, *, project=None):
    return shown(AgingReport, service.aging(actor, project=project))


def shown(schema, body):
    """Read the body as a client gets it and check it against its schema."""
    written = orjson.loads(orjson.dumps({"items": with_links(body)}))
    assert schema(unknown=RAISE).validate(written) == {}
    return written


def query_of(link, **more):
    """Parse a link as the API does."""
    url = urlsplit(link)
    assert url.path == "/api/v1/tasks"
    return TaskListQuery().load({**dict(parse_qsl(url.query, strict_parsing=True)), **more})


def listed(services, actor, link, **more):
    page, _was_cached = services.task_views.list_page(actor, query_of(link, include_total="true", **more))
    return orjson.loads(envelope_of(page))


def total_of(services, actor, link, **more):
    return listed(services, actor, link, limit="1", **more)["total"]
