"""The SQL of the planner's statistics: which tables have changed much since they were last analyzed."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

# PostgreSQL itself decides by the same rule, about once a minute.
_OUTDATED = text("""
    SELECT format('%I.%I', schemaname, relname)
      FROM pg_stat_user_tables
     WHERE schemaname = current_schema()
       AND (relname IN ('tasks', 'task_history')
            OR relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'task_logs'::regclass))
       AND n_mod_since_analyze > :min_rows + :share * n_live_tup
       AND pg_has_role((SELECT relowner FROM pg_class WHERE oid = relid), 'USAGE')
     ORDER BY relname
""")


class StatisticsRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def list_outdated_tables(self, *, min_rows: int, share: float) -> Sequence[str]:
        """The growing tables in which more rows have changed than `min_rows` plus this share of all their rows.

        Tables that this role does not own are left out, because it may not analyze them.
        """
        return self._session.scalars(_OUTDATED, {"min_rows": min_rows, "share": share}).all()

    def analyze(self, table: str) -> None:
        """Sample the table. The sample does not grow with the table, and no read or write waits for it.

        A table that is being analyzed, vacuumed or altered is skipped.
        """
        self._session.execute(text(f"ANALYZE (SKIP_LOCKED) {table}"))
