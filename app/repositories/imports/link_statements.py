"""The statements that `links` runs. A *node* is explained in `models/imports/link.py`.

The planner knows little about tables that have just been filled. It might read all rows of an import, or all tasks of a
project, once for each row. A LIMIT or OFFSET that changes nothing else keeps it from that.
"""

from sqlalchemy import text

from app.models.imports.link import LinkProblem
from app.models.tasks.fields import MAX_LEVELS

MAKE_NAMES = text("""
    CREATE TEMPORARY TABLE IF NOT EXISTS import_names
        (row_number bigint, is_good boolean, ref text, external_ref text, parent text, level bigint) ON COMMIT DROP
""")
FILL_NAMES = "COPY import_names (row_number, is_good, ref, external_ref, parent, level) FROM STDIN"

# The table has just been filled. Its statistics may be those of an earlier import, or of none.
ANALYZE = text("ANALYZE import_links")

_NOTE = """
    INSERT INTO import_links
           (import_id, row_number, node, ref, external_ref, parent, level, may_decide, is_counted)
    SELECT :import_id, n.row_number, {node}, upper(n.ref), n.external_ref, n.parent, n.level,
           {may_decide}, {is_counted}
      FROM import_names AS n {joined}
"""
# Each good row makes a task, but none has been made: the file is only checked, or the block has no good rows.
NOTE_UNSAVED = text(
    _NOTE.format(
        node="CASE WHEN n.is_good THEN -n.row_number END", may_decide="n.is_good", is_counted="n.is_good", joined=""
    )
)
# Each good row will make a task, whose id is chosen here.
NOTE_NEW = text(
    _NOTE.format(
        node="CASE WHEN n.is_good THEN nextval((SELECT pg_get_serial_sequence('tasks', 'id'))::regclass) END",
        may_decide="n.is_good",
        is_counted="n.is_good",
        joined="",
    )
)
# Rows that mean one task share a node. If tasks are not updated, only the row that makes a task has a say.
NOTE_MATCHED = text(
    _NOTE.format(
        node="""CASE WHEN n.is_good THEN coalesce(m.task_id, t.id, -coalesce(m.draft, m.first_row)) END""",
        may_decide="n.is_good AND (:is_update OR m.nth = 1 AND NOT m.is_known)",
        is_counted="""n.is_good AND (
               m.nth = 1 AND NOT m.is_known
               OR m.fingerprint IS DISTINCT FROM
                  CASE WHEN m.nth = 1 THEN m.fingerprint_before ELSE m.previous_fingerprint END)""",
        joined="""
      LEFT JOIN import_matches AS m ON m.row_number = n.row_number
      LEFT JOIN (SELECT row_number,
                        CAST(:last_number AS bigint) + row_number() OVER (ORDER BY row_number) AS task_number
                   FROM import_matches WHERE nth = 1 AND task_id IS NULL) AS c ON c.row_number = m.first_row
      LEFT JOIN tasks AS t ON t.project_id = :project_id AND t.number = c.task_number
""",
    )
)

_IN_BLOCK = "c.import_id = :import_id AND c.row_number BETWEEN :first AND :last"


def _file_row(place: int, column: str, name: str) -> str:
    """The rows of the file with this name: their lowest and their highest node. Both are null if all were refused."""
    return f"""
        SELECT {place} AS place, min(named.node) AS lowest, max(named.node) AS highest
          FROM (SELECT f.node FROM import_links AS f
                 WHERE f.import_id = c.import_id AND f.{column} = {name} AND c.level IS NULL
                OFFSET 0) AS named
        HAVING count(*) > 0
    """  # noqa: S608 - of constants


