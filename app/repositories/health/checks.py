"""The SQL of health: the applied migration, the processes that were seen, and the work done so far."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import DateTime, and_, cast, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.database.migrations import applied_migration
from app.models.daily_log.task_log import LogRun
from app.models.health.sighting import BackgroundProcess, JobCount, JobResult, Sighting
from app.models.imports.task_import import ImportMode, ImportState, TaskImport


@dataclass(frozen=True, slots=True)
class Seen:
    at: datetime
    seconds_ago: float


@dataclass(frozen=True, slots=True)
class OverdueDays:
    """Days that are over and not logged for good. `first_on` is the oldest of them, None if there is none."""

    count: int
    first_on: date | None


@dataclass(frozen=True, slots=True)
class ImportRows:
    """The numbers of imported rows by outcome."""

    created: int
    updated: int
    skipped: int
    refused: int


# A time zone may skip a day, which then ends together with the day before.
_OVERDUE_DAYS = text("""
    WITH ended AS (
        SELECT day::date AS log_date
          FROM (SELECT min(valid_from) AS beginning FROM task_history) AS history,
               generate_series((beginning AT TIME ZONE :zone)::date, (record_now() AT TIME ZONE :zone)::date,
                               interval '1 day') AS day
         WHERE (day + interval '1 day')::timestamp AT TIME ZONE :zone < record_now() - CAST(:after AS interval)
           AND (day + interval '1 day')::timestamp AT TIME ZONE :zone > day::timestamp AT TIME ZONE :zone
    )
    SELECT count(*), min(log_date) FROM ended
     WHERE NOT EXISTS (SELECT FROM log_runs AS run WHERE run.log_date = ended.log_date AND run.is_final)
""")


class HealthRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def applied_migration(self) -> str | None:
        """The newest migration of the database; None if it has none of our tables."""
        return applied_migration(self._session.connection())

    def list_sightings(self) -> dict[BackgroundProcess, Seen]:
        seconds_ago = func.extract("epoch", func.now() - Sighting.seen_at)
        rows = self._session.execute(select(Sighting.process, Sighting.seen_at, seconds_ago))
        return {process: Seen(seen_at, float(seconds)) for process, seen_at, seconds in rows}

    def see(self, process: BackgroundProcess) -> None:
        # Move sightings out of the future: after a clock was set back, a dead process would look alive for hours.
        self._session.execute(update(Sighting).where(Sighting.seen_at > func.now()).values(seen_at=func.now()))
        statement = insert(Sighting).values(process=process)
        self._session.execute(
            statement.on_conflict_do_update(index_elements=[Sighting.process], set_={"seen_at": func.now()})
        )

    def count_job(self, job: str, result: JobResult, *, seconds: float) -> None:
        statement = insert(JobCount).values(job=job, result=result, count=1, seconds=seconds)
        increments = {
            "count": JobCount.count + statement.excluded.count,
            "seconds": JobCount.seconds + statement.excluded.seconds,
        }
        self._session.execute(
            statement.on_conflict_do_update(index_elements=[JobCount.job, JobCount.result], set_=increments)
        )

    def list_job_counts(self) -> list[JobCount]:
        return list(self._session.scalars(select(JobCount).order_by(JobCount.job, JobCount.result)))

    def count_import_rows(self) -> ImportRows:
        """Count rows whose result is final, so that no later count is lower."""
        columns = (
            TaskImport.created_count,
            TaskImport.updated_count,
            TaskImport.skipped_count,
            TaskImport.refused_count,
        )
        # The counts of an all-or-nothing import start over when its check ends, and a dry run changes nothing.
        is_settled = or_(TaskImport.mode == ImportMode.SKIP_BAD, TaskImport.state == ImportState.FINISHED)
        statement = select(*(func.coalesce(func.sum(column), 0) for column in columns))
        row = self._session.execute(statement.where(and_(is_settled, ~TaskImport.is_dry_run))).one()
        return ImportRows(*(int(count) for count in row))

    def count_unfinished_imports(self) -> dict[ImportState, int]:
        statement = select(TaskImport.state, func.count()).where(TaskImport.finished_at.is_(None))
        rows = self._session.execute(statement.group_by(TaskImport.state))
        counted = {state: count for state, count in rows}  # noqa: C416 - rows are no pairs to the types
        unfinished = (state for state in ImportState if state not in {ImportState.FINISHED, ImportState.FAILED})
        return {state: counted.get(state, 0) for state in unfinished}

    def count_overdue_days(self, time_zone: str, *, after: timedelta) -> OverdueDays:
        """Count the overdue days since the first task. A day is overdue if it ended longer ago than `after`."""
        row = self._session.execute(_OVERDUE_DAYS, {"zone": time_zone, "after": after}).one()
        return OverdueDays(*row)

    def logged_until(self) -> datetime | None:
        """The end of the newest day that is logged for good, in the time zone that it was logged in."""
        midnight = cast(LogRun.log_date + 1, DateTime)
        statement = select(func.timezone(LogRun.time_zone, midnight)).where(LogRun.is_final)
        return self._session.scalar(statement.order_by(LogRun.log_date.desc()).limit(1))
