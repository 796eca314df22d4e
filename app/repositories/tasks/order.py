"""The SQL of the order on the board: locking columns, reading the neighbours of a place, and writing positions.

A column is the tasks of one project that have one status and are not deleted, by position and id.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.database.engine import ensure_signed
from app.database.prepared import PlannedOnce, Prepared
from app.models.tasks.fields import TaskStatus
from app.queries.tasks import TaskKey
from app.repositories.scope import scope_parameters
from app.repositories.tasks.rows import keys_parameters

# With the hash of a column, the advisory lock that every move into the column holds until its commit.
COLUMN_LOCK = 7_203_119

# A statement for one move is planned once. One for many moves is planned each time, for their number.
_ONE_MOVE = """(
    SELECT (CAST(:ids AS bigint[]))[1], (CAST(:refs AS text[]))[1],
           CAST((CAST(:targets AS text[]))[1] AS task_status)) AS each (id, ref, target)
"""
_MOVES = """
    unnest(CAST(:ids AS bigint[]), CAST(:refs AS text[]), CAST(:targets AS task_status[])) AS each (id, ref, target)
"""
_ONE_PLACE = """(
    SELECT (CAST(:project_ids AS bigint[]))[1], CAST((CAST(:statuses AS text[]))[1] AS task_status),
           (CAST(:edge_ids AS bigint[]))[1], (CAST(:edge_refs AS text[]))[1], (CAST(:is_end AS boolean[]))[1], 1)
        AS each (project_id, status, edge_id, edge_ref, is_end, number)
"""
_PLACES = """
    unnest(CAST(:project_ids AS bigint[]), CAST(:statuses AS task_status[]), CAST(:edge_ids AS bigint[]),
           CAST(:edge_refs AS text[]), CAST(:is_end AS boolean[]))
        WITH ORDINALITY AS each (project_id, status, edge_id, edge_ref, is_end, number)
"""


@cache
def _lock(*, is_one: bool) -> Prepared:
    """Takes the locks in the order of the hashes, so that two transactions cannot wait for each other's columns.

    It therefore takes all of them at once.
    """
    return (PlannedOnce if is_one else Prepared)(
        text(f"""
    WITH moving AS (
        SELECT target,
               CASE WHEN ref IS NULL THEN id ELSE id_of_ref(ref) END AS id
          FROM {_ONE_MOVE if is_one else _MOVES}),
    columns AS (
        SELECT DISTINCT t.project_id, coalesce(target, t.status) AS status,
               hashtext(t.project_id || ' ' || coalesce(target, t.status)) AS hash
          FROM moving JOIN tasks AS t USING (id)
         WHERE :sees_everything OR t.project_id = ANY (CAST(:project_ids AS bigint[]))
         ORDER BY hash)
    SELECT project_id, status, pg_advisory_xact_lock(:space, hash) FROM (SELECT * FROM columns OFFSET 0) AS sorted
""")  # noqa: S608 - of constants
    )


@cache
def _neighbours(*, count: int, is_one: bool) -> Prepared:
    """For each place: the `count` tasks above and below it, and the one that it is next to.

    Without that one, the place is the beginning or the end of its column. Project and status are compared together with
    the position, so that only the index of columns can be used. With `=`, PostgreSQL may search the positions of all
    projects, and at an end it finds none. It plans once only what it expects to cost no more than with known values, so
    the count is part of the text.
    """
    return (PlannedOnce if is_one else Prepared)(
        text(f"""
    WITH place AS (
        SELECT each.number, each.project_id, each.status, edge.id AS edge_id,
               coalesce(edge.position, CAST(CASE WHEN is_end THEN 'Infinity' ELSE '-Infinity' END AS float))
                   AS edge_position
          FROM {_ONE_PLACE if is_one else _PLACES}
          LEFT JOIN tasks AS edge
            ON edge.id = CASE WHEN edge_ref IS NULL THEN each.edge_id ELSE id_of_ref(edge_ref) END
           AND edge.project_id = each.project_id AND edge.status = each.status AND edge.deleted_at IS NULL)
    SELECT place.number - 1 AS number, p.last_task_number + 1 AS limit, place.edge_id, near.side, near.position, near.id
      FROM place
      JOIN projects AS p ON p.id = place.project_id
      LEFT JOIN LATERAL (
          (SELECT -1 AS side, t.position, t.id FROM tasks AS t
            WHERE t.deleted_at IS NULL AND t.id <> ALL (CAST(:moving AS bigint[]))
              AND (t.project_id, t.status, t.position, t.id)
                  < (place.project_id, place.status, place.edge_position, coalesce(place.edge_id, 0))
              AND (t.project_id, t.status, t.position, t.id)
                  >= (place.project_id, place.status, float '-Infinity', 0)
            ORDER BY t.project_id DESC, t.status DESC, t.position DESC, t.id DESC LIMIT {count})
          UNION ALL
          (SELECT 0, place.edge_position, place.edge_id WHERE place.edge_id IS NOT NULL)
          UNION ALL
          (SELECT 1, t.position, t.id FROM tasks AS t
            WHERE t.deleted_at IS NULL AND t.id <> ALL (CAST(:moving AS bigint[]))
              AND (t.project_id, t.status, t.position, t.id)
                  > (place.project_id, place.status, place.edge_position, coalesce(place.edge_id, 0))
              AND (t.project_id, t.status, t.position, t.id)
                  < (place.project_id, place.status, float 'Infinity', 0)
            ORDER BY t.project_id, t.status, t.position, t.id LIMIT {count})
      ) AS near ON true
