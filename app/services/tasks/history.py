"""The history of a task: who changed which field from what to what, when and in which request."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import chain
from typing import Any

import orjson

from app.auth.actor import Actor
from app.auth.permissions import Permission, may
from app.database.unit_of_work import UnitOfWork
from app.errors import not_found
from app.queries.pages import Page, Position, decode_cursor, encode_cursor, is_integer
from app.repositories.tasks.history import VERSION_FIELDS, TaskHistoryRepository

SORT = "-revision"


class TaskEvent(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    RESTORED = "restored"


class TaskHistoryService:
    def __init__(self, uow: UnitOfWork, history: TaskHistoryRepository) -> None:
        self._uow = uow
        self._history = history

    def list_page(self, actor: Actor, task_id: int, *, cursor: str | None, limit: int) -> Page:
        """Newest first. A deleted task's, or a removed one's, is for those who may restore."""
        before = None if cursor is None else decode_cursor(cursor, SORT, is_integer).id
        with self._uow.transaction():
            if not self._history.is_in_sight(actor, task_id, deleted_too=may(actor, Permission.TASK_RESTORE)):
                not_found("task", task_id)
            # One more than is shown: each version is told by what it changed of the one before it.
            versions = self._history.list_versions(actor, task_id, before_revision=before, limit=limit + 1)
        items = [_item(version, older) for version, older in zip(versions, chain(versions[1:], [None]), strict=False)][
            :limit
        ]
        next_cursor = None
        if len(versions) > limit:
            last = versions[limit - 1]["revision"]
            next_cursor = encode_cursor(SORT, Position(str(last), last))
        return Page(orjson.dumps(items)[1:-1], next_cursor)


def _item(version: Mapping[str, Any], older: Mapping[str, Any] | None) -> dict[str, Any]:
    before: Mapping[str, Any] = older if older is not None else dict.fromkeys(VERSION_FIELDS)
    return {
        "revision": version["revision"],
        "at": version["valid_from"],
        "until": version["valid_to"],
        "event": _event(version, older),
        "actor": version["actor"],
        "request_id": version["request_id"],
        "changes": [
            {"field": name, "from": before[name], "to": version[name]}
            for name in VERSION_FIELDS
            if before[name] != version[name]
        ],
    }


def _event(version: Mapping[str, Any], older: Mapping[str, Any] | None) -> TaskEvent:
    if version["revision"] == 1:
        return TaskEvent.CREATED
    if older is None:
        # It came from a project that is not shown.
        return TaskEvent.CHANGED
    if older["deleted_at"] is None and version["deleted_at"] is not None:
        return TaskEvent.DELETED
    if older["deleted_at"] is not None and version["deleted_at"] is None:
        return TaskEvent.RESTORED
    return TaskEvent.CHANGED
