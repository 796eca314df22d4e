"""Which task does each row of a batch mean? The SQL that answers it; docs/adr/011 explains the rules.

A row that names an `external_ref` means the task with that reference. Any other row means the oldest task with its
title, description and assignee. If that row has a date of creation, the task must have been created on that day. Rows
that mean the same task have the same *subject* and are applied in the order of the file. A file that is only checked
writes no tasks: its earlier batches leave drafts, and a row may mean a draft instead of a task.
"""

from sqlalchemy import TextClause, text

from app.models.imports.task_import import DuplicatePolicy
from app.repositories.imports.times import TIMES_OF_NEW_TASK
from app.repositories.imports.updatable_fields import updatable_fields

DROP_MATCHES = text("DROP TABLE IF EXISTS import_matches")

# Example. Task 7 of the project has the reference A-1, the title "Paint the fence" and the priority low; a file with
# the columns external_ref, title and priority updates duplicates. Letters stand for fingerprints; s is that of task 7.
#
#   import_batch                               row_with_task   row_with_subject                      import_matches
#   row  external_ref  title            prio   task  print     subject     is_known  print_before   nth  first  deciding
#     1  A-1           Paint the fence  high   7     a         task 7      yes       s              1    1      1
#     2  A-2           Buy paint        low    —     b            no        —              1    2      3
#     3  A-2           Buy paint        high   —     c            no        —              2    2      3
#     4  —             Buy a brush      low    —     d         content …   no        —              1    4      4
#
# `fingerprinted_row` computed the fingerprints a to d. `row_with_task` found task 7 by its reference. There are no
# drafts, so `row_with_draft` adds nothing. Outcome: rows 2 and 4 are the first of unknown subjects and create tasks;
# row 1 differs from s and row 3 from row 2, so both count as updates. Task 7 and the task of row 2 end as their
# deciding rows say. With on_duplicate=skip the first row of a subject decides: row 3 is skipped, and so is row 1.
#
# Fingerprints cover the columns that the file has: only those can make a row differ from its task.
_MATCH = """
    CREATE TEMPORARY TABLE import_matches ON COMMIT DROP AS
    WITH fingerprinted_row AS (
        SELECT b.row_number, b.title, b.description, b.assignee_id, b.assignee_name, b.external_ref,
               (b.created_at AT TIME ZONE :zone)::date AS created_on,
               md5(ROW(b.title, b.description, b.assignee_name)::text)::uuid AS content,
               md5(ROW({batch_values})::text)::uuid AS fingerprint
          FROM import_batch AS b
    ), row_with_task AS (
        SELECT r.row_number, r.external_ref, r.content, r.created_on, r.fingerprint,
               coalesce(task_by_reference.id, task_by_content.id) AS task_id
          FROM fingerprinted_row AS r
          LEFT JOIN LATERAL (
              SELECT t.id FROM tasks AS t
               WHERE t.project_id = :project_id AND t.external_ref = r.external_ref AND t.deleted_at IS NULL
               ORDER BY t.id LIMIT 1
          ) AS task_by_reference ON true
          LEFT JOIN LATERAL (
              SELECT t.id FROM tasks AS t
               WHERE r.external_ref IS NULL AND (r.assignee_name IS NULL OR r.assignee_id IS NOT NULL)
                 AND t.project_id = :project_id AND t.deleted_at IS NULL
                 AND hashtextextended((t.title || ' ') || t.description, 0)
                   = hashtextextended((r.title || ' ') || r.description, 0)
                 AND t.title = r.title AND t.description = r.description
                 AND t.assignee_id IS NOT DISTINCT FROM r.assignee_id
                 AND (r.created_on IS NULL OR (t.created_at AT TIME ZONE :zone)::date = r.created_on)
               ORDER BY t.id LIMIT 1
          ) AS task_by_content ON true
    ), row_with_draft AS (
        SELECT r.row_number, r.external_ref, r.content, r.created_on, r.fingerprint, r.task_id AS existing_task_id,
               draft.row_number AS draft, draft.task_id AS draft_task_id, draft.fingerprint AS draft_fingerprint
          FROM row_with_task AS r
          LEFT JOIN LATERAL (
              SELECT d.row_number, d.task_id, d.fingerprint FROM import_drafts AS d
               WHERE d.import_id = :import_id
                 AND (d.task_id = r.task_id
                      OR r.task_id IS NULL AND d.external_ref = r.external_ref
                      OR r.task_id IS NULL AND r.external_ref IS NULL AND d.content = r.content
                         AND (r.created_on IS NULL OR d.created_on = r.created_on))
               ORDER BY d.row_number LIMIT 1
          ) AS draft ON true
    ), row_with_subject AS (
        SELECT r.row_number, r.external_ref, r.content, r.created_on, r.fingerprint,
               coalesce(r.existing_task_id, r.draft_task_id) AS task_id, r.draft,
               r.existing_task_id IS NOT NULL OR r.draft IS NOT NULL AS is_known,
               coalesce(r.draft_fingerprint, md5(ROW({task_values})::text)::uuid) AS fingerprint_before,
               CASE WHEN r.draft IS NOT NULL THEN 'draft ' || r.draft
                    WHEN r.existing_task_id IS NOT NULL THEN 'task ' || r.existing_task_id
                    WHEN r.external_ref IS NOT NULL THEN 'ref ' || r.external_ref
                    ELSE 'content ' || ROW(r.content, r.created_on)::text END AS subject
          FROM row_with_draft AS r
          LEFT JOIN tasks AS t ON t.id = r.existing_task_id
          LEFT JOIN users AS u ON u.id = t.assignee_id
    )
    SELECT r.*,
           row_number() OVER same_subject AS nth,
           lag(r.fingerprint) OVER same_subject AS previous_fingerprint,
           first_value(r.row_number) OVER same_subject AS first_row,
           {deciding}_value(r.row_number)
               OVER (same_subject ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS deciding_row
      FROM row_with_subject AS r
    WINDOW same_subject AS (PARTITION BY r.subject ORDER BY r.row_number)
"""


