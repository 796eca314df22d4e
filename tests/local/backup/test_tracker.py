"""A tracker that is backed up while clients write, then restored: it shows one instant and goes on from there."""

import json
import re
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Event
from uuid import uuid4

import psycopg2
import pytest

from app.local.servers import PostgresServer
from app.local.system_user import server_user
from tests import servers
from tests.local.backup.recorded import asking, fingerprint, run
from tests.local.tracker import Tracker
from tests.servers import wait_for

WRITERS = 3
TASKS = 150
ROWS = 200
# The import of this many rows is still running when the backup's dump begins.
MANY_ROWS = 30_000
BAD_ROW = "No such status,whenever\n"
# These tables have no rows in a tracker at rest.
MAY_BE_EMPTY = {"import_blocks", "import_drafts", "import_links", "log_requests", "login_attempts", "login_waits"}


class TestTracker:
    @pytest.mark.slow
    def test_a_backup_among_writers_is_one_instant_and_a_new_tracker_goes_on_from_it(self, source, restored, tmp_path):
        api = Api(source)
        fill(api)
        logged = list_logged(source)
        file = tmp_path / "backups" / "among writers.dump"

        with writing(api) as journal:
            import_id = api.upload("\n".join(f"Long row {number},todo" for number in range(MANY_ROWS)), waits=False)
            assert wait_for(lambda: len(journal) > 20 * WRITERS)
            began = time.monotonic()
            backup = run("backup", file, DATA_DIR=source.data_dir)
            ended = time.monotonic()
            assert wait_for(lambda: sum(1 for change in list(journal) if change.sent > ended) > 5 * WRITERS)
        refused = run("restore", file, DATA_DIR=source.data_dir)
        restore = run("restore", file, DATA_DIR=restored.data_dir)

        assert backup.returncode == 0, backup.stderr
        assert file.stat().st_mode & 0o777 == 0o600
        assert refused.returncode == 1
        assert "has tables already" in refused.stderr
        assert restore.returncode == 0, restore.stderr
        with database(restored) as ask:
            ensure_one_instant(journal, ids_of_requests_in_history(ask), began, ended)
            ensure_tables_agree(ask)
            assert logged
            assert ask(LOGGED) == logged
        restored.start().wait_until_ready()
        with connected(restored) as ask:
            goes_on = Api(restored)
            assert wait_for(lambda: goes_on.call("GET", f"/api/v1/imports/{import_id}")["finished_at"], seconds=60)
            assert goes_on.call("GET", f"/api/v1/imports/{import_id}")["created_count"] == MANY_ROWS
            assert ask("SELECT count(*), count(DISTINCT title) FROM tasks WHERE title LIKE 'Long row %'") == [
                (MANY_ROWS, MANY_ROWS)
            ]
            ensure_new_tasks_are_new(ask, goes_on)
            ensure_history_continues(ask, goes_on)
            ensure_tables_agree(ask)

    @pytest.mark.slow
    def test_a_backup_of_a_stopped_tracker_is_restored_exactly(self, source, restored, tmp_path):
        fill(Api(source))
        source.stop()
        file = tmp_path / "stopped.dump"

        backup = run("backup", file, DATA_DIR=source.data_dir)
        restore = run("restore", file, DATA_DIR=restored.data_dir)

        assert (backup.returncode, backup.stdout) == (0, f"Backed up to {file}.\n"), backup.stderr
        assert restore.returncode == 0, restore.stderr
        with database(source) as ask:
            before = fingerprint(ask)
            schema = schema_of(source)
        with database(restored) as ask:
            assert fingerprint(ask) == before
            assert schema_of(restored) == schema
        empty = {name for name, (rows, _checksum) in before.items() if not rows and name not in MAY_BE_EMPTY}
        assert [name for name in empty if not name.startswith("task_logs_")] == []
        assert source.processes() == restored.processes() == []


