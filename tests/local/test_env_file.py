"""Settings from a file, for a tracker on one machine: `ENV_FILE`, by default `.env` in the working directory."""

import os
import socket
import subprocess
import sys
from contextlib import suppress

import pytest

from app.local.env_file import complete_environment
from app.local.errors import StartError
from app.settings import read_env_file_path
from tests.local.tracker import Tracker
from tests.servers import ROOT

# No machine knows a host of this name (RFC 2606).
UNKNOWN_HOST = "db.invalid"
# A test that starts a tracker, and ends before all of it has started.
STARTS_A_TRACKER = "tests/local/test_command.py::TestMain::test_a_weak_admin_password_is_refused_by_name"


class TestCompleteEnvironment:
    def test_adds_the_settings_of_the_file(self, environment, write):
        env_file = complete_environment(write("# a comment\nTIME_ZONE=Europe/Berlin\nADMIN_USERNAME='ada'\n"))

        assert (os.environ["TIME_ZONE"], os.environ["ADMIN_USERNAME"]) == ("Europe/Berlin", "ada")
        assert env_file.used == {"TIME_ZONE", "ADMIN_USERNAME"}

    def test_the_environment_wins_and_the_file_is_told_so(self, environment, write):
        environment.setenv("PORT", "8080")

        env_file = complete_environment(write("PORT=8000\nTIME_ZONE=UTC\n"))

        assert os.environ["PORT"] == "8080"
        assert str(env_file) == f"settings from {env_file.path}: 1; the environment replaces PORT"

    def test_an_empty_variable_of_the_environment_wins_too(self, environment, write):
        environment.setenv("CELERY_BROKER_URL", "")

        complete_environment(write(f"CELERY_BROKER_URL=amqp://guest@{UNKNOWN_HOST}//\n"))

        assert os.environ["CELERY_BROKER_URL"] == ""

    def test_an_empty_value_of_the_file_says_nothing(self, environment, write):
        env_file = complete_environment(write("DATABASE_URL=\nMETRICS_TOKEN\n"))

        assert env_file.used == set()
        assert "DATABASE_URL" not in os.environ

    def test_variables_that_are_no_settings_are_left_out(self, environment, write):
        env_file = complete_environment(write("LD_PRELOAD=/tmp/evil.so\nPYTHONPATH=/tmp\nPATH=/tmp\nTIME_ZONE=UTC\n"))

        assert env_file.used == {"TIME_ZONE"}
        assert "LD_PRELOAD" not in os.environ

    def test_a_secret_is_taken_as_it_is_written(self, environment, write):
        complete_environment(write("ADMIN_PASSWORD=$HOME${HOME}#1\n"))

        assert os.environ["ADMIN_PASSWORD"] == "$HOME${HOME}#1"

    def test_names_the_servers_that_the_file_chooses(self, environment, write):
        env_file = complete_environment(
            write("DATABASE_URL=postgresql://app:hunter2@127.0.0.1/app\nREDIS_URL=redis://")
        )

        assert ", among them DATABASE_URL and REDIS_URL" in str(env_file)
        assert "hunter2" not in str(env_file)

    @pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"])
    def test_a_host_that_only_containers_know_is_refused_by_name(self, environment, write, name):
        path = write(f"TIME_ZONE=UTC\n{name}=amqp://tasktracker:hunter2@{UNKNOWN_HOST}:5672//\n")

        with pytest.raises(StartError) as caught:
            complete_environment(path)

        assert f"{name} in {path} names the host {UNKNOWN_HOST}" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "TIME_ZONE" not in os.environ

    def test_a_missing_file_changes_nothing(self, environment, tmp_path):
        assert complete_environment(tmp_path / ".env") is None
        assert complete_environment(None) is None

    def test_a_file_that_is_no_text_is_refused(self, environment, tmp_path):
        path = tmp_path / ".env"
        path.write_bytes(b"PORT=\xff\xfe\n")

        with pytest.raises(StartError, match="not text in UTF-8"):
            complete_environment(path)


class TestPath:
    def test_is_env_in_the_working_directory(self, environment, tmp_path):
        environment.chdir(tmp_path)

        assert read_env_file_path() == tmp_path / ".env"

    def test_is_none_if_the_variable_is_empty(self, environment):
        environment.setenv("ENV_FILE", "")

        assert read_env_file_path() is None


class TestMain:
    def test_a_start_reads_the_file_that_make_env_writes_and_says_so(self, tracker, tmp_path):
        """One setting is wrong, so that the tracker stops once it has read it."""
        path = tmp_path / "settings.env"
        example = (ROOT / ".env.example").read_text("utf-8")
        path.write_text(example.replace("RATE_LIMIT_LOGIN=5/minute\n", "RATE_LIMIT_LOGIN=often\n"), "utf-8")

        run = tracker.start(ENV_FILE=str(path))

        assert run.process.wait(timeout=40) == 2
        assert f"settings from {path}: " in run.output()
        assert "RATE_LIMIT_LOGIN" in run.output()

    def test_a_file_for_containers_is_refused_before_anything_starts(self, tracker, tmp_path):
        path = tmp_path / "settings.env"
        path.write_text(f"DATABASE_URL=postgresql://tasktracker@{UNKNOWN_HOST}/tasktracker\n", "utf-8")

        run = tracker.start(ENV_FILE=str(path))

        assert run.process.wait(timeout=40) == 1
        assert f"names the host {UNKNOWN_HOST}, which this machine does not know" in run.output()
        assert not tracker.data_dir.exists()

    @pytest.mark.parametrize("command", ["api", "worker", "beat", "prepare"])
    def test_a_single_process_reads_no_file(self, tracker, tmp_path, command):
        path = tmp_path / "settings.env"
        path.write_text(f"DATABASE_URL=postgresql://tasktracker@{UNKNOWN_HOST}/tasktracker\n", "utf-8")

        run = tracker.start("main.py", command, ENV_FILE=str(path))

        assert run.process.wait(timeout=40) == 2
        assert "DATABASE_URL" in run.output()
        assert UNKNOWN_HOST not in run.output()


class TestMakeTest:
    def test_is_untouched_by_a_file_and_by_a_tracker_that_has_the_usual_port(self, environment, tmp_path):
        path = tmp_path / "settings.env"
        path.write_text(f"RATE_LIMIT_LOGIN=often\nDATABASE_URL=postgresql://tasktracker@{UNKNOWN_HOST}/app\n", "utf-8")
        with socket.socket() as usual_port:
            # Another tracker may have it already.
            with suppress(OSError):
                usual_port.bind(("127.0.0.1", 8000))
                usual_port.listen()

            tests = subprocess.run(
                [sys.executable, "-m", "pytest", STARTS_A_TRACKER],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "ENV_FILE": str(path)},
                capture_output=True,
                text=True,
                check=False,
            )

        assert tests.returncode == 0, tests.stdout


@pytest.fixture
def environment(monkeypatch):
    """None of the settings that the tests name. Every change is taken back."""
    for name in ("TIME_ZONE", "ADMIN_USERNAME", "ADMIN_PASSWORD", "PORT", "METRICS_TOKEN", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return monkeypatch


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / ".env"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def tracker(tmp_path):
    tracker = Tracker(tmp_path)
    yield tracker
    tracker.stop()
