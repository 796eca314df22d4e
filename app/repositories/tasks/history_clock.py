"""The SQL of the history's clock: the present, the instant until which it is closed, and the writers before that."""

from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app.models.tasks.version import RecordBoundary, TaskVersion

# Each transaction that writes tasks holds a shared lock, whose key is the minute in which the transaction began. The
# trigger begin_task_record takes the lock.
_HAS_WRITERS = text("""
    SELECT EXISTS (
        SELECT FROM pg_locks
         WHERE locktype = 'advisory' AND classid = 7203116 AND objsubid = 2
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND objid < floor(extract(epoch FROM CAST(:instant AS timestamptz)) / 60)::bigint
           AND pid IS DISTINCT FROM pg_backend_pid())
""")


class HistoryClockRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def now(self) -> datetime:
        """The present by the database's clock, which also dates each change. The clocks of hosts may differ."""
        now: datetime = self._session.execute(select(func.record_now())).scalar_one()
        return now

    def find_beginning(self) -> datetime | None:
        """The start of the oldest version; None before the first task."""
        return self._session.scalar(select(func.min(TaskVersion.valid_from)))

    def close_until(self, instant: datetime) -> None:
        """After the commit no new version begins before `instant`: later writes of older transactions begin at it."""
        statement = update(RecordBoundary).where(RecordBoundary.closed_until < instant).values(closed_until=instant)
        self._session.execute(statement, execution_options={"synchronize_session": False})

    def has_writers_before(self, instant: datetime) -> bool:
        """True if an open transaction that began before `instant` has written. Commit `close_until` first."""
        return bool(self._session.execute(_HAS_WRITERS, {"instant": instant}).scalar_one())
