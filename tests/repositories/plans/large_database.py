"""A database with so many tasks that PostgreSQL plans its reads as for a million."""

from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import create_engine, text

from tests import servers

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)
TASKS = 100_000
# The rows of each day of the log.
DAY_ROWS = 5_000


@contextmanager
def large_database(server_url):
    """Yield an engine. Every tenth task has two versions and a former ref, and the log has twenty days."""
    with servers.migrated_database(server_url) as url:
        engine = create_engine(url, connect_args={"options": "-c timezone=UTC"})
        with engine.begin() as connection:
            for statement in FILL:
                connection.execute(text(statement), {"now": NOW, "count": TASKS})
        yield engine
        engine.dispose()


VERSIONED = """project_id, number, title, description, status, priority, labels, creator_id, assignee_id, due_at,
    external_ref, position, created_at, started_at, completed_at, deleted_at, version,
    parent_id, recurrence"""
FILL = [
    """INSERT INTO users (username, role, is_active)
       SELECT 'person-' || n, 'user', false FROM generate_series(1, 200) AS n""",
    "INSERT INTO projects (key, name) SELECT 'P' || n, 'Project ' || n FROM generate_series(2, 50) AS n",
    # The triggers would take most of the time, and the indexes are built faster than they are filled row by row.
    "ALTER TABLE tasks DISABLE TRIGGER USER",
    """CREATE TEMPORARY TABLE dropped_indexes ON COMMIT DROP AS
       SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tasks' AND indexname NOT LIKE 'pk_%'""",
    "DO $$ BEGIN EXECUTE (SELECT 'DROP INDEX ' || string_agg(indexname, ', ') FROM dropped_indexes); END $$",
    """INSERT INTO tasks (project_id, number, title, status, priority, labels, creator_id, assignee_id, due_at,
                          position, external_ref, created_at, updated_at, revised_at, started_at, completed_at,
                          deleted_at, parent_id, recurrence)
       SELECT CASE WHEN n % 1000 = 0 THEN 50
                   WHEN n % 1013 < 405 THEN 7
                   ELSE 1 + n % 1013 % 49 END, n, 'Task ' || md5(n::text) || ' word' || n % 997,
              (enum_range(NULL::task_status))[1 + n % 5], (enum_range(NULL::task_priority))[1 + n % 4],
              CASE WHEN n % 5000 = 1 THEN ARRAY['rare'] WHEN n % 4 = 0 THEN ARRAY['label-' || n % 101] ELSE '{}' END,
              1 + n % 200, CASE WHEN n % 5 > 0 THEN 1 + n / 5 % 20 END,
              CASE WHEN n % 3 = 0 THEN CAST(:now AS timestamptz) + (n % 1201 - 600) / 10.0 * interval '1 day' END, n,
              CASE WHEN n % 4 = 0 THEN 'JIRA-' || n END,
              created_at, created_at + n % 89 * interval '1 hour', created_at,
              CASE WHEN n % 5 > 0 THEN created_at + interval '1 hour' END,
              CASE WHEN n % 5 > 2 THEN created_at + interval '2 hours' END, CASE WHEN n % 50 = 1 THEN created_at END,
              CASE WHEN n > 1013 AND n % 20 = 19 THEN n - 1013 END, CASE WHEN n % 600 = 3 THEN 'FREQ=DAILY' END
         FROM generate_series(1, :count) AS n,
              LATERAL (SELECT CAST(:now AS timestamptz) - (1 - n::float / :count) * interval '365 days')
                  AS t(created_at)""",
    "DO $$ BEGIN EXECUTE (SELECT string_agg(indexdef, ';') FROM dropped_indexes); END $$",
    "ALTER TABLE tasks ENABLE TRIGGER USER",
    f"""INSERT INTO task_history (task_id, revision, valid_from, {VERSIONED})
        SELECT id, revision, revised_at, {VERSIONED} FROM tasks""",
    f"""INSERT INTO task_history (task_id, revision, valid_from, valid_to, {VERSIONED})
        SELECT id, revision - 1, revised_at - interval '1 day', revised_at, {VERSIONED} FROM tasks WHERE id % 10 = 0
    """,
    """INSERT INTO former_refs (project_id, number, task_id)
       SELECT 3, 1000000 + id, id FROM tasks WHERE id % 10 = 0""",
    """INSERT INTO project_archivals (project_id, archived_at)
       SELECT id, CAST(:now AS timestamptz) - interval '30 days' FROM projects WHERE key IN ('P48', 'P49')""",
    """INSERT INTO saved_views (owner_id, name, query, layout, visibility, project_id)
       SELECT 1 + n % 200, 'View ' || n, '{}', 'list',
              CASE WHEN n % 100 = 0 THEN view_visibility 'project' WHEN n % 1000 = 1 THEN 'everyone' ELSE 'private' END,
              CASE WHEN n % 100 = 0 THEN 1 + n / 100 % 50 END
         FROM generate_series(1, :count) AS n""",
    """INSERT INTO view_pins (user_id, view_id, position)
       SELECT owner_id, min(id), 1 FROM saved_views WHERE visibility = 'private' GROUP BY owner_id""",
    "CREATE TABLE task_logs_2026_02 PARTITION OF task_logs FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
    "CREATE TABLE task_logs_2026_03 PARTITION OF task_logs FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
    """INSERT INTO task_logs (log_date, task_id, project_id, number, title, status, priority, assignee_id, due_at)
       SELECT day, id, project_id, number, title, status, priority, assignee_id, due_at
         FROM generate_series(date '2026-02-20', date '2026-03-11', interval '1 day') AS day, tasks
        WHERE completed_at IS NULL AND id % 12 = 0
        ORDER BY day, id""",
    """INSERT INTO log_runs (log_date, time_zone, started_at, finished_at, task_count, source, is_final)
       SELECT log_date, 'UTC', :now, :now, count(*), 'scheduled', true FROM task_logs GROUP BY log_date""",
    # Task 300 has a thousand comments, and every tenth task a few.
    "ALTER TABLE comments DISABLE TRIGGER USER",
    """INSERT INTO comments (task_id, author_id, body, body_html, created_at, revised_at, deleted_at)
       SELECT CASE WHEN n <= 1000 THEN 300 ELSE 10 * (n % 10000) + 10 END, 1 + n % 200, 'Comment ' || n,
              'Comment ' || n, created_at, created_at, CASE WHEN n % 20 = 0 THEN created_at + interval '1 minute' END
         FROM generate_series(1, 50000) AS n,
              LATERAL (SELECT CAST(:now AS timestamptz) - (1 - n / 50000.0) * interval '365 days') AS t(created_at)""",
    "ALTER TABLE comments ENABLE TRIGGER USER",
    """INSERT INTO comment_versions (comment_id, version, task_id, valid_from, body, body_html, deleted_at)
       SELECT id, version, task_id, revised_at, body, body_html, deleted_at FROM comments""",
    "INSERT INTO comment_mentions SELECT id, 1, 1 + id % 200 FROM comments WHERE id % 10 = 0",
    """INSERT INTO task_followers (task_id, user_id, is_following)
       SELECT 1 + n, 1 + n % 200, n % 10 > 0 FROM generate_series(1, 50000) AS n ON CONFLICT DO NOTHING""",
    # A sample of every row, so that the plans are the same each time.
    "SET LOCAL default_statistics_target = 400",
    "ANALYZE tasks",
    "ANALYZE task_history",
    "ANALYZE task_logs",
    "ANALYZE comments",
    "ANALYZE comment_versions",
    "ANALYZE comment_mentions",
    "ANALYZE task_followers",
    "ANALYZE former_refs",
    "ANALYZE project_archivals",
    "ANALYZE projects",
    "ANALYZE saved_views",
    "ANALYZE users",
]
