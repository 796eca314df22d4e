import subprocess
import sys

import pytest

from app.local.data_dir import locked, read_or_make_secrets
from app.local.errors import StartError


class TestLocked:
    def test_a_second_tracker_learns_which_process_has_the_directory(self, tmp_path):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_LOCK.format(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout.readline() == b"locked\n"

        with pytest.raises(StartError, match=f"process {holder.pid}"), locked(tmp_path):
            pass

        holder.communicate()

    def test_the_lock_of_a_killed_tracker_is_free(self, tmp_path):
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD_THE_LOCK.format(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout.readline() == b"locked\n"
        holder.kill()
        holder.communicate()

        with locked(tmp_path):
            pass

    def test_a_directory_that_cannot_be_created_is_reported(self, tmp_path):
        (tmp_path / "file").write_text("")

        with pytest.raises(StartError, match="cannot be used"), locked(tmp_path / "file" / "below"):
            pass


class TestSecrets:
    def test_the_second_start_reads_the_same_secrets(self, tmp_path):
        assert read_or_make_secrets(tmp_path) == read_or_make_secrets(tmp_path)

    def test_nobody_else_can_read_them(self, tmp_path):
        read_or_make_secrets(tmp_path)

        assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


HOLD_THE_LOCK = """
import sys
from pathlib import Path
from app.local.data_dir import locked
with locked(Path("{}")):
    print("locked", flush=True)
    sys.stdin.read()
"""
