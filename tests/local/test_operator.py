"""`python main.py password` and `python main.py database`, with and without a running tracker."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
from contextlib import suppress
from uuid import uuid4

import pytest

from app.local.servers import PostgresServer
from app.local.system_user import ServerUser
from tests import servers
from tests.local.tracker import Tracker
from tests.servers import ROOT, wait_for

OLD_PASSWORD = "the password that ina lost"
PUBLIC_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
ASK_PUBLIC_TABLES = ("psql", "-Atc", PUBLIC_TABLES)


class TestPassword:
    def test_the_shown_password_logs_in_and_the_old_one_and_its_sessions_end(self, running, ina):
        before = running.call("POST", "/api/v1/auth/login", {"username": ina, "password": OLD_PASSWORD}, None)
        assert running.call("GET", "/api/v1/users/me", None, before["access_token"])["username"] == ina

        answer = run(running, "password", ina)

        assert (answer.returncode, answer.stderr) == (0, "")
        password = shown(answer, ina)
        assert status_of(running, "/api/v1/users/me", before["access_token"]) == 401
        assert status_of(running, "/api/v1/auth/refresh", before["refresh_token"], method="POST") == 401
        assert status_of(running, "/login", None, {"username": ina, "password": OLD_PASSWORD}, method="POST") == 401
        assert running.call("POST", "/login", {"username": ina, "password": password}, None)["token"]

    def test_each_password_is_new_and_only_the_last_one_counts(self, running, ina):
        first, second = (shown(run(running, "password", ina), ina) for _ in range(2))

        assert first != second
        assert min(len(first), len(second)) >= 16
        assert status_of(running, "/login", None, {"username": ina, "password": first}, method="POST") == 401
        assert running.call("POST", "/login", {"username": ina, "password": second}, None)["token"]

    def test_the_case_of_the_name_does_not_matter(self, running, ina):
        answer = run(running, "password", ina.upper())

        password = shown(answer, ina.upper())
        assert running.call("POST", "/login", {"username": ina, "password": password}, None)["token"]

    def test_is_not_in_the_log_of_the_tracker(self, running, ina):
        password = shown(run(running, "password", ina), ina)

        assert password not in running.runs[0].output()

    def test_an_unknown_user_is_reported_in_a_sentence(self, running):
        answer = run(running, "password", "nobody")

        assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", "there is no user nobody.\n")

    def test_a_missing_name_is_answered_with_the_usage(self, running):
        answer = run(running, "password")

        assert (answer.returncode, answer.stdout) == (2, "")
        assert "username" in answer.stderr

    def test_a_missing_tracker_is_reported_in_a_sentence_and_nothing_is_made(self, stopped):
        answer = run(stopped, "password", "admin")

        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr == f"no tracker runs on {stopped.data_dir}, and DATABASE_URL is not set.\n"
        assert not stopped.data_dir.exists()

    def test_an_absent_database_is_reported_in_a_sentence(self, stopped, base_settings):
        away = f"postgresql://ada:secret@127.0.0.1:{servers.free_port()}/tasktracker"
        names = {"REDIS_URL": base_settings.redis_url, "JWT_SECRET_KEY": base_settings.jwt_secret_key}

        answer = run(stopped, "password", "admin", DATABASE_URL=away, **names)

        assert (answer.returncode, answer.stdout) == (1, "")
        assert "the database does not answer" in answer.stderr
        assert "secret" not in answer.stderr
        assert "Traceback" not in answer.stderr

    def test_a_database_of_ones_own_needs_no_tracker(self, running, stopped, ina, base_settings):
        url = PostgresServer(running.data_dir, ServerUser()).url
        names = {"REDIS_URL": base_settings.redis_url, "JWT_SECRET_KEY": base_settings.jwt_secret_key}

        password = shown(run(stopped, "password", ina, DATABASE_URL=url, **names), ina)

        assert running.call("POST", "/login", {"username": ina, "password": password}, None)["token"]


class TestDatabaseOfARunningTracker:
    def test_a_program_finds_the_database_and_the_bundled_programs(self, running):
        answer = run(running, "database", "psql", "-Atc", "SELECT username FROM users WHERE role = 'admin'")

        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "admin\n", "")

    def test_its_address_is_in_our_variables_and_in_those_of_postgresql(self, running):
        script = 'command -v pg_dump; echo "$DATABASE_URL"; echo "$PGHOST,$PGUSER,$PGDATABASE"'

        message = run(running, "database", "sh", "-c", script).stdout.splitlines()

        server = PostgresServer(running.data_dir, ServerUser())
        names = server.environment
        assert message == [
            str(server.programs / "pg_dump"),
            server.url,
            f"{names['PGHOST']},{names['PGUSER']},{names['PGDATABASE']}",
        ]

    def test_psql_reads_the_input_by_default(self, running):
        answer = run(running, "database", typed="SELECT 6 * 7 AS answer \\gset\n\\echo answer :answer\n")

        assert (answer.returncode, answer.stdout) == (0, "answer 42\n")

    @pytest.mark.parametrize("status", [0, 1, 7])
    def test_the_exit_status_is_that_of_the_program(self, running, status):
        assert run(running, "database", "sh", "-c", f"exit {status}").returncode == status

    def test_a_missing_program_is_reported_in_a_sentence(self, running):
        answer = run(running, "database", "no-such-program")

        assert answer.returncode not in {0, 2}
        assert "no-such-program" in answer.stderr
        assert "Traceback" not in answer.stderr

    @pytest.mark.parametrize(
        "elsewhere", [{"PGPORT": "6543"}, {"PGHOSTADDR": "192.0.2.1"}, {"PGHOST": "192.0.2.1", "PGDATABASE": "other"}]
    )
    def test_variables_for_another_server_are_ignored(self, running, elsewhere):
        answer = run(running, "database", "psql", "-Atc", "SELECT 42", PGCONNECT_TIMEOUT="2", **elsewhere)

        assert (answer.returncode, answer.stdout) == (0, "42\n"), answer.stderr

    def test_the_tracker_keeps_running_afterwards(self, running):
        run(running, "database", "psql", "-c", "SELECT 1")

        assert running.answers()


class TestDatabaseOfAStoppedTracker:
    def test_an_empty_database_is_created_when_there_is_none_and_no_process_is_left(self, stopped):
        answer = run(stopped, "database", *ASK_PUBLIC_TABLES)

        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "0\n", "")
        assert stopped.processes() == []

    def test_written_rows_are_there_the_next_time(self, stopped):
        run(stopped, "database", "psql", "-qc", "CREATE TABLE letters AS SELECT 'Dear Ada' AS words")

        answer = run(stopped, "database", "psql", "-Atc", "SELECT words FROM letters")

        assert answer.stdout == "Dear Ada\n"
        assert stopped.processes() == []

    def test_the_exit_status_is_that_of_the_program(self, stopped):
        answer = run(stopped, "database", "sh", "-c", "exit 7")

        assert answer.returncode == 7
        assert stopped.processes() == []

    def test_a_missing_program_leaves_no_process(self, stopped):
        assert run(stopped, "database", "no-such-program").returncode != 0

        assert stopped.processes() == []

    def test_ctrl_c_goes_to_the_program_and_leaves_no_process(self, stopped, tmp_path):
        started, output = tmp_path / "started", tmp_path / "output"
        query = 'psql -Atc "SELECT 42"'
        script = f"trap '{query} >{output}; exit 3' INT; touch {started}; while :; do sleep 0.05; done"
        session = start(stopped, "database", "sh", "-c", script)
        assert wait_for(started.exists, seconds=30)

        os.killpg(session.pid, signal.SIGINT)

        session.communicate(timeout=20)
        # The server was still running for the program's last command.
        assert (session.returncode, output.read_text()) == (3, "42\n")
        assert stopped.processes() == []

    def test_a_signal_to_end_leaves_no_process(self, stopped, tmp_path):
        session = start_waiting(stopped, tmp_path / "session", then="true")

        session.terminate()
        # The end comes whether the program is ended or waited for.
        wait_for(lambda: session.poll() is not None, seconds=1)
        (tmp_path / "session.go").touch()

        session.communicate(timeout=20)
        assert wait_for(lambda: stopped.processes() == [])

    @pytest.mark.slow
    def test_a_tracker_starts_only_afterwards(self, stopped, tmp_path):
        session = start_waiting(stopped, tmp_path / "session", then="true")

        meanwhile = stopped.start()

        assert meanwhile.process.wait(timeout=30) == 1
        assert "already runs on" in meanwhile.output()
        (tmp_path / "session.go").touch()
        session.communicate(timeout=20)
        stopped.start().wait_until_ready()

    def test_a_directory_with_other_files_is_unchanged(self, stopped):
        stopped.data_dir.mkdir()
        (stopped.data_dir / "letters.txt").write_text("Dear Ada")

        answer = run(stopped, "database", "psql", "-c", "SELECT 1")

        assert answer.returncode == 1
        assert "holds other files" in answer.stderr
        assert [path.name for path in stopped.data_dir.iterdir()] == ["letters.txt"]


class TestDatabaseOfOnesOwn:
    def test_is_left_to_its_own_programs(self, stopped, tmp_path):
        url = "postgresql://ada:secret@127.0.0.1:1/tasktracker"

        answer = run(stopped, "database", "touch", str(tmp_path / "ran"), DATABASE_URL=url)

        assert (answer.returncode, answer.stdout) == (1, "")
        assert answer.stderr == "DATABASE_URL names a server of your own: connect to that one.\n"
        assert not (tmp_path / "ran").exists()
        assert not stopped.data_dir.exists()


class TestPasswordReset:
    def test_the_shown_token_sets_a_new_password_once(self, running, ina):
        answer = run(running, "password-reset", ina)

        assert (answer.returncode, answer.stderr) == (0, "")
        token = re.match(rf"The token for {ina}: (\S+)\nIt can be used once, until \d{{4}}-", answer.stdout)[1]
        reset = {"token": token, "new_password": "the password that ina chose"}
        assert running.answer("POST", "/api/v1/auth/password-reset", reset, None) == b""
        assert status_of(running, "/api/v1/auth/password-reset", None, reset, method="POST") == 422
        login = {"username": ina, "password": reset["new_password"]}
        assert running.call("POST", "/login", login, None)["token"]
        assert token not in running.runs[0].output()

    def test_an_unknown_user_is_reported_in_a_sentence(self, running):
        answer = run(running, "password-reset", "nobody")

        assert (answer.returncode, answer.stdout, answer.stderr) == (1, "", "there is no user nobody.\n")


def shown(answer, username):
    match = re.fullmatch(rf"The new password of {username}: (\S+)\n", answer.stdout)
    assert match, answer
    return match[1]


def status_of(tracker, path, token, body=None, *, method="GET"):
    try:
        tracker.call(method, path, body, token)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200


def start(tracker, *arguments, **environment):
    """Start `main.py` with these arguments and this environment, in a process group of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return subprocess.Popen(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env=inherited | {"DATA_DIR": str(tracker.data_dir)} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def run(tracker, *arguments, typed="", **environment):
    process = start(tracker, *arguments, **environment)
    output, errors = process.communicate(typed, timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def start_waiting(tracker, name, *, then):
    """Return when the program runs; it goes on to `then` when there is a file `name`.go."""
    script = f"touch {name}.begun; until [ -e {name}.go ]; do sleep 0.05; done; {then}"
    session = start(tracker, "database", "sh", "-c", script)
    assert wait_for(name.with_suffix(".begun").exists, seconds=30)
    return session


@pytest.fixture
def stopped(tmp_path):
    """A tracker that was never started."""
    tracker = Tracker(tmp_path)
    yield tracker
    tracker.stop()
    # A test that finds left processes must not leave them itself.
    for pid, _command in tracker.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def ina(running):
    """The name of a new user."""
    name = f"ina{uuid4().hex[:8]}"
    body = {"username": name, "email": f"{name}@example.org", "password": OLD_PASSWORD, "role": "user"}
    running.call("POST", "/user", body, running.log_in())
    return name
