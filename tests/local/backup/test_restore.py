"""`make restore` with a real server: the database is restored whole, or stays as it was."""

import os

import pytest

from tests.local.backup.recorded import asking, empty_database, fingerprint, run


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


EVERYTHING_MADE = """
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
