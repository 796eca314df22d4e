"""Tasks and pages as they were at an instant."""

from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import strategies as st

from app.http.responses import envelope_of
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.tasks import TaskQuery

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)

titles = st.sampled_from(["Paint the fence", "Water the plants", "One", "Ünï"])
moments = st.none() | st.integers(-48, 48).map(lambda hours: NOON + timedelta(hours=hours))
changes = st.fixed_dictionaries(
    {},
    optional={
        "title": titles,
        "description": st.sampled_from(["", "the fence", "in green"]),
        "project": st.sampled_from(["GEN", "OPS"]),
        "status": st.sampled_from(TaskStatus),
        "priority": st.sampled_from(TaskPriority),
        "labels": st.lists(st.sampled_from(["red", "green", "blue"]), unique=True),
        "assignee": st.sampled_from(["ann", "boss", None]),
        "due_at": moments,
        "external_ref": st.sampled_from(["A", "B", None]),
    },
)


def create(services, actor, *, title="One", **values):
    return services.tasks.create(actor, {"title": title, **values})


def body_of(services, actor, query):
    page, _was_cached = services.task_views.list_page(actor, query)
    return orjson.loads(envelope_of(page))


def page_as_of(services, actor, instant, **filters):
    return body_of(services, actor, TaskQuery(as_of=instant, **filters))


def items_as_of(services, actor, instant, **filters):
    return page_as_of(services, actor, instant, **filters)["items"]


def ids_as_of(services, actor, instant, **filters):
    return [item["id"] for item in items_as_of(services, actor, instant, **filters)]


def titles_as_of(services, actor, instant, **filters):
    return [item["title"] for item in items_as_of(services, actor, instant, **filters)]