# A row that has its parent already keeps it. The first place that knows the name says which task it means. Tasks of the
# project come last: the refs in a file are those that its tasks had where it was exported, and mean other tasks here.
FIND_PARENTS = text(f"""
    UPDATE import_links AS l SET parent_node = named.node, problem = named.problem
      FROM (
        SELECT c.row_number,
               CASE WHEN m.lowest = m.highest AND m.lowest <> c.node THEN m.lowest END AS node,
               CASE WHEN m.lowest IS NULL AND m.place IS NOT NULL THEN '{LinkProblem.REFUSED}'
                    WHEN m.lowest IS NULL THEN '{LinkProblem.UNKNOWN}'
                    WHEN m.lowest <> m.highest THEN '{LinkProblem.AMBIGUOUS}'
                    WHEN m.lowest = c.node THEN '{LinkProblem.ITSELF}' END AS problem
          FROM import_links AS c
          JOIN projects AS p ON p.id = :project_id
          LEFT JOIN LATERAL (
            SELECT * FROM (
                (SELECT 0 AS place, f.node AS lowest, f.node AS highest
                   FROM generate_series(1, c.level - 1) AS above (level)
                  CROSS JOIN LATERAL (
                      SELECT f.node, f.row_number FROM import_links AS f
                       WHERE f.import_id = c.import_id AND f.level = above.level AND f.row_number < c.row_number
                       ORDER BY f.row_number DESC LIMIT 1
                  ) AS f
                  ORDER BY f.row_number DESC LIMIT 1)
                UNION ALL {_file_row(1, "ref", "upper(c.parent)")}
                UNION ALL {_file_row(2, "external_ref", "c.parent")}
                UNION ALL
                SELECT 3, t.id, t.id
                  FROM (SELECT t.id, t.deleted_at FROM tasks AS t
                         WHERE c.level IS NULL AND t.project_id = :project_id
                           AND t.number = CASE WHEN upper(c.parent) ~ ('^' || p.key || '-[0-9]{{1,18}}$')
                                               THEN CAST(substr(c.parent, length(p.key) + 2) AS bigint) END
                        OFFSET 0) AS t
                 WHERE t.deleted_at IS NULL
                UNION ALL
                SELECT 4, min(few.id), max(few.id)
                  FROM (SELECT t.id FROM tasks AS t
                         WHERE c.level IS NULL AND t.project_id = :project_id AND t.external_ref = c.parent
                           AND t.deleted_at IS NULL LIMIT 2) AS few
                HAVING count(*) > 0
            ) AS meant
             ORDER BY meant.place LIMIT 1
          ) AS m ON true
         WHERE {_IN_BLOCK} AND c.parent IS NOT NULL AND c.node IS NOT NULL AND c.may_decide AND c.parent_node IS NULL
      ) AS named
     WHERE l.import_id = :import_id AND l.row_number BETWEEN :first AND :last AND l.row_number = named.row_number
""")  # noqa: S608 - of constants

