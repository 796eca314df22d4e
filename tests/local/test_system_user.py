"""Each tracker that root starts has a system user of its own, which cannot harm another tracker."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.local.servers import PostgresServer
from app.local.system_user import NAME, ServerUser, server_user
from tests.local.tracker import Tracker
from tests.servers import remove_system_users

NOBODY = 65534
# Another user tries a signal that changes nothing, a file of the database, and the database.
TRY = """
import os, pwd, sys
import psycopg2
user, pid, file, socket_dir = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
os.setgroups([]); os.setgid(pwd.getpwuid(user).pw_gid); os.setuid(user)
attempts = {
    "signal": lambda: os.kill(pid, 0),
    "file": lambda: open(file).read(),
    "database": lambda: psycopg2.connect(host=socket_dir, user="tasktracker").close(),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(name)
    except (PermissionError, psycopg2.OperationalError):
        pass
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users")


class TestTwoTrackers:
    @pytest.mark.slow
    def test_can_neither_signal_nor_read_each_other(self, open_dir):
        trackers = [Tracker(open_dir / name) for name in ("one", "other")]
        try:
            for tracker in trackers:
                tracker.start().wait_until_ready()
            owners = [owners_of_processes(tracker) for tracker in trackers]

            can_do = [[actions_possible(owner, tracker) for tracker in trackers] for (owner,) in owners]
        finally:
            for tracker in trackers:
                tracker.stop()

        everything = ["signal", "file", "database"]
        assert can_do == [[everything, []], [[], everything]]


class TestServerUser:
    def test_each_directory_has_a_user_of_its_own(self, tmp_path):
        one, same, other = (server_user(tmp_path / name) for name in ("one", "other/../one", "other"))

        assert one == same != other
        entry = pwd.getpwuid(one.uid)
        assert (entry.pw_name.partition("-")[0], entry.pw_gecos) == (NAME, str(tmp_path / "one"))
        assert entry.pw_shell == "/usr/sbin/nologin"

    @pytest.mark.parametrize("server", ["postgres", "valkey"])
    def test_a_moved_directory_keeps_its_user(self, tmp_path, server):
        before = server_user(tmp_path / "before")
        before.own(tmp_path / "before" / server)
        (tmp_path / "before").rename(tmp_path / "after")

        assert server_user(tmp_path / "after") == before

    def test_an_older_installation_keeps_the_shared_user(self, tmp_path, shared):
        shared.own(tmp_path / "postgres")

        assert server_user(tmp_path) == shared

    @pytest.mark.parametrize("owner", [0, NOBODY])
    def test_the_owner_of_the_directory_does_not_become_the_user(self, tmp_path, owner):
        ServerUser(owner, owner).own(tmp_path / "postgres")

        assert pwd.getpwuid(server_user(tmp_path).uid).pw_gecos == str(tmp_path)


def owners_of_processes(tracker):
    return {Path(f"/proc/{pid}").stat().st_uid for pid in tracker.programs()}


def actions_possible(user, tracker):
    """Return what this user can do to the tracker."""
    server = PostgresServer(tracker.data_dir, ServerUser())
    file = tracker.data_dir / "postgres/data/PG_VERSION"
    pid = next(pid for pid, command in tracker.processes() if "main.py api" in command)
    arguments = [str(user), str(pid), str(file), server.environment["PGHOST"]]
    command = [sys.executable, "-c", TRY, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    return done.stdout.split()


@pytest.fixture
def open_dir():
    """A directory that everybody can enter; in a closed one, the processes may read whatever root may read."""
    path = Path(tempfile.mkdtemp(prefix="tasktracker-users-"))
    path.chmod(0o711)
    for name in ("one", "other"):
        (path / name).mkdir()
        (path / name).chmod(0o711)
    yield path
    shutil.rmtree(path)
    remove_system_users(below=path)


@pytest.fixture
def shared():
    """The user that all trackers of a machine used to share."""
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", NAME], check=True)
        entry = pwd.getpwnam(NAME)
        yield ServerUser(entry.pw_uid, entry.pw_gid)
        subprocess.run(["userdel", NAME], check=True)
    else:
        yield ServerUser(entry.pw_uid, entry.pw_gid)
