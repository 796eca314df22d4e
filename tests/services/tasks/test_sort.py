"""Lists that are sorted by several keys, in one page and in many."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, permutations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.tasks import SORT_KEYS, TaskQuery
from app.repositories.tasks.read import MAX_SHAPES, _page
from tests.services.tasks.sorting import sorts

START = datetime(2031, 1, 1, tzinfo=UTC)
# Few values, so that many tasks are equal in some keys.
moments = st.integers(0, 2).map(lambda days: START + timedelta(days=days))
rows = st.lists(
    st.fixed_dictionaries(
        {
            "title": st.sampled_from(["a", "B", "ü", 'with "quotes" and \\', "with\x01control", "1,2"]),
            "status": st.sampled_from(TaskStatus),
            "priority": st.sampled_from(TaskPriority),
            "due_at": st.none() | moments,
            "position": st.sampled_from([-1.5, 0.0, 1e-9, 1e20]),
            "created_at": moments,
            "updated_at": moments,
        }
    ),
    max_size=12,
)


class TestSort:
    @hypothesis_settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(rows=rows, sort=sorts, limit=st.integers(1, 5), is_as_of=st.booleans())
    def test_pages_join_to_the_whole_list(self, services, boss, factories, clock, rows, sort, limit, is_as_of):
        """Each example has a creator of its own, because earlier examples leave their tasks behind."""
        creator = factories.User()
        tasks = [factories.Task(creator_id=creator.id, **row) for row in rows]
        query = TaskQuery(creator=str(creator.id), sort=sort, as_of=clock() if is_as_of else None)

        (whole,) = pages_of(services, boss, replace(query, limit=200))
        in_pages = [task_id for page in pages_of(services, boss, replace(query, limit=limit)) for task_id in page]

        assert in_pages == whole
        # The database has an order of its own for titles, and the version of a task a time of its own.
        if not (is_as_of or {"title", "-title"} & set(sort)):
            assert whole == [task.id for task in sorted_by_hand(tasks, sort)]

    @pytest.mark.parametrize("title", ["\x01" * 255, '"' * 255, "\N{GRINNING FACE}" * 255])
    def test_a_cursor_has_room_for_the_longest_title(self, services, boss, factories, title):
        ids = [factories.Task(title=title).id for _ in range(3)]

        pages = pages_of(services, boss, TaskQuery(sort=("title", "-due_at", "status"), limit=1))

        assert pages == [[task_id] for task_id in ids]

    def test_a_process_keeps_the_statements_of_some_sorts_only(self, services, boss):
        for keys in islice(permutations(SORT_KEYS[1:], 3), MAX_SHAPES // 2 + 1):
            for sort in (keys, (*keys[:2], f"-{keys[2]}")):
                services.task_views.list_page(boss, TaskQuery(sort=sort))

        assert _page.cache_info().currsize == MAX_SHAPES


def pages_of(services, actor, query):
    pages = []
    while True:
        page, _was_cached = services.task_views.list_page(actor, query)
        pages.append([item["id"] for item in page.items])
        if page.next_cursor is None:
            return pages
        query = replace(query, cursor=page.next_cursor)


def sorted_by_hand(tasks, sort):
    """Sort by the last key first: Python's sort keeps the order of equal elements."""
    steps = [*sort, "-id" if sort[-1].startswith("-") else "id"]
    for name in reversed(steps):
        key = name.removeprefix("-")
        tasks = sorted(tasks, key=lambda task, key=key: rank_of(task, key), reverse=name.startswith("-"))
    return tasks


def rank_of(task, key):
    value = getattr(task, key)
    match key:
        case "due_at":
            return datetime.max.replace(tzinfo=UTC) if value is None else value
        case "status":
            return list(TaskStatus).index(value)
        case "priority":
            return list(TaskPriority).index(value)
        case _:
            return value
