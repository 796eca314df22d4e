"""The SQL of the feed: numbering new events, and reading numbered ones."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, select, text
from sqlalchemy.orm import Session

from app.database.prepared import Prepared, parameter
from app.models.people.user import User
from app.queries.events import Feed, FeedEvent, TaskPointer, field_names
from app.repositories.projects import project_ids_of_user

_NUMBER = Prepared(text("SELECT number_events(:batch) AS head"))
# The epoch is made from what a restore or a failover changes, so there is nothing to remember. See docs/adr/035.
_FEED = Prepared(
    text("""
    SELECT left(md5(concat_ws(' ', system_identifier, timeline_id, CAST(CAST('events' AS regclass) AS oid))), 12)
               AS epoch,
           h.position AS head,
           coalesce((SELECT min(position) FROM events), h.position + 1) AS oldest
      FROM event_head AS h, pg_control_system(), pg_control_checkpoint()
""")
)
# A task's version is found in the history, by its key; LIMIT keeps PostgreSQL from reading all of the history instead.
# Other events show the task's present number, but not one that it has in another project.
_EVENTS = Prepared(
    text("""
    SELECT e.position, e.kind, e.occurred_at, actor.username AS actor, p.key AS project, left_project.key AS left_key,
           subject.username AS subject, e.task_id, coalesce(version.number, t.number) AS number,
           coalesce(CAST(e.detail ->> 'version' AS bigint), version.version) AS version, before.number AS left_number,
           e.subject_id, e.changed, CAST(e.detail ->> 'count' AS bigint) AS count, e.project_id,
           e.previous_project_id, e.user_id
      FROM (SELECT * FROM events WHERE position > :after ORDER BY position LIMIT :rows) AS e
      LEFT JOIN users AS actor ON actor.id = e.actor_id
      LEFT JOIN users AS subject ON subject.id = e.subject_id AND e.kind LIKE 'member.%'
      LEFT JOIN projects AS p ON p.id = e.project_id
      LEFT JOIN projects AS left_project ON left_project.id = e.previous_project_id
      LEFT JOIN LATERAL (
          SELECT number FROM tasks WHERE id = e.task_id AND project_id = e.project_id LIMIT 1) AS t ON true
      LEFT JOIN LATERAL (
          SELECT number, version FROM task_history
           WHERE e.kind LIKE 'task.%' AND task_id = e.task_id AND revision = e.revision LIMIT 1) AS version ON true
      LEFT JOIN LATERAL (
          SELECT number FROM task_history
           WHERE e.previous_project_id IS NOT NULL AND task_id = e.task_id AND revision = e.revision - 1
           LIMIT 1) AS before ON true
     ORDER BY e.position
""")
)
# The oldest events come first in the order of positions, so the search ends at the first one that is kept.
_DELETE = Prepared(
    text("""
    DELETE FROM events
     WHERE position <= (SELECT max(position)
                          FROM (SELECT position, numbered_at FROM events ORDER BY position LIMIT :rows) AS oldest
                         WHERE numbered_at < :before)
    RETURNING 1
""")
)
_PROJECT_IDS = Prepared(select(project_ids_of_user()[0]).where(User.id == parameter("user_id", BigInteger)))


class EventRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def number(self, *, batch: int) -> int | None:
        """Number up to `batch` new events. Returns the feed's last position; None while another session numbers."""
        (row,) = _NUMBER.rows(self._session, {"batch": batch})
        head: int | None = row.head
        return head

    def get_feed(self) -> Feed:
        (row,) = _FEED.rows(self._session, {})
        return Feed(row.epoch, row.head, row.oldest)

    def list_project_ids(self, user_id: int) -> frozenset[int]:
        """The projects that a user is in at this moment."""
        (row,) = _PROJECT_IDS.rows(self._session, {"user_id": user_id})
        return frozenset(row.project_ids)

    def list_after(self, position: int, *, limit: int) -> Sequence[FeedEvent]:
        """The next events after a position, whoever may see them."""
        return [_event_of(row) for row in _EVENTS.rows(self._session, {"after": position, "rows": limit})]

    def delete_older(self, *, before: datetime, limit: int) -> int:
        """Delete up to `limit` of the oldest events that were numbered before this time; return how many."""
        return len(_DELETE.write(self._session, {"before": before, "rows": limit}))


def _event_of(row: Any) -> FeedEvent:
    subject = row.kind.partition(".")[0]
    return FeedEvent(
        position=row.position,
        kind=row.kind,
        occurred_at=row.occurred_at,
        actor=row.actor,
        project=row.project,
        member=row.subject,
        task=_pointer(row.task_id, row.project, row.number, row.version),
        left=_pointer(row.task_id, row.left_key, row.left_number, None),
        comment_id=row.subject_id if subject == "comment" else None,
        changed=None if row.changed is None else field_names(row.changed),
        count=row.count,
        project_id=row.project_id,
        previous_project_id=row.previous_project_id,
        previous_project=row.left_key,
        member_id=row.subject_id if subject == "member" else None,
        user_id=row.user_id,
    )


def _pointer(task_id: int | None, key: str | None, number: int | None, version: int | None) -> TaskPointer | None:
    if task_id is None:
        return None
    return TaskPointer(task_id, None if key is None or number is None else f"{key}-{number}", version)
