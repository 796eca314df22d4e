"""`python main.py`: starts, supervises and stops the whole tracker on one machine."""

import argparse
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from app.local.arguments import NEEDED, NEEDED_SETTINGS, USE_OTHER_SERVERS, make_parser
from app.local.console import run_on_database
from app.local.daily_log import print_logs
from app.local.data_dir import locked, numbers_dir, read_or_make_secrets
from app.local.env_file import complete_environment
from app.local.errors import StartError
from app.local.first_run import Admin, ensure_admin, migrate
from app.local.operator import make_new_password, make_password_reset
from app.local.processes import LAST_REQUESTS_SECONDS, beat_command, serve_api, worker_command
from app.local.servers import PostgresServer, ValkeyServer, wait_until_ready
from app.local.starting import StartingServer
from app.local.supervisor import ROOT, SupervisedProcess, output, say, stop_all
from app.local.system_user import ServerUser, server_user
from app.settings import (
    LaunchSettings,
    Settings,
    SettingsError,
    read_env_file_path,
    read_launch_settings,
    read_settings,
)

READY_SECONDS = 60.0
SERVER_READY_SECONDS = 30.0
# An api first lets its last requests finish.
STOP_APP_SECONDS = LAST_REQUESTS_SECONDS + 2.0
STOP_SERVERS_SECONDS = 6.0
# After a tracker was killed, its api takes a moment to end and holds the port meanwhile.
PORT_SECONDS = 8.0
TICK_SECONDS = 0.2
# A start does not wait for room on the disk, since reading works without it, nor for days that are still to be logged.
NOT_AWAITED = "exclude=disk&exclude=daily_log"
UNTIL = "%Y-%m-%d %H:%M UTC"


