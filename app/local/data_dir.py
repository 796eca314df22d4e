"""Where everything is kept between runs: one directory, one tracker at a time, secrets made on the first run."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from app.local.errors import StartError


@dataclass(frozen=True, slots=True)
class Secrets:
    jwt_secret_key: str
    valkey_password: str


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Raises StartError when another tracker runs on the directory. A lock dies with its process, however that ends."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if any(data_dir.iterdir()) and not (data_dir / "lock").exists():
            raise StartError(f"{data_dir} holds other things; set DATA_DIR to a directory of the tracker's own")
        # Entered by the servers' own user when this is root, listed by nobody else.
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
                f"a tracker is running on {data_dir} already (process {lock.read().strip() or 'unknown'}); "
                "stop it first, or set DATA_DIR to another directory"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def read_or_make_secrets(data_dir: Path) -> Secrets:
    path = data_dir / "secrets.json"
    if path.exists():
        return Secrets(**json.loads(path.read_text()))
    made = Secrets(jwt_secret_key=secrets.token_urlsafe(48), valkey_password=secrets.token_urlsafe(32))
    write_private(path, json.dumps(asdict(made)))
    return made


def write_private(path: Path, text: str, *, owner: tuple[int | None, int | None] = (None, None)) -> None:
    """All of it or nothing, and readable by nobody but its owner at any moment."""
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
