"""Explains each statement before it runs, and tells which of the tables that grow are read at length."""

import re
from contextlib import contextmanager

from sqlalchemy import event

from app.queries.pages import MAX_PAGE_SIZE

GROWING = re.compile(
    r"tasks|task_history|task_logs(_\d{4}_\d{2})?|comments|comment_versions|comment_mentions|task_followers"
    r"|former_refs|saved_views|import_links|events"
)
CHANGE = re.compile(r"\b(INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
# A page may read as many rows of growing tables as this, whether it shows or sorts them or leaves them out.
FEW_PAGES = 15 * MAX_PAGE_SIZE


class Plans(list):
    """The plans of the statements of a block, with the numbers of rows for those that only read."""

    def problems(self, most_rows=FEW_PAGES):
        return [*self.scans(), *self._many_rows(most_rows)]

    def scans(self):
        """The growing tables that are read from beginning to end."""
        return [f"scan of {node['Relation Name']}" for node in self._readers() if node["Node Type"] == "Seq Scan"]

    def rows_of(self, table):
        """How many rows of a growing table are read in all."""
        return sum(rows_read(node) for node in self._readers() if node["Relation Name"] == table)

    def _many_rows(self, most_rows):
        counted = [(node["Relation Name"], rows_read(node)) for node in self._readers()]
        return [f"{count:,.0f} rows of {name}" for name, count in counted if count > most_rows]

    def _readers(self):
        each = (node for plan in self for node in nodes(plan))
        return [
            node for node in each if GROWING.fullmatch(node.get("Relation Name", "")) and "Scan" in node["Node Type"]
        ]


def rows_read(node):
    once = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return once * node["Actual Loops"]


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@contextmanager
def explained(connection):
    """Yield the plans of the statements of the block. EXPLAIN ANALYZE runs the statement, so it is only for reads."""
    seen = Plans()

    def explain(_connection, cursor, statement, parameters, _context, _executemany):
        if statement.startswith(("SET", "PREPARE", "SAVEPOINT", "RELEASE")):
            return
        # The first one of two takes locks.
        last = statement.rpartition(";")[2]
        analyze = "" if CHANGE.search(last) else "ANALYZE, TIMING OFF, "
        cursor.execute(f"EXPLAIN ({analyze}FORMAT JSON) {last}", parameters)
        seen.append(cursor.fetchone()[0][0]["Plan"])

    event.listen(connection, "before_cursor_execute", explain)
    try:
        yield seen
    finally:
        event.remove(connection, "before_cursor_execute", explain)
