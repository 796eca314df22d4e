"""The SQL of the reports on tasks: counts by day and status, cycle times, and ages."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.auth.actor import Actor

# Each version adds one to its status on the day it begins and subtracts one on the day it ends. Everything before the
# first day is summed up on the day before it. A version that lasts while its project is archived does not count
# meanwhile: it ends and begins again.
_FLOW = """
    WITH archived_versions AS (
        SELECT status, project_id, greatest(valid_from, archived_at) AS archived_from,
               least(valid_to, restored_at) AS archived_until
          FROM task_history JOIN project_archivals USING (project_id)
         WHERE deleted_at IS NULL AND archived_at < valid_to AND restored_at > valid_from AND {hides_archived}
    )
    SELECT day, status, sum(change)::bigint AS change
      FROM (
          SELECT greatest((valid_from AT TIME ZONE :zone)::date, :before) AS day, status, 1 AS change, project_id
            FROM task_history WHERE deleted_at IS NULL AND valid_from < :end
          UNION ALL
          SELECT greatest((valid_to AT TIME ZONE :zone)::date, :before), status, -1, project_id
            FROM task_history WHERE deleted_at IS NULL AND valid_to < :end
          UNION ALL
          SELECT greatest((archived_from AT TIME ZONE :zone)::date, :before), status, -1, project_id
            FROM archived_versions WHERE archived_from < :end
          UNION ALL
          SELECT greatest((archived_until AT TIME ZONE :zone)::date, :before), status, 1, project_id
            FROM archived_versions WHERE archived_until < :end
      ) AS moves
     WHERE {is_visible}
     GROUP BY day, status
     ORDER BY day
"""
_CYCLE_TIME = """
    SELECT date_trunc('week', completed_at AT TIME ZONE :zone)::date AS week, count(*) AS task_count,
           percentile_cont(ARRAY[0.5, 0.75, 0.85, 0.95]) WITHIN GROUP
               (ORDER BY extract(epoch FROM completed_at - started_at)) AS seconds
      FROM tasks
     WHERE deleted_at IS NULL AND status = 'done' AND started_at IS NOT NULL
       AND completed_at >= :start AND completed_at < :end AND {is_visible} AND {is_open}
     GROUP BY week
     ORDER BY week
"""
_AGING = """
    SELECT width_bucket(extract(epoch FROM CAST(:now AS timestamptz) - created_at) / 86400, CAST(:days AS numeric[]))
               AS bucket,
           status, count(*) AS task_count
      FROM tasks
     WHERE deleted_at IS NULL AND status IN ('todo', 'in_progress', 'blocked') AND {is_visible} AND {is_open}
     GROUP BY bucket, status
     ORDER BY bucket, status
"""


class ReportRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def count_moves(
        self, actor: Actor, project: str | None, *, before: date, end: datetime, zone: str
    ) -> Sequence[Any]:
        """Rows of (day, status, change) up to `end`. Those of the day `before` sum up all changes until then."""
        values = {"before": before, "end": end, "zone": zone}
        return self._run(_FLOW, actor, project, values)

    def list_cycle_times(
        self, actor: Actor, project: str | None, *, start: datetime, end: datetime, zone: str
    ) -> Sequence[Any]:
        """Rows of (Monday, count, [50th, 75th, 85th, 95th percentile in seconds]) of tasks completed in this time."""
        return self._run(_CYCLE_TIME, actor, project, {"start": start, "end": end, "zone": zone})

    def count_by_age(self, actor: Actor, project: str | None, *, days: Sequence[int], now: datetime) -> Sequence[Any]:
        """Rows of (bucket, status, count) of active tasks; bucket n holds ages from days[n - 1] to below days[n]."""
        return self._run(_AGING, actor, project, {"days": [*days], "now": now})

    def _run(self, statement: str, actor: Actor, project: str | None, values: dict[str, Any]) -> Sequence[Any]:
        """Add the conditions that every report needs, so none can forget who is asking.

        Archived projects are left out. A report on one project shows it in any case, as the list of its tasks does.
        """
        conditions = ["true"]
        if not actor.sees_everything:
            conditions.append("project_id = ANY (:project_ids)")
            values["project_ids"] = [*actor.project_ids]
        if project is not None:
            conditions.append("project_id = (SELECT id FROM projects WHERE key = :project)")
            values["project"] = project
        is_open = "true"
        if project is None and actor.archived_project_ids:
            is_open = "project_id <> ALL (:archived_ids)"
            values["archived_ids"] = [*actor.archived_project_ids]
        filled = statement.format(
            is_visible=" AND ".join(conditions), is_open=is_open, hides_archived="false" if project else "true"
        )
        return self._session.execute(text(filled), values).all()