class Stopped(Exception):  # noqa: N818 - not an error: Ctrl-C was pressed before the tracker was ready
    pass


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 after an orderly stop, 1 when it could not start, 2 for wrong settings.

    The command `database` returns the exit status of its program.
    """
    options = make_parser().parse_args(arguments)
    stopping = threading.Event()
    try:
        env_file = None if options.command in USE_OTHER_SERVERS else complete_environment(read_env_file_path())
        launch = read_launch_settings()
        if options.command != "run":
            return _run_alone(options, launch)
        for stop_signal in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(stop_signal, lambda *_: stopping.set())
        with locked(launch.data_dir), ExitStack() as running:
            if env_file is not None:
                say("tracker", str(env_file))
            _run(launch, running, stopping)
    except SettingsError as error:
        print(f"These settings are missing or wrong:\n{error}", file=sys.stderr)
        if options.command in USE_OTHER_SERVERS and NEEDED & error.problems.keys():
            print(NEEDED_SETTINGS, file=sys.stderr)
        return 2
    except StartError as error:
        prefix = "The tracker did not start: " if options.command == "run" else ""
        print(f"{prefix}{error}.", file=sys.stderr)
        return 1
    except Stopped:
        pass
    say("tracker", "stopped; all data was kept")
    return 0


def _run_alone(options: argparse.Namespace, launch: LaunchSettings) -> int:
    """Run a command that needs no running tracker, or one that works beside it."""
    match options.command:
        case "prepare":
            print(f"The database is ready. Log in: {_login(_prepare(read_settings(), launch))}")
        case "password":
            print(f"The new password of {options.username}: {make_new_password(launch, options.username)}")
        case "password-reset":
            made = make_password_reset(launch, options.username)
            print(
                f"The token for {options.username}: {made.token}\nIt can be used once, until {made.expires_at:{UNTIL}}."
            )
        case "logs":
            print_logs(launch, options.date, options.diff)
        case "database":
            return run_on_database(launch, options.program)
        case process:
            _become(process, launch)
    return 0


def _become(process: str, launch: LaunchSettings) -> None:
    """Become that one process, and use the servers that the settings name."""
    settings = read_settings()
    if process == "api":
        serve_api(settings, launch)
        return
    command = worker_command(settings, launch) if process == "worker" else beat_command(settings)
    os.execv(command[0], command)


def _run(launch: LaunchSettings, running: ExitStack, stopping: threading.Event) -> None:
    """Start everything in order and keep it running. `running` stops it in reverse order, whatever happens here."""
    if not launch.database_url:
        # A PGPORT or the like from this shell would lead our drivers to another PostgreSQL.
        for name in [name for name in os.environ if name.startswith("PG")]:
            del os.environ[name]
    servers: list[SupervisedProcess] = []
    unshown = launch.data_dir / "first-password"
    with _take_port(launch, stopping) as starting:
        running.callback(stop_all, servers, seconds=STOP_SERVERS_SECONDS)
        try:
            os.environ.update(_start_servers(launch, servers))
        except OSError as error:
            raise StartError(f"{error.filename or launch.data_dir} cannot be used: {error.strerror}") from None
        settings = read_settings()
        _ensure_not_stopping(stopping)
        starting.reason = "the database is being migrated"
        admin = _prepare(settings, launch, unshown=unshown)
        # Only the first run needs the password, and no process should see it.
        os.environ.pop("ADMIN_PASSWORD", None)
        starting.reason = "api, worker and beat are starting"
        apps = _app_processes(launch, settings, running)
        running.callback(stop_all, apps, seconds=STOP_APP_SECONDS)
        for process in apps:
            process.start()
        _wait_until_serving(launch, apps, stopping)
    output.write_line(_ready_block(launch, admin))
    unshown.unlink(missing_ok=True)
    while not stopping.wait(TICK_SECONDS):
        for process in (*servers, *apps):
            process.keep_running()
    say("tracker", "stopping")


def _ensure_not_stopping(stopping: threading.Event) -> None:
    if stopping.is_set():
        raise Stopped


def _prepare(settings: Settings, launch: LaunchSettings, *, unshown: Path | None = None) -> Admin:
    migrate(settings)
    return ensure_admin(settings, launch, unshown=unshown)


def _start_servers(launch: LaunchSettings, servers: list[SupervisedProcess]) -> dict[str, str]:
    """Start or adopt the bundled servers that no setting replaces; return the environment that names them."""
    own_secrets = read_or_make_secrets(launch.data_dir)
    environment = {"JWT_SECRET_KEY": launch.jwt_secret_key or own_secrets.jwt_secret_key}
    needs_valkey = not launch.redis_url
    user = server_user(launch.data_dir) if needs_valkey or not launch.database_url else ServerUser()
    if not launch.database_url:
        postgres = PostgresServer(launch.data_dir, user)
        _start_or_adopt(postgres, servers)
        postgres.make_database()
        environment["DATABASE_URL"] = postgres.url
    if needs_valkey:
        valkey = ValkeyServer(launch.data_dir, user, own_secrets.valkey_password)
        _start_or_adopt(valkey, servers)
        environment["REDIS_URL"] = valkey.url(0)
        environment["CELERY_BROKER_URL"] = launch.celery_broker_url or valkey.url(1)
    return environment


def _start_or_adopt(server: PostgresServer | ValkeyServer, servers: list[SupervisedProcess]) -> None:
    server.prepare()
    # Our environment holds secrets, and a server needs nothing from it.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    process = SupervisedProcess(
        server.name,
        server.command,
        stop_signal=server.stop_signal,
        environment=environment,
        dies_with_us=False,
        repair=server.repair,
    )
    servers.append(process)
    pid = server.running_pid()
    if pid is not None:
        process.adopt(pid)
    else:
        process.start()
    # A server that outlived a killed tracker may be ending; its place is free a moment later.
    wait_until_ready(server, seconds=SERVER_READY_SECONDS, meanwhile=process.keep_running)


def _app_processes(launch: LaunchSettings, settings: Settings, running: ExitStack) -> list[SupervisedProcess]:
    numbers = numbers_dir(launch.data_dir)
    running.callback(shutil.rmtree, numbers, ignore_errors=True)
    user = server_user(launch.data_dir)
    user.own(numbers)
    # No drain: whoever stops the tracker is waiting, and there is no load balancer to warn.
    api_environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(numbers), "DRAIN_SECONDS": "0"}
    if not launch.database_url:
        api_environment.setdefault("WATCHED_DIR", str(launch.data_dir))

    def as_user(command: Sequence[str], port: int | None = None) -> list[str]:
        # The interpreter may be a link in a virtual environment, so both ends of the link count.
        needs = [ROOT / "main.py", Path(sys.executable).absolute(), Path(sys.prefix) / "lib", numbers / "any"]
        return user.command(command, needs=needs, dies_with_parent=True, port=port)

    return [
        SupervisedProcess(
            "api", lambda: as_user((sys.executable, "main.py", "api"), launch.port), environment=api_environment
        ),
        SupervisedProcess("worker", lambda: as_user(worker_command(settings, launch)), ready_text="worker is ready"),
        SupervisedProcess("beat", lambda: as_user(beat_command(settings)), ready_text="beat is ready"),
    ]


def _take_port(launch: LaunchSettings, stopping: threading.Event) -> StartingServer:
    user = server_user(launch.data_dir)
    deadline = time.monotonic() + PORT_SECONDS
    while True:
        try:
            return StartingServer(launch.host, launch.port, user)
        except OSError as error:
            problem = error.strerror
        if time.monotonic() > deadline:
            raise StartError(
                f"{launch.host} port {launch.port} cannot be used ({problem}); set HOST or PORT to another"
            )
        stopping.wait(TICK_SECONDS)
        _ensure_not_stopping(stopping)


def _wait_until_serving(launch: LaunchSettings, apps: Sequence[SupervisedProcess], stopping: threading.Event) -> None:
    api, *others = apps
    deadline = time.monotonic() + READY_SECONDS
    while not (_answers(launch) and all(process.is_ready.is_set() for process in others)):
        if time.monotonic() > deadline:
            raise StartError(f"the tracker was not ready within {READY_SECONDS:.0f} s; the lines above say why")
        stopping.wait(TICK_SECONDS / 2)
        _ensure_not_stopping(stopping)
        for process in (api, *others):
            process.keep_running()


def _answers(launch: LaunchSettings) -> bool:
    try:
        # This is our own machine, so no proxy from the environment is used.
        with build_opener(ProxyHandler({})).open(f"{_url(launch)}/readyz?{NOT_AWAITED}", timeout=2) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (URLError, OSError):
        return False


def _url(launch: LaunchSettings) -> str:
    """The URL of the api for this machine, also when the api listens on every address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(launch.host, launch.host)  # noqa: S104
    return f"http://[{host}]:{launch.port}" if ":" in host else f"http://{host}:{launch.port}"


def _ready_block(launch: LaunchSettings, admin: Admin) -> str:
    url = _url(launch)
    lines = (
        "TaskTrackerPro is ready",
        "",
        f"  URL      {url}",
        f"  Docs     {url}/docs   (ReDoc: {url}/redoc)",
        f"  Log in   {_login(admin)}",
        f"  Data     {launch.data_dir}",
        "  Stop     Ctrl-C",
    )
    rule = "-" * max(map(len, lines))
    return "\n".join(("", rule, *lines, rule, ""))


def _login(admin: Admin) -> str:
    if admin.new_password is not None:
        return f"{admin.username} / {admin.new_password}   (generated; shown only this once)"
    if admin.is_new:
        return f"{admin.username}, with the password of ADMIN_PASSWORD"
    return "with your existing admin account"
