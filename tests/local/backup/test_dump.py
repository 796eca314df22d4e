"""`make backup` with a real server: the file is complete and shows one instant, or it does not exist."""

import os
import re
import signal

import pytest

from tests.local.backup.recorded import asking, fingerprint, run, start
from tests.servers import free_port, wait_for


class TestBackup:
    def test_a_backup_of_a_database_url_is_restored_exactly(self, filled_url, empty_url, tmp_path):
        file = tmp_path / "tasks.dump"

        backup = run("backup", file, DATABASE_URL=filled_url)
        restore = run("restore", file, DATABASE_URL=empty_url)

        assert (backup.returncode, restore.returncode) == (0, 0), backup.stderr + restore.stderr
        with asking(filled_url) as ask_source, asking(empty_url) as ask_restored:
            assert fingerprint(ask_restored) == fingerprint(ask_source)

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
    def test_accepts_every_spelling_of_a_url_that_the_app_accepts(self, filled_url, tmp_path, scheme):
        spelled = filled_url.replace("postgresql://", f"{scheme}://")

        backup = run("backup", tmp_path / "tasks.dump", DATABASE_URL=spelled)

        assert backup.returncode == 0, backup.stderr

    def test_the_file_is_readable_by_its_owner_only_and_leaves_nothing_beside_it(self, filled_url, tmp_path):
        file = tmp_path / "tasks.dump"

        run("backup", file, DATABASE_URL=filled_url)

        assert file.stat().st_mode & 0o777 == 0o600
        assert list(tmp_path.iterdir()) == [file]

    def test_the_file_is_named_after_the_time_by_default(self, filled_url, tmp_path):
        backup = run("backup", cwd=tmp_path, DATABASE_URL=filled_url)

        assert backup.returncode == 0, backup.stderr
        (file,) = (tmp_path / "backups").iterdir()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z\.dump", file.name)
        assert file.parent.stat().st_mode & 0o777 == 0o700

    def test_an_existing_file_is_not_overwritten(self, filled_url, tmp_path):
        file = tmp_path / "tasks.dump"
        file.write_text("Dear Ada")

        backup = run("backup", file, DATABASE_URL=filled_url)

        assert (backup.returncode, backup.stderr) == (1, f"{file} exists already.\n")
        assert file.read_text() == "Dear Ada"
        assert list(tmp_path.iterdir()) == [file]

    def test_a_backup_of_an_absent_server_leaves_no_file(self, tmp_path):
        away = f"postgresql://tasktracker@127.0.0.1:{free_port()}/tasktracker"

        backup = run("backup", tmp_path / "tasks.dump", DATABASE_URL=away)

        assert backup.returncode != 0
        assert "Connection refused" in backup.stderr
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("interrupted_by", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupted_backup_leaves_no_file(self, filled_url, tmp_path, interrupted_by):
        with asking(filled_url) as ask, asking(filled_url) as ask_meanwhile:
            ask("BEGIN; LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            backup = start("backup", tmp_path / "tasks.dump", DATABASE_URL=filled_url)
            assert wait_for(lambda: ask_meanwhile(WAITING_DUMPS) == [(1,)])

            os.killpg(backup.pid, interrupted_by)
            backup.communicate(timeout=20)

        assert backup.returncode != 0
        assert list(tmp_path.iterdir()) == []


class TestDatabase:
    """Without DATABASE_URL: docker compose's if `make env` has made a .env, otherwise that of `make run`."""

    @pytest.mark.parametrize(
        ("text", "uses_compose"),
        [("POSTGRES_PASSWORD=secret\n", True), ("TIME_ZONE=UTC\nPOSTGRES_PASSWORD=\n", False), (None, False)],
    )
    def test_depends_on_the_env_file(self, tmp_path, text, uses_compose):
        calls, docker, no_directory = tmp_path / "calls", tmp_path / "docker", tmp_path / "file"
        docker.write_text(f'#!/bin/sh\n[ "$2" = version ] || {{ echo "$*" >>{calls}; exit 1; }}\n')
        docker.chmod(0o755)
        no_directory.touch()
        if text is not None:
            (tmp_path / ".env").write_text(text)

        backup = run(
            "backup",
            tmp_path / "tasks.dump",
            PATH=f"{tmp_path}:{os.environ['PATH']}",
            ENV_FILE=tmp_path / ".env",
            DATA_DIR=no_directory,
        )

        assert backup.returncode != 0
        assert calls.exists() is uses_compose
        assert (str(no_directory) in backup.stderr) is not uses_compose


WAITING_DUMPS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'pg_dump' AND wait_event_type = 'Lock'
"""