LOGGED = "SELECT task_logs::text FROM task_logs ORDER BY log_date, task_id"
# Each query finds rows of one table that contradict another table at the same instant.
DISAGREEMENTS = {
    "a history is not contiguous from 1": """
        SELECT task_id FROM task_history GROUP BY task_id HAVING (min(revision), max(revision)) <> (1, count(*))""",
    "a version does not begin where the one before it ends": """
        SELECT * FROM (SELECT *, lead(valid_from, 1, 'infinity') OVER (PARTITION BY task_id ORDER BY revision) AS next
                         FROM task_history) AS versions WHERE valid_to <> next""",
    "a task is not its last version": """
        SELECT t.id, h.task_id
          FROM tasks AS t FULL JOIN (SELECT * FROM task_history WHERE valid_to = 'infinity') AS h ON h.task_id = t.id
         WHERE (t.revision, t.revised_at, t.project_id, t.number, t.title, t.description, t.status, t.priority,
                t.labels, t.creator_id, t.assignee_id, t.due_at, t.external_ref, t.created_at, t.started_at,
                t.completed_at, t.deleted_at)
            IS DISTINCT FROM
               (h.revision, h.valid_from, h.project_id, h.number, h.title, h.description, h.status, h.priority,
                h.labels, h.creator_id, h.assignee_id, h.due_at, h.external_ref, h.created_at, h.started_at,
                h.completed_at, h.deleted_at)""",
    "a task has other comments than it counts": """
        SELECT id FROM tasks AS t
         WHERE comment_count <> (SELECT count(*) FROM comments AS c WHERE c.task_id = t.id AND c.deleted_at IS NULL)""",
    "a comment is not its last version": """
        SELECT c.id, v.comment_id
          FROM comments AS c
          FULL JOIN (SELECT * FROM comment_versions WHERE valid_to = 'infinity') AS v ON v.comment_id = c.id
         WHERE (c.version, c.revised_at, c.task_id, c.body, c.edited_at, c.deleted_at)
            IS DISTINCT FROM (v.version, v.valid_from, v.task_id, v.body, v.edited_at, v.deleted_at)""",
    "an import made other tasks than it says": """
        SELECT id FROM imports AS i WHERE created_count <>
               (SELECT count(*) FROM task_history AS h WHERE h.revision = 1 AND h.request_id = i.request_id)""",
    "an import that is over read other rows than it dealt with": """
        SELECT id FROM imports WHERE finished_at IS NOT NULL
           AND read_count <> created_count + updated_count + skipped_count + refused_count""",
    "an import has other errors than it says": """
        SELECT id FROM imports AS i
         WHERE error_count <> (SELECT count(*) FROM import_errors AS e WHERE e.import_id = i.id)""",
    "a day has other rows than its run says": """
        SELECT log_date FROM log_runs AS r
         WHERE task_count <> (SELECT count(*) FROM task_logs AS l WHERE l.log_date = r.log_date)""",
    "a project gave fewer numbers than it has": """
        SELECT id FROM projects AS p
         WHERE last_task_number < (SELECT coalesce(max(number), 0) FROM tasks AS t WHERE t.project_id = p.id)""",
    "ids were given that the next ones would repeat": """
        SELECT last_value FROM tasks_id_seq WHERE last_value < (SELECT max(id) FROM tasks)""",
}


def ensure_tables_agree(ask):
    assert {what: rows for what, query in DISAGREEMENTS.items() if (rows := ask(query))} == {}
    assert ask("SELECT count(*) > 0 FROM imports WHERE created_count > 0 AND error_count > 0") == [(True,)]


def ensure_one_instant(journal, recorded, began, ended):
    restored_changes = [change for change in journal if change.request_id in recorded]
    missing = [change for change in journal if change.request_id not in recorded]
    assert [change for change in missing if change.acknowledged < began] == []
    assert [change for change in restored_changes if change.sent > ended] == []
    # No change in the dump was sent after a missing change had been acknowledged.
    last_sent = max(change.sent for change in restored_changes)
    assert [change for change in missing if change.acknowledged < last_sent] == []
    # Otherwise no client wrote during the backup.
    assert [change for change in missing if change.acknowledged < ended]


