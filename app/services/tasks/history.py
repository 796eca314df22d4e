"""The history of a task: who changed which field from what to what, when and in which request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from app.auth.actor import Actor
from app.auth.permissions import Permission, may
from app.database.unit_of_work import UnitOfWork
from app.errors import not_found
from app.queries.pages import Position, ValuePage, decode_cursor, encode_cursor, is_integer
from app.queries.tasks import TaskKey
from app.repositories.tasks.history import VERSION_FIELDS, TaskHistoryRepository

SORT = "-revision"


class TaskEvent(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class FieldChange:
    field: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class TaskChange:
    """The change that made a version. `until` is None for the last version, `actor` for a change outside the API."""

    revision: int
    at: datetime
    until: datetime | None
    event: TaskEvent
    actor: str | None
    request_id: str | None
    changes: Sequence[FieldChange]


class TaskHistoryService:
    def __init__(self, uow: UnitOfWork, history: TaskHistoryRepository) -> None:
        self._uow = uow
        self._history = history

    def list_page(self, actor: Actor, key: TaskKey, *, cursor: str | None, limit: int) -> ValuePage[TaskChange]:
        """List changes, newest first. The history of a deleted or removed task needs the right to restore tasks."""
        before = None if cursor is None else decode_cursor(cursor, SORT, is_integer).id
        with self._uow.transaction():
            include_deleted = may(actor, Permission.TASK_RESTORE)
            task_id = self._history.find_visible(actor, key, include_deleted=include_deleted)
            if task_id is None:
                not_found("task", key)
            # One version more is read than shown: a change is the difference between a version and the one before it.
            versions = self._history.list_versions(actor, task_id, before_revision=before, limit=limit + 1)
        changes = [_change(version, older) for version, older in zip_longest(versions, versions[1:])]
        next_cursor = None
        if len(versions) > limit:
            last = versions[limit - 1]["revision"]
            next_cursor = encode_cursor(SORT, Position(str(last), last))
        return ValuePage(changes[:limit], next_cursor)


def _change(version: Mapping[str, Any], older: Mapping[str, Any] | None) -> TaskChange:
    before: Mapping[str, Any] = older if older is not None else dict.fromkeys(VERSION_FIELDS)
    return TaskChange(
        revision=version["revision"],
        at=version["valid_from"],
        until=version["valid_to"],
        event=_event(version, older),
        actor=version["actor"],
        request_id=version["request_id"],
        changes=[
            FieldChange(name, before[name], version[name]) for name in VERSION_FIELDS if before[name] != version[name]
        ],
    )


def _event(version: Mapping[str, Any], older: Mapping[str, Any] | None) -> TaskEvent:
    if version["revision"] == 1:
        return TaskEvent.CREATED
    if older is None:
        # The actor may not see the version before, which is from another project.
        return TaskEvent.CHANGED
    if older["deleted_at"] is None and version["deleted_at"] is not None:
        return TaskEvent.DELETED
    if older["deleted_at"] is not None and version["deleted_at"] is None:
        return TaskEvent.RESTORED
    return TaskEvent.CHANGED
