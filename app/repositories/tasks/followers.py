"""The SQL of the followers of tasks: following a task, leaving it, and who follows it."""

from functools import cache

from sqlalchemy import BigInteger, Boolean, DateTime, Text, case, cast, column, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.database.prepared import PlannedOnce, Prepared, parameter
from app.models.tasks.follower import TaskFollower
from app.models.tasks.task import Task
from app.queries.pages import Page, decode_cursor, is_integer
from app.queries.tasks import TaskKey
from app.repositories.pages import json_text, page_of
from app.repositories.projects import MAY_SEE_PROJECT
from app.repositories.scope import anybody_like, scope_parameters
from app.repositories.tasks.rows import is_deleted, is_task, key_parameters, visible_task_id, visible_to

# Who has left follows only once a trigger removes or changes their row. Who can no longer see the task is left out.
_FOLLOWERS = (
    text(f"""
    WITH task AS (SELECT id, project_id, creator_id, assignee_id, created_at FROM tasks WHERE id = :task_id),
    -- The assignee since the last version that had another one.
    by_role AS (
        SELECT assignee_id AS user_id, 'assigned' AS reason,
               (SELECT min(h.valid_from) FROM task_history AS h
                 WHERE h.task_id = task.id AND h.revision >
                       (SELECT coalesce(max(o.revision), 0) FROM task_history AS o
                         WHERE o.task_id = task.id AND o.assignee_id IS DISTINCT FROM task.assignee_id)) AS since
          FROM task WHERE assignee_id IS NOT NULL
        UNION ALL
        SELECT creator_id, 'created', created_at FROM task WHERE creator_id IS DISTINCT FROM assignee_id
    ),
    following AS (
        SELECT * FROM by_role
         WHERE user_id NOT IN (SELECT user_id FROM task_followers WHERE task_id = :task_id AND NOT is_following)
        UNION ALL
        SELECT user_id, reason::text, since FROM task_followers
         WHERE task_id = :task_id AND is_following AND user_id NOT IN (SELECT user_id FROM by_role)
    )
    SELECT u.id, u.username, f.since, f.reason
      FROM following AS f
      JOIN users AS u ON u.id = f.user_id AND u.is_active
      JOIN task ON true
      JOIN projects AS p ON p.id = task.project_id
     WHERE {MAY_SEE_PROJECT}
""")  # noqa: S608 - of constants
    .columns(column("id", BigInteger), column("username", Text), column("since", DateTime), column("reason", Text))
    .subquery("followers")
)
FOLLOWER_FIELDS = {column.name: column for column in _FOLLOWERS.c}
_PAGE = Prepared(
    select(json_text(FOLLOWER_FIELDS), cast(_FOLLOWERS.c.id, Text), _FOLLOWERS.c.id)
    .where(_FOLLOWERS.c.id > parameter("after_id", BigInteger))
    .order_by(_FOLLOWERS.c.id)
    .limit(parameter("rows", BigInteger))
)


class FollowerRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def find_task_id(self, actor: Actor, key: TaskKey) -> int | None:
        """The id of a task that the actor may see."""
        values = {**key_parameters(key), **scope_parameters(actor)}
        rows = _find(anybody_like(actor), isinstance(key, str)).rows(self._session, values)
        return rows[0].id if rows else None

    def set_following(self, actor: Actor, key: TaskKey, *, is_following: bool) -> bool:
        """Let the actor follow a task, or leave it. False if there is no such task, or if it is deleted."""
        values = {
            **key_parameters(key),
            **scope_parameters(actor),
            "user_id": actor.user_id,
            "is_following": is_following,
        }
        return bool(_set(anybody_like(actor), isinstance(key, str)).write(self._session, values))

    def list_page(self, task_id: int, *, cursor: str | None, limit: int) -> Page:
        after_id = 0 if cursor is None else decode_cursor(cursor, "id", is_integer).id
        rows = _PAGE.rows(self._session, {"task_id": task_id, "after_id": after_id, "rows": limit + 1})
        return page_of(rows, limit=limit, sort="id", total=None)


@cache
def _find(actor: Actor, by_ref: bool) -> PlannedOnce:
    return PlannedOnce(select(Task.id).where(Task.id == visible_task_id(actor, by_ref=by_ref)))


@cache
def _set(actor: Actor, by_ref: bool) -> PlannedOnce:
    is_following = parameter("is_following", Boolean)
    chosen = select(Task.id, parameter("user_id", BigInteger), is_following).where(
        is_task(by_ref=by_ref), visible_to(actor), is_deleted(False)
    )
    statement = insert(TaskFollower).from_select(["task_id", "user_id", "is_following"], chosen)
    new = statement.excluded
    has_changed = TaskFollower.is_following != new.is_following
    return PlannedOnce(
        statement.on_conflict_do_update(
            index_elements=["task_id", "user_id"],
            # Doing it again changes nothing.
            set_={
                "is_following": new.is_following,
                "since": case((has_changed, new.since), else_=TaskFollower.since),
                "reason": case((has_changed, new.reason), else_=TaskFollower.reason),
            },
        ).returning(TaskFollower.task_id)
    )
