"""Every event has a reaction, or is listed here as having none."""

from dataclasses import is_dataclass
from datetime import date
from typing import get_args
from uuid import UUID

import pytest

from app.cache import Cache, CacheView, Space
from app.composition.reactions import react_to
from app.composition.resources import Resources
from app.events import (
    CommentChanged,
    DayLogged,
    DayLogRequested,
    Event,
    ImportWaiting,
    ProjectChanged,
    RecurringTaskEnded,
    SessionEnded,
    TaskChanged,
    TasksChanged,
    TasksImported,
    TasksReassigned,
    TokenRevoked,
    UserChanged,
    UserMerged,
)
from app.job_queue import JobName
from app.redis_connections import make_redis

DAY = date(2026, 3, 9)
SESSION_ID = UUID("0e7a9b8a-6f3c-4b57-9d0a-3a2f1c5d7e90")

# The spaces of the cache that each event clears, and the jobs for which it wakes a worker.
REACTIONS = {
    TaskChanged(task_id=1): {Space.TASKS},
    CommentChanged(comment_id=1, task_id=2): {Space.TASKS},
    TasksChanged(task_count=2): {Space.TASKS},
    TasksReassigned(from_id=1, to_id=2, task_count=3): {Space.TASKS},
    TasksImported(import_id=1, task_count=2): {Space.TASKS},
    RecurringTaskEnded(task_id=1): {JobName.REPEAT_TASKS},
    ImportWaiting(import_id=1): {JobName.RUN_IMPORTS},
    DayLogRequested(log_date=DAY): {JobName.LOG_DUE_DAYS},
    DayLogged(log_date=DAY, task_count=2): {Space.TASK_LOGS},
    UserChanged(user_id=1): {Space.ACTORS, Space.TASKS, Space.TASK_LOGS},
    UserMerged(user_id=1, into_id=2, by_id=3): {Space.ACTORS, Space.TASKS, Space.TASK_LOGS},
    ProjectChanged(project_id=1): {Space.ACTORS, Space.TASKS, Space.TASK_LOGS},
    SessionEnded(session_id=SESSION_ID): {Space.ACTORS},
    TokenRevoked(token_id=1): {Space.ACTORS},
}
WITHOUT_REACTION: set[type] = set()


class TestReactions:
    def test_every_event_is_listed(self):
        assert {type(event) for event in REACTIONS} | WITHOUT_REACTION == set(get_args(Event))

    @pytest.mark.parametrize(
        ("event", "expected"), REACTIONS.items(), ids=[type(event).__name__ for event in REACTIONS]
    )
    def test_each_event_has_the_listed_effects(self, resources, job_queue, event, expected):
        remember_all(resources.cache)

        react_to(resources, CacheView(resources.cache), event)

        assert cleared_spaces(resources.cache) | set(job_queue.enqueued) == expected

    def test_each_event_is_a_frozen_value(self):
        for event_class in get_args(Event):
            assert is_dataclass(event_class)
            assert event_class.__dataclass_params__.frozen

    @pytest.mark.parametrize("event", REACTIONS, ids=[type(event).__name__ for event in REACTIONS])
    def test_a_failed_reaction_stops_no_other(self, settings, caplog, event):
        resources = Resources(settings, job_queue=BrokenJobQueue(), cache=BrokenCache(make_redis(settings.redis_url)))

        react_to(resources, CacheView(resources.cache), event)

        assert f"reaction to {type(event).__name__} failed" in caplog.text


def remember_all(cache):
    for space in Space:
        CacheView(cache).remember((space,), space, lambda: b"", ttl_seconds=30)


def cleared_spaces(cache):
    return {
        space
        for space in Space
        if not CacheView(cache).remember((space,), space, lambda: b"", ttl_seconds=30).was_cached
    }


class BrokenCache(Cache):
    def forget(self, *_spaces):
        raise LookupError("broken on purpose")


class BrokenJobQueue:
    def enqueue(self, _name, *, request_id=None):
        raise LookupError("broken on purpose")
