"""The user that the tracker's processes run as: you, or a system user of the data directory if root starts them."""

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.local.errors import StartError

# A hash of the data directory follows. Older installations share one user with this name and no hash.
NAME = "tasktracker"
# A process needs a capability to listen on a lower port.
FIRST_OPEN_PORT = 1024


@dataclass(frozen=True, slots=True)
class ServerUser:
    """`uid` and `gid` are None when the processes run as the user who started the tracker."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Create a directory that only this user can open."""
        path.mkdir(parents=True, exist_ok=True)
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)
        path.chmod(0o700)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Act as this user in the block: what it creates belongs to the user."""
        if self.uid is None:
            yield
            return
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)

    def command(
        self,
        arguments: Sequence[str],
        *,
        needs: Sequence[Path],
        dies_with_parent: bool = False,
        port: int | None = None,
    ) -> list[str]:
        """The command line that runs the arguments as this user.

        `needs` are paths that the program must reach, `port` is the port that it listens on. Home directories stay
        closed: the program gets a capability to pass through directories instead. A change of uid clears the signal for
        the parent's death, so `dies_with_parent` sets it again after the change.
        """
        if self.uid is None:
            return list(arguments)
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise StartError("setpriv (util-linux) is needed to start the tracker as root; or run as an ordinary user")
        options = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--no-new-privs"]
        capabilities = []
        if not all(_everybody_can_reach(path) for path in needs):
            capabilities.append(_passing_capability())
            # PostgreSQL looks for its own programs with access(2), which ignores capabilities without this.
            options.append("--securebits=+no_setuid_fixup")
        if port is not None and port < FIRST_OPEN_PORT:
            capabilities.append("net_bind_service")
        if capabilities:
            names = ",".join(f"+{name}" for name in capabilities)
            options += [f"--inh-caps={names}", f"--ambient-caps={names}"]
        if dies_with_parent:
            options.append("--pdeathsig=TERM")
        return [setpriv, *options, "--", *arguments]


def server_user(data_dir: Path) -> ServerUser:
    """The user for the servers of that directory, created when root first runs the tracker.

    A directory that was moved keeps its user. Raises StartError when the user cannot be created.
    """
    if os.geteuid() != 0:
        return ServerUser()
    owners = (_owner_of(path) for path in (data_dir / "postgres", data_dir / "valkey", data_dir))
    entry = next(filter(None, owners), None) or _create_user(data_dir)
    return ServerUser(entry.pw_uid, entry.pw_gid)


def _owner_of(path: Path) -> pwd.struct_passwd | None:
    """The owner, if it is a tracker's system user. Other users must not become one by owning a directory."""
    try:
        entry = pwd.getpwuid(path.stat().st_uid)
    except (OSError, KeyError):
        return None
    return entry if entry.pw_name == NAME or entry.pw_name.startswith(f"{NAME}-") else None


def _create_user(data_dir: Path) -> pwd.struct_passwd:
    path = data_dir.resolve()
    name = f"{NAME}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    with suppress(KeyError):
        return pwd.getpwnam(name)
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        raise StartError("the tracker does not run as root and useradd is missing; run as an ordinary user")
    arguments = [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    # The comment tells administrators which tracker the user belongs to.
    arguments += ["--comment", re.sub(r"[:\n]", "?", str(path)), name]
    # Two useradd cannot run at once, so trackers that start together take turns.
    etc = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(etc, fcntl.LOCK_EX)
        with suppress(KeyError):
            return pwd.getpwnam(name)
        creation = subprocess.run(arguments, capture_output=True, text=True, check=False)
        return pwd.getpwnam(name)
    except KeyError:
        raise StartError(f"the system user {name} cannot be created: {creation.stderr.strip()}") from None
    finally:
        os.close(etc)


def user_name(uid: int) -> str:
    """Raises StartError for a uid without a name, which PostgreSQL does not accept."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise StartError(f"the uid {uid} has no name, and PostgreSQL needs one; add it to /etc/passwd") from None


def _everybody_can_reach(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def _passing_capability() -> str:
    """The weakest capability we hold that passes through closed directories. Containers remove some of them."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = int(status["CapEff"], 16)
    for name, bit in (("dac_read_search", 2), ("dac_override", 1)):
        if held >> bit & 1:
            return name
    raise StartError(
        "the servers' own user cannot reach this directory; move the checkout and DATA_DIR to where every user "
        "can enter, or run as an ordinary user"
    )
