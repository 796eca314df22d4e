"""`make backup` and `make restore` with real servers: one instant of what goes on, whole or not at all."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Event
from uuid import uuid4

import psycopg2
import pytest

from app.local.servers import PostgresServer
from app.local.system_user import ServerUser, server_user
from tests import servers
from tests.local.test_command import Tracker
from tests.servers import ROOT, free_port, own_user, wait_for

WRITERS = 3
TASKS = 150
ROWS = 200
# So many that their import takes longer than the backup's dump needs to begin.
MANY_ROWS = 30_000
BAD_ROW = "No such status,whenever\n"
# What is written where nobody asks for it, or only for a moment.
MAY_BE_EMPTY = {"import_blocks", "import_drafts", "log_requests", "login_attempts", "login_waits"}


class TestTracker:
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
        assert "holds tables already" in refused.stderr
        assert restore.returncode == 0, restore.stderr
        with database(restored) as ask:
            ensure_one_instant(journal, ids_of_recorded_requests(ask), began, ended)
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
            ensure_record_is_kept(ask, goes_on)
            ensure_tables_agree(ask)

    def test_a_backup_of_one_that_is_stopped_is_restored_to_the_letter(self, source, restored, tmp_path):
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


class TestBackup:
    def test_honours_a_database_url_and_is_restored_to_the_letter(self, filled_url, empty_url, tmp_path):
        file = tmp_path / "tasks.dump"

        backup = run("backup", file, DATABASE_URL=filled_url)
        restore = run("restore", file, DATABASE_URL=empty_url)

        assert (backup.returncode, restore.returncode) == (0, 0), backup.stderr + restore.stderr
        with asking(filled_url) as ask_source, asking(empty_url) as ask_restored:
            assert fingerprint(ask_restored) == fingerprint(ask_source)

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
    def test_understands_every_spelling_that_the_app_understands(self, filled_url, tmp_path, scheme):
        spelled = filled_url.replace("postgresql://", f"{scheme}://")

        backup = run("backup", tmp_path / "tasks.dump", DATABASE_URL=spelled)

        assert backup.returncode == 0, backup.stderr

    def test_is_readable_by_its_owner_alone_and_leaves_nothing_beside_it(self, filled_url, tmp_path):
        file = tmp_path / "tasks.dump"

        run("backup", file, DATABASE_URL=filled_url)

        assert file.stat().st_mode & 0o777 == 0o600
        assert list(tmp_path.iterdir()) == [file]

    def test_is_named_after_the_time_where_nothing_is_said(self, filled_url, tmp_path):
        backup = run("backup", cwd=tmp_path, DATABASE_URL=filled_url)

        assert backup.returncode == 0, backup.stderr
        (file,) = (tmp_path / "backups").iterdir()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z\.dump", file.name)
        assert file.parent.stat().st_mode & 0o777 == 0o700

    def test_a_file_that_is_there_is_not_overwritten(self, filled_url, tmp_path):
        file = tmp_path / "tasks.dump"
        file.write_text("Dear Ada")

        backup = run("backup", file, DATABASE_URL=filled_url)

        assert (backup.returncode, backup.stderr) == (1, f"{file} is there already.\n")
        assert file.read_text() == "Dear Ada"
        assert list(tmp_path.iterdir()) == [file]

    def test_of_a_server_that_is_away_leaves_no_file(self, tmp_path):
        away = f"postgresql://tasktracker@127.0.0.1:{free_port()}/tasktracker"

        backup = run("backup", tmp_path / "tasks.dump", DATABASE_URL=away)

        assert backup.returncode != 0
        assert "Connection refused" in backup.stderr
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("cut_off_by", [signal.SIGINT, signal.SIGTERM])
    def test_that_is_cut_off_leaves_no_file(self, filled_url, tmp_path, cut_off_by):
        with asking(filled_url) as ask, asking(filled_url) as ask_meanwhile:
            ask("BEGIN; LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            backup = start("backup", tmp_path / "tasks.dump", DATABASE_URL=filled_url)
            assert wait_for(lambda: ask_meanwhile(WAITING_DUMPS) == [(1,)])

            os.killpg(backup.pid, cut_off_by)
            backup.communicate(timeout=20)

        assert backup.returncode != 0
        assert list(tmp_path.iterdir()) == []


class TestRestore:
    def test_into_a_database_that_holds_tables_is_refused_and_changes_nothing(self, dump, other_url):
        with asking(other_url) as ask:
            before = fingerprint(ask)

        restore = run("restore", dump, DATABASE_URL=other_url)

        assert restore.returncode == 1
        assert "holds tables already" in restore.stderr
        with asking(other_url) as ask:
            assert fingerprint(ask) == before

    @pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.5, 0.6])
    def test_of_a_file_that_is_cut_off_is_refused_and_leaves_nothing(self, dump, empty_url, kept):
        os.truncate(dump, int(dump.stat().st_size * kept))

        restore = run("restore", dump, DATABASE_URL=empty_url)

        assert restore.returncode != 0
        assert "Restored" not in restore.stdout
        with asking(empty_url) as ask:
            assert ask(EVERYTHING_MADE) == [(0,)]

    def test_of_a_file_without_its_last_byte_is_whole_or_nothing(self, dump, filled_url, empty_url):
        """pg_dump may write its table of contents a second time, behind everything, where nothing needs it."""
        os.truncate(dump, dump.stat().st_size - 1)
        with asking(filled_url) as ask:
            whole = fingerprint(ask)

        restore = run("restore", dump, DATABASE_URL=empty_url)

        with asking(empty_url) as ask:
            assert fingerprint(ask) == (whole if restore.returncode == 0 else {})

    def test_of_a_file_that_is_not_there_is_refused(self, empty_url, tmp_path):
        restore = run("restore", tmp_path / "none.dump", DATABASE_URL=empty_url)

        assert (restore.returncode, restore.stderr) == (1, f"{tmp_path / 'none.dump'} cannot be read.\n")

    def test_of_no_file_is_refused(self, empty_url):
        restore = run("restore", DATABASE_URL=empty_url)

        assert restore.returncode == 1
        assert "make restore FILE=" in restore.stderr


class TestOtherWords:
    def test_are_refused(self, filled_url):
        """A crontab with a slip in it must not look like a night with a backup."""
        assert run("bakcup", DATABASE_URL=filled_url).returncode != 0


WAITING_DUMPS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'pg_dump' AND wait_event_type = 'Lock'
"""
EVERYTHING_MADE = """
SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)
     + (SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace)
     + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
"""
LOGGED = "SELECT task_logs::text FROM task_logs ORDER BY log_date, task_id"
# Each finds rows of one table that another table of the same instant contradicts.
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
    there = [change for change in journal if change.request_id in recorded]
    missing = [change for change in journal if change.request_id not in recorded]
    assert [change for change in missing if change.acknowledged < began] == []
    assert [change for change in there if change.sent > ended] == []
    # Nothing is there that was asked for when something that is missing was done already.
    last_sent = max(change.sent for change in there)
    assert [change for change in missing if change.acknowledged < last_sent] == []
    # Else nobody wrote meanwhile.
    assert [change for change in missing if change.acknowledged < ended]