def ensure_new_tasks_are_new(ask, api):
    ((highest_id, last_number),) = ask(
        "SELECT max(task_id), max(last_task_number) FROM task_history, projects WHERE key = 'GEN'"
    )

    task = api.call("POST", "/api/v1/tasks", {"title": "New on the new server"})

    assert task["id"] > highest_id
    assert task["ref"] == f"GEN-{last_number + 1}"


def ensure_history_continues(ask, api):
    ((task_id, version_count),) = ask(
        "SELECT id, revision FROM tasks WHERE title = 'Task 0' AND deleted_at IS NULL AND status = 'done'"
    )

    api.call("PATCH", f"/api/v1/tasks/{task_id}", {"title": "Changed on the new server"})

    assert ask(f"SELECT count(*) FROM task_history WHERE task_id = {task_id}") == [(version_count + 1,)]
    for rewriting in ("UPDATE task_history SET title = 'x'", "DELETE FROM task_history", "TRUNCATE task_history"):
        with pytest.raises(psycopg2.errors.RaiseException, match="the history of tasks is not rewritten"):
            ask(rewriting)


def ids_of_requests_in_history(ask):
    return {request_id for (request_id,) in ask("SELECT DISTINCT request_id FROM task_history")}


def schema_of(tracker):
    server = server_of(tracker)
    dumped = subprocess.run(
        [server.programs / "pg_dump", "--schema-only", "-d", server.url], capture_output=True, text=True, check=True
    )
    # One token differs in each dump, and PostgreSQL prints a restored expression with fewer brackets.
    return re.sub(r"^\\(un)?restrict .*$|[()]", "", dumped.stdout, flags=re.MULTILINE)


def list_logged(tracker):
    with connected(tracker) as ask:
        return ask(LOGGED)


