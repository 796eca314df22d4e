"""A start with files that are damaged, missing, or another user's: it repairs what is safe and names the rest."""

import os
import signal
import subprocess
import sys

import pytest

from app.local.command import _start_or_adopt
from app.local.data_dir import locked, read_or_make_secrets
from app.local.errors import StartError
from app.local.servers import PostgresServer, ValkeyServer
from app.local.supervisor import stop_all
from tests.servers import ROOT, free_port, own_user, running, wait_for

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


class TestValkey:
    @pytest.mark.parametrize("damage", ["garbage in the first file", "no manifest", "garbage in the manifest"])
    def test_unreadable_files_are_set_aside(self, valkey, start, damage):
        part = start(valkey)
        assert valkey.is_ready()
        stop_all([part], seconds=10)
        files = valkey._dir / "appendonlydir"
        (manifest,) = files.glob("*.manifest")
        match damage:
            case "garbage in the first file":
                next(files.glob("*.incr.aof")).write_bytes(b"garbage\n" * 100)
            case "no manifest":
                manifest.write_bytes(b"")
            case _:
                manifest.write_bytes(b"garbage\n")

        start(valkey)

        assert valkey.is_ready()
        assert (valkey._dir / "appendonlydir.broken").is_dir()

    def test_a_killed_valkey_keeps_its_files(self, valkey, start, monkeypatch):
        monkeypatch.setattr("app.local.supervisor.STARTING_SECONDS", 0.0)
        part = start(valkey)
        os.kill(valkey.running_pid(), signal.SIGKILL)
        assert wait_for(lambda: not part.is_running())

        part.keep_running()

        assert (valkey._dir / "appendonlydir").is_dir()


class TestPostgres:
    @pytest.mark.parametrize("content", ["", "\n", "gar\0bage"])
    def test_a_pid_file_without_a_number_is_removed(self, cluster, start, content):
        (cluster._cluster / "data" / "postmaster.pid").write_text(content)

        start(cluster)

        assert cluster.is_ready()

    def test_the_pid_file_of_a_running_server_is_left(self, cluster):
        with running(cluster):
            path = cluster._cluster / "data" / "postmaster.pid"
            text = path.read_text()
            path.write_text("")

            cluster.prepare()

            assert path.exists()
            path.write_text(text)

    @pytest.mark.parametrize(
        ("version", "message"),
        [
            ("99", "belongs to PostgreSQL 99 and this release has 18"),
            ("", "belongs to PostgreSQL of an unknown version"),
        ],
    )
    def test_a_cluster_of_another_version_is_refused(self, cluster, version, message):
        (cluster._cluster / "data" / "PG_VERSION").write_text(version)

        with pytest.raises(StartError, match=message):
            cluster.prepare()

    def test_a_cluster_without_a_version_is_refused_and_kept(self, cluster):
        (cluster._cluster / "data" / "PG_VERSION").unlink()

        with pytest.raises(StartError, match="is not a complete PostgreSQL database"):
            cluster.prepare()

        assert (cluster._cluster / "data" / "base").is_dir()

    @as_root
    def test_a_cluster_of_another_user_is_refused_with_the_users_name(self, cluster):
        os.chown(cluster._cluster / "data", NOBODY, NOBODY)

        with pytest.raises(
            StartError, match=r"belongs to nobody, and the server would run as tasktracker-\w{8}; .*chown -R"
        ):
            cluster.prepare()

    def test_the_files_of_an_interrupted_first_run_are_removed(self, tmp_path):
        draft = tmp_path / "postgres" / "data.new-0123"
        draft.mkdir(parents=True)
        (draft / "PG_VERSION").write_text("18")

        PostgresServer(tmp_path, own_user()).prepare()

        assert not draft.exists()
        assert (tmp_path / "postgres" / "data" / "PG_VERSION").exists()


class TestSecrets:
    @pytest.mark.parametrize(
        "content",
        ["", "{", "[]", "null", "{}", '{"jwt_secret_key": "x"}', '{"jwt_secret_key": 1, "valkey_password": 2}', "\0"],
    )
    def test_unreadable_secrets_are_reported_with_a_way_out(self, tmp_path, content):
        (tmp_path / "secrets.json").write_text(content)

        with pytest.raises(StartError, match=r"secrets\.json cannot be read; restore it from a backup, or remove it"):
            read_or_make_secrets(tmp_path)

    def test_a_directory_in_their_place_is_reported(self, tmp_path):
        (tmp_path / "secrets.json").mkdir()

        with pytest.raises(StartError, match=r"secrets\.json cannot be read"):
            read_or_make_secrets(tmp_path)


class TestDirectory:
    def test_a_file_in_its_place_is_reported(self, tmp_path):
        (tmp_path / "data").write_text("")

        with pytest.raises(StartError, match="cannot be used: File exists"), locked(tmp_path / "data"):
            pass

    @pytest.mark.parametrize("name", ["postgres", "valkey.port"])
    def test_a_file_instead_of_a_directory_or_the_reverse_is_reported(self, tmp_path, name):
        (tmp_path / "lock").touch()
        path = tmp_path / name
        path.mkdir() if "." in name else path.touch()

        message = start_tracker(tmp_path)

        assert message.startswith(f"The tracker did not start: {path}")
        assert "Traceback" not in message

    @as_root
    def test_a_directory_of_another_user_is_reported(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: NOBODY)

        with pytest.raises(StartError, match="belongs to root; start the tracker as that user"), locked(tmp_path):
            pass

    @as_root
    def test_a_read_only_directory_is_reported(self, tmp_path):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)], check=True)
        try:
            with pytest.raises(StartError, match="cannot be used: Read-only file system"), locked(tmp_path):
                pass
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)


def start_tracker(data_dir):
    """Run `python main.py` on a directory that it cannot use, and return its message."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    ended = subprocess.run(
        [sys.executable, "main.py"],
        cwd=ROOT,
        env=inherited | {"DATA_DIR": str(data_dir), "PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    return ended.stderr


@pytest.fixture
def start():
    """Start a server and wait until it is ready, as a tracker does."""
    parts = []

    def start_server(server):
        _start_or_adopt(server, parts)
        return parts[-1]

    yield start_server
    stop_all(parts, seconds=20)


@pytest.fixture
def valkey(tmp_path):
    return ValkeyServer(tmp_path, own_user(), "a-password")


@pytest.fixture(scope="module")
def made_cluster(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made")
    PostgresServer(directory, own_user()).prepare()
    return directory


@pytest.fixture
def cluster(made_cluster, tmp_path):
    subprocess.run(["cp", "-a", f"{made_cluster}/postgres", str(tmp_path)], check=True)
    return PostgresServer(tmp_path, own_user())