""")  # noqa: S608 - of constants and a number
    )


# The tasks of the column that must make room, in the order of their ids.
_LOCK_NEIGHBOURS = Prepared(
    text("""
    SELECT id FROM tasks
     WHERE id = ANY (CAST(:ids AS bigint[])) AND project_id = :project_id AND status = :status AND deleted_at IS NULL
     ORDER BY id FOR NO KEY UPDATE
""")
)
# `updated_at` stays: nobody has changed these tasks. Their versions rise, because an ETag stands for the position too.
_MAKE_ROOM = Prepared(
    text("""
    UPDATE tasks SET position = new.position, version = tasks.version + 1
      FROM unnest(CAST(:ids AS bigint[]), CAST(:positions AS double precision[])) AS new (id, position)
     WHERE tasks.id = new.id
    RETURNING tasks.id
""")
)


@dataclass(frozen=True, slots=True)
class ColumnKey:
    project_id: int
    status: TaskStatus


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a column: next to the edge, which is a task, or without one the column's beginning or its end."""

    column: ColumnKey
    edge: TaskKey | None = None
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The nearest tasks of a place as (position, id), nearest first. `edge` is None if the column does not have it."""

    above: Sequence[tuple[float, int]]
    edge: tuple[float, int] | None
    below: Sequence[tuple[float, int]]
    # The position that the project's next task will have at least.
    limit: float


class OrderRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def lock_columns(self, actor: Actor, targets: Sequence[tuple[TaskKey, TaskStatus | None]]) -> set[ColumnKey]:
        """Lock the columns that tasks move into: those of a status, or without one those that the tasks are in.

        Moves into one column wait for each other here. Lock the columns before any task, and only once.
        """
        values = {
            **keys_parameters([key for key, _ in targets]),
            **scope_parameters(actor),
            "sees_everything": actor.sees_everything,
            "targets": [None if status is None else status.value for _, status in targets],
            "space": COLUMN_LOCK,
        }
        rows = _lock(is_one=len(targets) == 1).rows(self._session, values)
        return {ColumnKey(row.project_id, TaskStatus(row.status)) for row in rows}

    def list_surroundings(
        self, places: Sequence[Place], *, moving: Collection[int], count: int
    ) -> Sequence[Surroundings]:
        """The nearest `count` tasks on each side of each place, without those that are `moving`."""
        edges = keys_parameters([place.edge for place in places])
        values = {
            "project_ids": [place.column.project_id for place in places],
            "statuses": [place.column.status.value for place in places],
            "edge_ids": edges["ids"],
            "edge_refs": edges["refs"],
            "is_end": [place.is_end for place in places],
            "moving": list(moving),
        }
        sides: dict[int, dict[int, list[tuple[float, int]]]] = defaultdict(lambda: defaultdict(list))
        limits: dict[int, float] = {}
        statement = _neighbours(count=count, is_one=len(places) == 1)
        for row in statement.rows(self._session, values):
            limits[row.number] = float(row.limit)
            if row.side is not None:
                sides[row.number][row.side].append((row.position, row.id))
        return [
            Surroundings(
                above=sorted(sides[number][-1], reverse=True),
                edge=next(iter(sides[number][0]), None),
                below=sorted(sides[number][1]),
                limit=limits[number],
            )
            for number in range(len(places))
        ]

    def make_room(self, column: ColumnKey, positions: Mapping[int, float]) -> bool:
        """Write the positions of tasks of a column that is locked. False if one of them has left it."""
        ensure_signed(self._session)
        values: dict[str, Any] = {
            "ids": list(positions),
            "positions": list(positions.values()),
            "project_id": column.project_id,
            "status": column.status.value,
        }
        if len(_LOCK_NEIGHBOURS.rows(self._session, values)) < len(positions):
            return False
        _MAKE_ROOM.write(self._session, values)
        return True