def fill(api):
    """Leave tasks in every state, comments, an import with errors, people, a token, a kept answer and a logged day.

    Also an archived project, a task that has left it, and a pinned view.
    """
    api.call("POST", "/api/v1/projects", {"key": "OPS", "name": "Operations"}, key="once")
    person = {"username": "ina", "email": "ina@example.org", "password": "a password of Ina's", "role": "user"}
    ina = api.call("POST", "/api/v1/users", person)
    api.call("POST", f"/api/v1/users/{ina['id']}/password-reset")
    api.call("POST", "/api/v1/auth/tokens", {"name": "Report", "scopes": ["tasks:read"]})
    api.call("PUT", "/api/v1/projects/OPS/members/ina", {})
    api.call("PUT", "/api/v1/projects/OPS/import-mapping", {"status_map": {"This week": "todo"}})
    api.call("POST", "/api/v1/projects", {"key": "OLD", "name": "Ended"})
    moved = api.call("POST", "/api/v1/tasks", {"title": "Moved", "project": "OLD"})
    api.call("PATCH", f"/api/v1/tasks/{moved['id']}", {"project": "OPS"})
    api.call("POST", "/api/v1/projects/OLD/archive")
    view = api.call("POST", "/api/v1/views", {"name": "Mine", "query": {"assignee": "me"}})
    api.call("PUT", f"/api/v1/views/{view['id']}/pin", {})
    ids = [api.call("POST", "/api/v1/tasks", {"title": f"Task {number}"})["id"] for number in range(TASKS)]
    for task_id in ids[: TASKS // 2]:
        api.call("PATCH", f"/api/v1/tasks/{task_id}/status", {"status": "done"})
    for task_id in ids[-TASKS // 5 :]:
        api.call("DELETE", f"/api/v1/tasks/{task_id}")
    for task_id in ids[-TASKS // 10 :]:
        api.call("POST", f"/api/v1/tasks/{task_id}/restore")
    for task_id in ids[:5]:
        comment = api.call("POST", f"/api/v1/tasks/{task_id}/comments", {"body": "@ina, is this done?"})
        api.call("PATCH", f"/api/v1/tasks/{task_id}/comments/{comment['id']}", {"body": "Done"})
        api.call("PUT", f"/api/v1/tasks/{task_id}/followers/me")
    api.call("DELETE", f"/api/v1/tasks/{task_id}/comments/{comment['id']}")
    api.upload("".join(f"Row {number},todo\n" for number in range(ROWS)) + BAD_ROW, waits=True)
    api.call("POST", "/api/v1/task-logs/runs")
    assert wait_for(lambda: api.call("GET", "/api/v1/task-logs/runs")["items"])


@dataclass(frozen=True)
class Change:
    """A change that was acknowledged, with the times of its request and its answer."""

    request_id: str
    sent: float
    acknowledged: float


@contextmanager
def writing(api):
    """Run threads that create, change and delete tasks; yield the growing journal of acknowledged changes."""
    journal = []
    stopping = Event()
    with ThreadPoolExecutor(WRITERS) as threads:
        writers = [threads.submit(write, api, name, journal, stopping) for name in range(WRITERS)]
        try:
            yield journal
        finally:
            stopping.set()
    for writer in writers:
        writer.result()


def write(api, name, journal, stopping):
    def change(method, path, body=None):
        request_id, sent = uuid4().hex, time.monotonic()
        answer = api.call(method, path, body, request_id=request_id)
        journal.append(Change(request_id, sent, time.monotonic()))
        return answer

    for number in count():
        if stopping.is_set():
            break
        task = change("POST", "/api/v1/tasks", {"title": f"Writer {name}'s {number}"})
        change("PATCH", f"/api/v1/tasks/{task['id']}/status", {"status": "in_progress"})
        if number % 3 == 0:
            change("DELETE", f"/api/v1/tasks/{task['id']}")


class Api:
    def __init__(self, tracker):
        self._base = f"http://127.0.0.1:{tracker.port}"
        self._token = tracker.log_in()

    def call(self, method, path, body=None, *, request_id=None, key=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {
            "Content-Type": "application/json" if data else None,
            "X-Request-ID": request_id,
            "Idempotency-Key": key,
        }
        return self._send(method, path, data, {name: value for name, value in headers.items() if value is not None})

    def upload(self, rows, *, waits):
        """Return the import's id: after it has finished if the caller waits, else at once."""
        part = 'Content-Disposition: form-data; name="file"; filename="tasks.csv"\r\nContent-Type: text/csv'
        data = f"--edge\r\n{part}\r\n\r\ntitle,status\n{rows}\r\n--edge--\r\n".encode()
        headers = {
            "Content-Type": "multipart/form-data; boundary=edge",
            "Prefer": "wait=20" if waits else "respond-async",
        }
        answer = self._send("POST", "/api/v1/imports", data, headers)
        assert waits <= bool(answer["finished_at"])
        return answer["id"]

    def _send(self, method, path, data, headers):
        request = urllib.request.Request(f"{self._base}{path}", data, headers, method=method)  # noqa: S310
        request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")


def server_of(tracker):
    return PostgresServer(tracker.data_dir, server_user(tracker.data_dir))


@contextmanager
def database(tracker):
    """Open the database of a stopped tracker, so that only the test changes it."""
    with servers.running(server_of(tracker)), connected(tracker) as ask:
        yield ask


@contextmanager
def connected(tracker):
    with asking(server_of(tracker).url) as ask:
        yield ask


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    tracker = Tracker(tmp_path / "source")
    try:
        tracker.start(RATE_LIMIT_ENABLED="false").wait_until_ready()
        yield tracker
    finally:
        tracker.stop()


@pytest.fixture
def restored(tmp_path):
    """A tracker that was never started."""
    (tmp_path / "restored").mkdir()
    tracker = Tracker(tmp_path / "restored")
    yield tracker
    tracker.stop()