def ensure_new_tasks_are_new(ask, api):
    ((highest_id, last_number),) = ask(
        "SELECT max(task_id), max(last_task_number) FROM task_history, projects WHERE key = 'GEN'"
    )

    task = api.call("POST", "/api/v1/tasks", {"title": "New on the new server"})

    assert task["id"] > highest_id
    assert task["ref"] == f"GEN-{last_number + 1}"


def ensure_record_is_kept(ask, api):
    ((task_id, version_count),) = ask(
        "SELECT id, revision FROM tasks WHERE title = 'Task 0' AND deleted_at IS NULL AND status = 'done'"
    )

    api.call("PATCH", f"/api/v1/tasks/{task_id}", {"title": "Changed on the new server"})

    assert ask(f"SELECT count(*) FROM task_history WHERE task_id = {task_id}") == [(version_count + 1,)]
    for rewriting in ("UPDATE task_history SET title = 'x'", "DELETE FROM task_history", "TRUNCATE task_history"):
        with pytest.raises(psycopg2.errors.RaiseException, match="the history of tasks is not rewritten"):
            ask(rewriting)


def ids_of_recorded_requests(ask):
    return {request_id for (request_id,) in ask("SELECT DISTINCT request_id FROM task_history")}


def fingerprint(ask):
    """Of each table and sequence, how many rows it has and a checksum of them."""
    relations = ask(
        "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'S')"
    )
    keys = dict(
        ask(
            "SELECT conrelid::regclass::text, string_agg(attname, ', ' ORDER BY ordinality)"
            " FROM pg_constraint, unnest(conkey) WITH ORDINALITY JOIN pg_attribute ON attnum = unnest"
            " WHERE contype = 'p' AND attrelid = conrelid GROUP BY conrelid"
        )
    )
    found = {}
    for name, kind in relations:
        order, row = ("1", "(last_value, is_called)") if kind == "S" else (keys[name], "t")
        digest = f"md5(string_agg({row}::text, E'\\n' ORDER BY {order}))"
        ((rows, checksum),) = ask(f'SELECT count(*), {digest} FROM "{name}" AS t')
        found[name] = (rows, checksum)
    return found


def schema_of(tracker):
    server = server_of(tracker)
    dumped = subprocess.run(
        [server.programs / "pg_dump", "--schema-only", "-d", server.url], capture_output=True, text=True, check=True
    )
    # One word in it is another each time, and what was read again is printed with fewer brackets.
    return re.sub(r"^\\(un)?restrict .*$|[()]", "", dumped.stdout, flags=re.MULTILINE)


def list_logged(tracker):
    with connected(tracker) as ask:
        return ask(LOGGED)


