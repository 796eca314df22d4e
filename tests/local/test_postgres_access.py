"""Access to the bundled PostgreSQL for users who can reach its socket."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.local.servers import PostgresServer
from tests.servers import own_user, running

NOBODY = 65534
CONNECT = """
import os, sys
import datetime, psycopg2
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
try:
    psycopg2.connect(host=sys.argv[1], user=sys.argv[3], dbname="postgres")
except psycopg2.OperationalError as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
class TestPeer:
    @pytest.mark.parametrize("role", ["postgres", "tasktracker"])
    def test_another_user_who_reaches_the_socket_is_refused(self, open_server, role):
        assert "Peer authentication failed" in ask(open_server, NOBODY, role).stderr

    def test_the_user_of_the_server_is_not_a_superuser(self, open_server):
        own = own_user().uid

        assert ask(open_server, own, "tasktracker").returncode == 0
        assert "Peer authentication failed" in ask(open_server, own, "postgres").stderr

    def test_the_user_who_starts_the_tracker_gets_in(self, open_server):
        assert ask(open_server, 0, "tasktracker").returncode == ask(open_server, 0, "postgres").returncode == 0


class TestOlderCluster:
    def test_a_cluster_that_trusted_everybody_is_guarded_after_the_next_start(self, tmp_path):
        data_dir = tmp_path / "older"
        data_dir.mkdir()
        data_dir.chmod(0o711)
        server = PostgresServer(data_dir, own_user())
        server.prepare()
        assert "trust" in (data_dir / "postgres/data/pg_hba.conf").read_text()
        for name in ("pg_hba.conf", "pg_ident.conf"):
            (data_dir / name).unlink()

        with running(server):
            assert (data_dir / "pg_hba.conf").read_text() == "local all all peer map=tracker\n"


def ask(socket_dir: Path, uid: int, role: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CONNECT, str(socket_dir), str(uid), role]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")


@pytest.fixture(scope="module")
def open_server(tmp_path_factory):
    """A server in a directory that is open to everybody, so that anybody can reach its socket."""
    data_dir = Path("/tmp") / f"tasktracker-peer-{os.getpid()}"  # noqa: S108
    data_dir.mkdir()
    data_dir.chmod(0o711)
    server = PostgresServer(data_dir, own_user())
    try:
        with running(server):
            server.make_database()
            socket_dir = Path(server.environment["PGHOST"])
            for path in (data_dir / "postgres", socket_dir, socket_dir / ".s.PGSQL.5432"):
                path.chmod(0o777)
            yield socket_dir
    finally:
        shutil.rmtree(data_dir)