def match_statement(columns: frozenset[str], policy: DuplicatePolicy) -> TextClause:
    """The statement makes import_matches, with one row for each row of import_batch.

    If duplicates are updated, the last row of a subject decides what is written to its task, otherwise the first.
    """
    compared = updatable_fields(columns)
    return text(
        _MATCH.format(
            batch_values=", ".join(field.in_batch for field in compared),
            task_values=", ".join(field.in_task for field in compared),
            deciding="last" if policy is DuplicatePolicy.UPDATE else "first",
        )
    )


# How many tasks the batch would create, and how many of its rows would change one.
COUNT_MATCHES = text("""
    SELECT count(*) FILTER (WHERE nth = 1 AND NOT is_known),
           count(*) FILTER (WHERE (nth > 1 OR is_known)
                              AND fingerprint IS DISTINCT FROM
                                  CASE WHEN nth = 1 THEN fingerprint_before ELSE previous_fingerprint END)
      FROM import_matches
""")

# The rows that create a task: the first of each subject that has none.
CREATING_ROWS = "SELECT row_number FROM import_matches WHERE nth = 1 AND task_id IS NULL"

# The tasks just created got their numbers in the order of their first rows. A later row of the same subject that
# decides what is written now finds its task by that number, and compares itself with the row that created it.
MATCH_CREATED_TASKS = text("""
    WITH creating_row AS (
        SELECT row_number, fingerprint, :last_number + row_number() OVER (ORDER BY row_number) AS task_number
          FROM import_matches WHERE nth = 1 AND task_id IS NULL
    )
    UPDATE import_matches AS m SET task_id = t.id, fingerprint_before = c.fingerprint
      FROM creating_row AS c JOIN tasks AS t ON t.project_id = :project_id AND t.number = c.task_number
     WHERE m.first_row = c.row_number AND m.row_number = m.deciding_row AND m.nth > 1
""")

# A draft is what the batches so far would have made of one task. A task that is skipped stays as it is, so it has none.
# The day of a draft's creation is that of its task, or the day on which the first row would have created it.
WRITE_DRAFTS = text(f"""
    WITH first_row AS (
        SELECT row_number, {TIMES_OF_NEW_TASK["created_at"]} AS created_at FROM import_batch
    )
    INSERT INTO import_drafts (import_id, row_number, task_id, external_ref, content, created_on, fingerprint)
    SELECT :import_id, coalesce(m.draft, m.first_row), m.task_id, m.external_ref, m.content,
           (coalesce(t.created_at, f.created_at) AT TIME ZONE :zone)::date, m.fingerprint
      FROM import_matches AS m
      JOIN first_row AS f ON f.row_number = m.first_row
      LEFT JOIN tasks AS t ON t.id = m.task_id
     WHERE m.row_number = m.deciding_row AND (:is_update OR m.task_id IS NULL)
    ON CONFLICT (import_id, row_number) DO UPDATE
       SET external_ref = coalesce(excluded.external_ref, import_drafts.external_ref),
           content = excluded.content, fingerprint = excluded.fingerprint
     WHERE :is_update
""")  # noqa: S608 - of constants