def fill(api):
    """What a team leaves behind: tasks in every state, an import with errors, people, a project, a logged day."""
    api.call("POST", "/api/v1/projects", {"key": "OPS", "name": "Operations"})
    person = {"username": "ina", "email": "ina@example.org", "password": "a password of Ina's", "role": "user"}
    api.call("POST", "/api/v1/users", person)
    api.call("PUT", "/api/v1/projects/OPS/members/ina", {})
    ids = [api.call("POST", "/api/v1/tasks", {"title": f"Task {number}"})["id"] for number in range(TASKS)]
    for task_id in ids[: TASKS // 2]:
        api.call("PATCH", f"/api/v1/tasks/{task_id}/status", {"status": "done"})
    for task_id in ids[-TASKS // 5 :]:
        api.call("DELETE", f"/api/v1/tasks/{task_id}")
    for task_id in ids[-TASKS // 10 :]:
        api.call("POST", f"/api/v1/tasks/{task_id}/restore")
    api.upload("".join(f"Row {number},todo\n" for number in range(ROWS)) + BAD_ROW, waits=True)
    api.call("POST", "/api/v1/task-logs/runs")
    assert wait_for(lambda: api.call("GET", "/api/v1/task-logs/runs")["items"])


@dataclass(frozen=True)
class Change:
    """One that was acknowledged, with when it was asked for and when the answer was there."""

    request_id: str
    sent: float
    acknowledged: float


@contextmanager
def writing(api):
    """Threads that create, change and delete tasks; yields the journal of what was acknowledged, which grows."""
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

    def call(self, method, path, body=None, *, request_id=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        return self._send(method, path, data, headers | ({"X-Request-ID": request_id} if request_id else {}))

    def upload(self, rows, *, waits):
        """Return the import's id, once it is finished or, if nobody waits, at once."""
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


def run(*arguments, cwd=ROOT, **environment):
    process = start(*arguments, cwd=cwd, **environment)
    output, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def start(*arguments, cwd=ROOT, **environment):
    """deploy/backup, on nothing but what the test says; of a URL, with programs that fit the tests' server."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL") and name != "DATA_DIR"}
    path = os.environ.get("PATH", os.defpath)
    if "DATABASE_URL" in environment:
        path = f"{PostgresServer(ROOT, ServerUser()).programs}:{path}"
    elif (ROOT / ".env").exists():
        pytest.fail(f"{ROOT}/.env is there: deploy/backup would take docker compose's database. Move it away to test.")
    return subprocess.Popen(
        [ROOT / "deploy" / "backup", *arguments],
        cwd=cwd,
        env=inherited | {"PATH": path} | {name: str(value) for name, value in environment.items()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def server_of(tracker):
    return PostgresServer(tracker.data_dir, server_user(tracker.data_dir))


@contextmanager
def database(tracker):
    """Of a tracker that does not run, so that nothing but the test changes it."""
    with servers.running(server_of(tracker)), connected(tracker) as ask:
        yield ask


@contextmanager
def connected(tracker):
    with asking(server_of(tracker).url) as ask:
        yield ask


@contextmanager
def asking(url):
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def ask(statement):
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield ask


@contextmanager
def empty_database(server_url):
    name = f"empty_{uuid4().hex[:12]}"
    with asking(server_url) as administer:
        administer(f"CREATE DATABASE {name}")
        yield server_url.replace("@/postgres", f"@/{name}")
        administer(f"DROP DATABASE {name} WITH (FORCE)")


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
    """One that was not started yet."""
    (tmp_path / "restored").mkdir()
    tracker = Tracker(tmp_path / "restored")
    yield tracker
    tracker.stop()


@pytest.fixture(scope="module")
def server_url(tmp_path_factory):
    """Of a server that fits the programs that come with it, whatever the other tests run on."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"), own_user())
    with servers.running(server):
        yield server.url.replace("//tasktracker@/tasktracker", "//postgres@/postgres")


@pytest.fixture
def filled_url(server_url):
    with servers.migrated_database(server_url) as sqlalchemy_url:
        url = sqlalchemy_url.replace("postgresql+psycopg2://", "postgresql://")
        with asking(url) as ask:
            ask("INSERT INTO users (username, role, password_hash) VALUES ('ina', 'user', 'x')")
            ask(
                "INSERT INTO tasks (project_id, number, title, status, priority, creator_id, position)"
                " SELECT p.id, n, 'Task ' || md5(n::text), 'todo', 'low', u.id, n"
                "   FROM projects AS p, users AS u, generate_series(1, 2000) AS n"
            )
            ask("UPDATE tasks SET status = 'done' WHERE number % 3 = 0")
        yield url


@pytest.fixture
def other_url(server_url):
    """Of a database that holds a table, though none of ours."""
    with empty_database(server_url) as url:
        with asking(url) as ask:
            ask("CREATE TABLE letters (id int PRIMARY KEY, words text); INSERT INTO letters VALUES (1, 'Dear Ada')")
        yield url


@pytest.fixture
def empty_url(server_url):
    with empty_database(server_url) as url:
        yield url


@pytest.fixture
def dump(filled_url, tmp_path):
    file = tmp_path / "tasks.dump"
    backup = run("backup", file, DATABASE_URL=filled_url)
    assert backup.returncode == 0, backup.stderr
    return file
