"""The SQL of the planner's statistics: which tables have changed much since they were last looked at."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

# As PostgreSQL decides for itself, about once a minute. A table that never was looked at has no statistics at all.
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
        """Those with more than `min_rows`, and that share of all their rows, changed; of the tables that grow.

        Only those that this role owns: no other may look at them.
        """
        return self._session.scalars(_OUTDATED, {"min_rows": min_rows, "share": share}).all()

    def analyze(self, table: str) -> None:
        """Read a sample of the table, whose size does not grow with it. Nobody's reads or writes wait for it.

        Leaves a table alone that somebody else analyzes, vacuums or changes just now.
        """
        self._session.execute(text(f"ANALYZE (SKIP_LOCKED) {table}"))