# The last row that has a say in its task's parent decides.
_DECIDES = """
    (SELECT d.row_number FROM import_links AS d
      WHERE d.import_id = c.import_id AND d.node = c.node AND d.row_number > c.row_number AND d.may_decide
      LIMIT 1) IS NULL
"""
# The parent that a node would have after the import. A task whose row names a parent that was not found keeps its own.
_PARENT_OF = """
    SELECT CASE WHEN d.row_number IS NULL THEN t.parent_id ELSE d.parent_node END AS node
      FROM (SELECT 1) AS one
      LEFT JOIN LATERAL (
          SELECT d.row_number, d.parent, d.parent_node FROM import_links AS d
           WHERE d.import_id = :import_id AND d.node = a.node AND d.may_decide
           ORDER BY d.row_number DESC LIMIT 1
      ) AS d ON d.parent IS NULL OR d.parent_node IS NOT NULL
      LEFT JOIN tasks AS t ON t.id = a.node
"""
# The subtasks that no row of the file moves.
_STAYING = """
    SELECT t.id FROM tasks AS t
     WHERE t.parent_id = {}
       AND (SELECT d.row_number FROM import_links AS d
             WHERE d.import_id = :import_id AND d.node = t.id AND d.may_decide
               AND (d.parent IS NULL OR d.parent_node IS NOT NULL) LIMIT 1) IS NULL
    OFFSET 0
"""
# Every row is judged by what the whole file says, as if all other rows were good. A parent that is left out makes a new
# tree lower, so the others stay good. (An existing task then stays where it was. If another row of the file moves that
# place further down, the triggers of the tree may still refuse a parent when it is set.) Above a row, the walk follows
# the file. Below it, it follows the tasks that no row moves: every other task below it is judged by its own row.
JUDGE = text(f"""
    WITH RECURSIVE judged AS MATERIALIZED (
        SELECT c.row_number, c.node, c.parent_node FROM import_links AS c
         WHERE {_IN_BLOCK} AND c.parent_node IS NOT NULL AND {_DECIDES}
    ), above AS (
        SELECT row_number, node AS first, parent_node AS node, 1 AS level FROM judged
        UNION ALL
        SELECT a.row_number, a.first, p.node, a.level + 1
          FROM above AS a CROSS JOIN LATERAL ({_PARENT_OF}) AS p
         WHERE p.node IS NOT NULL AND a.node <> a.first AND a.level <= {MAX_LEVELS}
    ), below AS (
        SELECT j.row_number, t.id, 1 AS level FROM judged AS j CROSS JOIN LATERAL ({_STAYING.format("j.node")}) AS t
        UNION ALL
        SELECT b.row_number, t.id, b.level + 1 FROM below AS b CROSS JOIN LATERAL ({_STAYING.format("b.id")}) AS t
         WHERE b.level <= {MAX_LEVELS}
    ), placed AS (
        SELECT a.row_number, a.is_circle, a.levels + 1 + coalesce(b.levels, 0) AS levels
          FROM (SELECT row_number, bool_or(node = first) AS is_circle, max(level) AS levels
                  FROM above GROUP BY row_number) AS a
          LEFT JOIN (SELECT row_number, max(level) AS levels FROM below GROUP BY row_number) AS b
                 ON b.row_number = a.row_number
    )
    UPDATE import_links AS l
       SET problem = CASE WHEN p.is_circle THEN '{LinkProblem.CIRCLE}' ELSE '{LinkProblem.TOO_DEEP}' END
      FROM placed AS p
     WHERE l.import_id = :import_id AND l.row_number BETWEEN :first AND :last AND l.row_number = p.row_number
       AND (p.is_circle OR p.levels > {MAX_LEVELS})
""")  # noqa: S608 - of constants

# The tasks of a block are created with the parents that are known by then and that can be set.
FORGET_BAD = text(f"""
    UPDATE import_links AS c SET parent_node = NULL, problem = NULL WHERE {_IN_BLOCK} AND c.problem IS NOT NULL
""")  # noqa: S608 - of constants
FORGET_ALL = text(f"UPDATE import_links AS c SET parent_node = NULL WHERE {_IN_BLOCK}")  # noqa: S608 - of constants

# Another row of the file, which came later, has the name by which the parent was found.
_IS_DOUBTED = """
    c.level IS NULL AND CASE
        WHEN EXISTS (SELECT FROM import_links AS f WHERE f.import_id = c.import_id AND f.ref = upper(c.parent))
        THEN EXISTS (SELECT FROM import_links AS f
                      WHERE f.import_id = c.import_id AND f.ref = upper(c.parent)
                        AND f.node IS DISTINCT FROM c.parent_node)
        ELSE EXISTS (SELECT FROM import_links AS f
                      WHERE f.import_id = c.import_id AND f.external_ref = c.parent
                        AND f.node IS DISTINCT FROM c.parent_node) END
"""
# Every task of the file was created with its parent, and later rows did not change what the names mean.
ARE_SETTLED = text(f"""
    SELECT NOT EXISTS (
        SELECT FROM import_links AS c
         WHERE c.import_id = :import_id AND c.node IS NOT NULL AND c.parent IS NOT NULL
           AND (c.parent_node IS NULL OR {_IS_DOUBTED}))
""")  # noqa: S608 - of constants
_TAKE_BACK = """
    UPDATE tasks AS linked SET parent_id = NULL, updated_at = :now, version = linked.version + 1
      FROM (
        SELECT t.id FROM import_links AS c JOIN tasks AS t ON t.id = c.node AND t.parent_id = c.parent_node
         WHERE c.import_id = :import_id AND {reason}
         ORDER BY t.id
           FOR NO KEY UPDATE OF t
      ) AS taken
     WHERE linked.id = taken.id
"""
TAKE_BACK_DOUBTED = text(_TAKE_BACK.format(reason=_IS_DOUBTED))
FORGET_DOUBTED = text(f"""
    UPDATE import_links AS c SET parent_node = NULL
     WHERE c.import_id = :import_id AND c.parent_node IS NOT NULL AND {_IS_DOUBTED}
""")  # noqa: S608 - of constants
TAKE_BACK_BAD = text(_TAKE_BACK.format(reason="c.problem IS NOT NULL"))

