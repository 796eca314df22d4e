"""An event of the feed, who may see it, and a page of the feed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.models.tasks.fields import FIELDS
from app.queries.pages import MAX_BIGINT

TASK_GONE = "task.gone"

_FIELD_OF_COLUMN = {field.column_name: field.name for field in FIELDS}
_CURSOR = re.compile(r"(?P<epoch>[0-9a-f]{12})-(?P<position>\d{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Feed:
    """The feed of one database. After a restore or a failover it is another one, with another epoch."""

    epoch: str
    # The position of the last event, and that of the oldest one that is still kept.
    head: int
    oldest: int

    def cursor_at(self, position: int) -> str:
        return f"{self.epoch}-{position}"

    def position_of(self, cursor: str) -> int | None:
        """The position that a client has read up to. None if the feed can no longer continue from there."""
        match = _CURSOR.fullmatch(cursor)
        if match is None or match["epoch"] != self.epoch:
            return None
        position = int(match["position"])
        return position if self.oldest - 1 <= position <= min(self.head, MAX_BIGINT) else None


@dataclass(frozen=True, slots=True)
class TaskPointer:
    """A task at an event. `version` is None if the event has not changed the task itself."""

    id: int
    ref: str | None
    version: int | None


@dataclass(frozen=True, slots=True)
class FeedEvent:
    position: int
    kind: str
    occurred_at: datetime
    # The names of who did it, of the project, and of the member who came or went.
    actor: str | None
    project: str | None
    member: str | None
    task: TaskPointer | None
    # The task's pointer in the project that it has left.
    left: TaskPointer | None
    comment_id: int | None
    # The fields that differ from the version before.
    changed: Sequence[str] | None
    # The number of tasks or comments that one statement has changed.
    count: int | None
    project_id: int | None
    previous_project_id: int | None
    previous_project: str | None
    member_id: int | None
    user_id: int | None

    def seen_by(self, user_id: int, project_ids: frozenset[int] | None) -> "FeedEvent | None":
        """The event as a user sees it; None if it is not for them. `project_ids` is None for whoever sees everything.

        Members of only the project that a task has left learn that it is gone, and nothing else. Somebody who was
        removed from a project learns that, and of a change in any project everybody learns only that there was one.
        """
        if self.user_id is not None:
            return self if self.user_id == user_id else None
        if project_ids is None or self.project_id in project_ids:
            return self
        if self.project_id is None:
            return replace(self, actor=None, count=None)
        if self.member_id == user_id:
            return replace(self, actor=None)
        if self.previous_project_id in project_ids:
            return replace(
                self, kind=TASK_GONE, project=self.previous_project, task=self.left, changed=None, actor=None
            )
        return None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in the order of their positions, and the position to continue from."""

    feed: Feed
    events: Sequence[FeedEvent]
    position: int

    @property
    def next_cursor(self) -> str:
        return self.feed.cursor_at(self.position)

    @property
    def has_more(self) -> bool:
        return self.position < self.feed.head


def field_names(columns: Sequence[str]) -> list[str]:
    """The fields of tasks and comments that these columns hold, as clients know them."""
    return sorted(_FIELD_OF_COLUMN.get(column, column) for column in columns)
