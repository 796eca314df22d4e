"""`make restore` with a real server: the database is restored completely, or stays unchanged."""

import os

import pytest

from tests.local.backup.recorded import asking, empty_database, fingerprint, run


class TestRestore:
    def test_a_database_with_tables_is_refused_and_unchanged(self, dump, other_url):
        with asking(other_url) as ask:
            before = fingerprint(ask)

        restore = run("restore", dump, DATABASE_URL=other_url)

        assert restore.returncode == 1
        assert "has tables already" in restore.stderr
        with asking(other_url) as ask:
            assert fingerprint(ask) == before

    @pytest.mark.parametrize("fraction", [0.0, 0.001, 0.3, 0.5, 0.6])
    def test_a_truncated_file_is_refused_and_leaves_nothing(self, dump, empty_url, fraction):
        os.truncate(dump, int(dump.stat().st_size * fraction))

        restore = run("restore", dump, DATABASE_URL=empty_url)

        assert restore.returncode != 0
        assert "Restored" not in restore.stdout
        with asking(empty_url) as ask:
            assert ask(COUNT_TABLES) == [(0,)]

    def test_a_file_without_its_last_byte_is_restored_completely_or_not_at_all(self, dump, filled_url, empty_url):
        """pg_dump may write its table of contents again at the end of the file, where a restore does not need it."""
        os.truncate(dump, dump.stat().st_size - 1)
        with asking(filled_url) as ask:
            original = fingerprint(ask)

        restore = run("restore", dump, DATABASE_URL=empty_url)

        with asking(empty_url) as ask:
            assert fingerprint(ask) == (original if restore.returncode == 0 else {})

    def test_a_missing_file_is_refused(self, empty_url, tmp_path):
        restore = run("restore", tmp_path / "none.dump", DATABASE_URL=empty_url)

        assert (restore.returncode, restore.stderr) == (1, f"{tmp_path / 'none.dump'} cannot be read.\n")

    def test_no_file_name_is_refused(self, empty_url):
        restore = run("restore", DATABASE_URL=empty_url)

        assert restore.returncode == 1
        assert "make restore FILE=" in restore.stderr


class TestUnknownCommand:
    def test_is_refused(self, filled_url):
        """A typing error in a crontab must not look like a successful backup."""
        assert run("bakcup", DATABASE_URL=filled_url).returncode != 0


COUNT_TABLES = """
SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)
     + (SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace)
     + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
"""


@pytest.fixture
def other_url(server_url):
    """A database that holds a table of another program."""
    with empty_database(server_url) as url:
        with asking(url) as ask:
            ask("CREATE TABLE letters (id int PRIMARY KEY, words text); INSERT INTO letters VALUES (1, 'Dear Ada')")
        yield url


@pytest.fixture
def dump(filled_url, tmp_path):
    file = tmp_path / "tasks.dump"
    backup = run("backup", file, DATABASE_URL=filled_url)
    assert backup.returncode == 0, backup.stderr
    return file