# The rows that were not counted yet, and name another parent than the row before left to the task.
CHANGES = text(f"""
    SELECT count(*) FROM import_links AS c
      LEFT JOIN LATERAL (
          SELECT d.row_number, d.parent_node, d.problem FROM import_links AS d
           WHERE d.import_id = c.import_id AND d.node = c.node AND d.row_number < c.row_number AND d.may_decide
           ORDER BY d.row_number DESC LIMIT 1
      ) AS before ON before.problem IS NULL
      LEFT JOIN tasks AS t ON t.id = c.node
     WHERE {_IN_BLOCK} AND c.node IS NOT NULL AND c.may_decide AND NOT c.is_counted AND c.problem IS NULL
       AND c.parent_node IS DISTINCT FROM
           CASE WHEN before.row_number IS NULL THEN t.parent_id ELSE before.parent_node END
""")  # noqa: S608 - of constants

PROBLEMS = text(f"""
    SELECT c.row_number, c.parent, c.level IS NOT NULL, c.problem, c.is_counted FROM import_links AS c
     WHERE {_IN_BLOCK} AND c.problem IS NOT NULL
       AND (NOT :only_changed OR c.problem = '{LinkProblem.CHANGED}')
     ORDER BY c.row_number
""")  # noqa: S608 - of constants

_WISHED = f"""
    FROM import_links AS c JOIN tasks AS t ON t.id = c.node
   WHERE {_IN_BLOCK} AND c.may_decide AND c.problem IS NULL
     AND t.parent_id IS DISTINCT FROM c.parent_node AND {_DECIDES} {{chosen}}
"""
# Leaves out the tasks that have no parent yet.
MOVED_ONLY = "AND t.parent_id IS NOT NULL"
WISHES = f"SELECT c.row_number {_WISHED} ORDER BY c.row_number"
# In the order of their ids, so that no two transactions wait for each other in a circle.
LOCK = f"""
    SELECT count(*) FROM (
        SELECT locked.id FROM tasks AS locked
         WHERE locked.id IN (SELECT unnest(ARRAY[c.node, c.parent_node]) {_WISHED})
         ORDER BY locked.id
           FOR NO KEY UPDATE
    ) AS locked
"""  # noqa: S608 - of constants
# A task that was deleted or moved to another project since the file was judged.
MARK_VANISHED = f"""
    UPDATE import_links AS l SET problem = '{LinkProblem.CHANGED}'
      FROM (
        SELECT c.row_number,
               (SELECT count(*)
                  FROM (SELECT n.project_id, n.deleted_at FROM tasks AS n
                         WHERE n.id IN (c.node, c.parent_node) OFFSET 0) AS needed
                 WHERE needed.project_id = :project_id AND needed.deleted_at IS NULL) AS found_count,
               1 + CAST(c.parent_node IS NOT NULL AS int) AS needed_count
          {_WISHED}
      ) AS wished
     WHERE l.import_id = :import_id AND l.row_number BETWEEN :first AND :last AND l.row_number = wished.row_number
       AND wished.found_count < wished.needed_count
"""  # noqa: S608 - of constants
MARK_CHANGED = text(f"""
    UPDATE import_links AS c SET problem = '{LinkProblem.CHANGED}' WHERE {_IN_BLOCK}
""")  # noqa: S608 - of constants
LINK = f"""
    UPDATE tasks AS linked SET parent_id = wished.parent_node, updated_at = :now, version = linked.version + 1
      FROM (SELECT c.node, c.parent_node {_WISHED}) AS wished
     WHERE linked.id = wished.node
"""  # noqa: S608 - of constants
