"""Runs the collection twice in a row against a new tracker: `make postman`."""  # noqa: INP001 - a script

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
COLLECTION = HERE / "TaskTrackerPro.postman_collection.json"
ENVIRONMENT = HERE / "local.postman_environment.json"
NEWMAN = "newman@6.2.2"
RUNS = 2
READY_MESSAGE = "TaskTrackerPro is ready"
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
SETTINGS = {
    # Two runs log in more often than one person. With the default limit they pass, too, but wait for minutes.
    "RATE_LIMIT_LOGIN": "100/minute",
    # The collection tests these, so the settings of this shell and of a .env do not apply.
    "ENVIRONMENT": "development",
    "ENV_FILE": "",
    "SELF_REGISTRATION_ENABLED": "true",
    "RATE_LIMIT_ENABLED": "true",
    "ADMIN_USERNAME": "admin",
    "HOST": "127.0.0.1",
}
# The tracker starts from nothing, on servers of its own, with the default limits of everything else.
NOT_INHERITED = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "JWT_SECRET_KEY",
    "RATE_LIMIT_DEFAULT",
    "RATE_LIMIT_TASKS",
    "RATE_LIMIT_UPLOAD",
)


class TrackerError(Exception):
    pass


def main() -> int:
    """Return 0 when every run passed and the tracker stopped in order."""
    newman = _newman_command()
    if newman is None:
        _say("neither newman nor npx is installed; install Node.js")
        return 1
    with tempfile.TemporaryDirectory(prefix="tasktrackerpro-postman-", ignore_cleanup_errors=True) as directory:
        log_path, port, password = Path(directory, "tracker.log"), _free_port(), secrets.token_urlsafe(24)
        with log_path.open("wb") as log:
            tracker = _start_tracker(Path(directory, "data"), port, password, log.fileno())
            try:
                _wait_until_ready(tracker, log_path)
                has_passed = all(_run_collection(newman, port, password) for _ in range(RUNS))
            except TrackerError as error:
                _say(f"{error}; its last lines:\n{log_path.read_text(errors='replace')[-4000:]}")
                has_passed = False
            finally:
                has_stopped = _stop(tracker)
    return 0 if has_passed and has_stopped else 1


def _newman_command() -> list[str] | None:
    if newman := shutil.which("newman"):
        return [newman]
    if npx := shutil.which("npx"):
        return [npx, "--yes", NEWMAN]
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _start_tracker(data_dir: Path, port: int, password: str, log: int) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    own = {"DATA_DIR": str(data_dir), "PORT": str(port), "ADMIN_PASSWORD": password, **SETTINGS}
    command = [sys.executable, "main.py"]
    return subprocess.Popen(command, cwd=HERE.parent, env={**inherited, **own}, stdout=log, stderr=log)  # noqa: S603


def _wait_until_ready(tracker: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while READY_MESSAGE not in log_path.read_text(errors="replace"):
        if tracker.poll() is not None:
            raise TrackerError("the tracker did not start")
        if time.monotonic() > deadline:
            raise TrackerError(f"the tracker was not ready after {READY_SECONDS:.0f} s")
        time.sleep(0.2)


def _run_collection(newman: list[str], port: int, password: str) -> bool:
    command = [*newman, "run", str(COLLECTION), "--environment", str(ENVIRONMENT), "--working-dir", str(HERE)]
    command += ["--env-var", f"base_url=http://127.0.0.1:{port}", "--env-var", f"admin_password={password}"]
    return subprocess.run(command, cwd=HERE, check=False).returncode == 0  # noqa: S603


def _stop(tracker: subprocess.Popen[bytes]) -> bool:
    """Return True if the tracker ended in order by itself after it was asked to."""
    tracker.send_signal(signal.SIGTERM)
    try:
        return tracker.wait(STOP_SECONDS) == 0
    except subprocess.TimeoutExpired:
        _say(f"the tracker did not stop within {STOP_SECONDS:.0f} s")
        tracker.kill()
        return False


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


if __name__ == "__main__":
    sys.exit(main())
