"""The settings in `.env`, which complete the environment of a tracker on one machine."""

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from app.local.errors import StartError
from app.local.supervisor import ROOT

# A container of docker-compose.yml has names for its servers that no other machine knows.
URLS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")
# The example has a line for each setting, which a guard test ensures.
EXAMPLE = ROOT / ".env.example"
DOCUMENTED = re.compile(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EnvFile:
    """A file that was read. `replaced` are its settings for which the environment has another value."""

    path: Path
    used: frozenset[str]
    replaced: frozenset[str]

    def __str__(self) -> str:
        urls = [name for name in URLS if name in self.used]
        servers = f", among them {' and '.join(urls)}" if urls else ""
        replaced = f"; the environment replaces {', '.join(sorted(self.replaced))}" if self.replaced else ""
        return f"settings from {self.path}: {len(self.used)}{servers}{replaced}"


def complete_environment(path: Path | None) -> EnvFile | None:
    """Add the file's settings to the environment, which wins. An empty value in the file says nothing.

    Variables that are no settings are left out: whoever owns the working directory must not choose our PATH. None if
    there is no such file. Raises StartError for a file that cannot be used.
    """
    if path is None or not path.is_file():
        return None
    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8")
        known = set(DOCUMENTED.findall(EXAMPLE.read_text("utf-8")))
    except OSError as error:
        raise StartError(f"{error.filename} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StartError(f"{path} cannot be read: it is not text in UTF-8") from None
    settings = {name: value for name, value in values.items() if value and name in known}
    used = {name: value for name, value in settings.items() if name not in os.environ}
    for name in URLS:
        if name in used:
            _ensure_known_host(path, name, used[name])
    os.environ.update(used)
    replaced = {name for name, value in settings.items() if os.environ[name] != value}
    return EnvFile(path, frozenset(used), frozenset(replaced))


def _ensure_known_host(path: Path, name: str, url: str) -> None:
    try:
        host = urlsplit(url).hostname
        if host is not None:
            socket.getaddrinfo(host, None)
    except ValueError:
        # Whoever connects says what is wrong with the URL.
        return
    except OSError:
        raise StartError(
            f"{name} in {path} names the host {host}, which this machine does not know; only containers know the hosts "
            f"of docker-compose.yml. Set {name} in the environment, or leave it empty there for a bundled server"
        ) from None
