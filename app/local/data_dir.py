"""The data directory: used by one tracker at a time, with secrets that the first run generates."""

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.local.errors import StartError

# A file system in memory on any ordinary Linux.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, slots=True)
class Secrets:
    jwt_secret_key: str
    valkey_password: str


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the directory's lock, which ends with this process.

    Raises StartError when another tracker holds the lock, or when the directory cannot be used.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if (owner := data_dir.stat().st_uid) != os.geteuid() != 0:
            raise StartError(
                f"{data_dir} belongs to {described_user(owner)}; start the tracker as that user, or set DATA_DIR to a "
                "directory of your own"
            )
        if any(data_dir.iterdir()) and not (data_dir / "lock").exists():
            raise StartError(f"{data_dir} holds other files; set DATA_DIR to a directory for the tracker alone")
        # If root starts the tracker, the servers' own user must be able to enter it. Nobody else may list it.
        data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
        lock = (data_dir / "lock").open("a+")
    except OSError as error:
        raise StartError(f"the data directory {data_dir} cannot be used: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StartError(
                f"a tracker already runs on {data_dir} (process {lock.read().strip() or 'unknown'}); "
                "stop it first, or set DATA_DIR to another directory"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def described_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the id {uid}"


def read_or_make_secrets(data_dir: Path) -> Secrets:
    path = data_dir / "secrets.json"
    if path.exists():
        return _read_secrets(path)
    generated = Secrets(jwt_secret_key=secrets.token_urlsafe(48), valkey_password=secrets.token_urlsafe(32))
    write_private(path, json.dumps(asdict(generated)))
    return generated


def _read_secrets(path: Path) -> Secrets:
    try:
        read = Secrets(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        read = None
    if read is None or not all(isinstance(secret, str) and secret for secret in asdict(read).values()):
        raise StartError(
            f"{path} cannot be read; restore it from a backup, or remove it: then a new one is generated, and "
            "everybody has to log in again"
        )
    return read


def numbers_dir(data_dir: Path) -> Path:
    """A new directory for the counters of api processes, in memory if possible, so that no disk slows them down."""
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    for path in (SHARED_MEMORY / f"tasktracker-{digest}", data_dir / "metrics"):
        # In a directory that everybody may write to, another user may have taken the name. Then the next path is used.
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            path.mkdir(mode=0o700)
            return path
    raise StartError(f"{data_dir / 'metrics'} cannot be created; remove what is there")


def write_private(path: Path, text: str, *, owner: tuple[int | None, int | None] = (None, None)) -> None:
    """Write the file completely or not at all. Only its owner can read it, at every moment."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        uid, gid = owner
        if uid is not None and gid is not None:
            os.fchown(file.fileno(), uid, gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
