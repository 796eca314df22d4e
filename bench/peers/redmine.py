"""Serves the Redmine of Debian under puma, with as many issues as ours has tasks.

It uses an instance of its own in the directory of the measurement, so that an instance of the machine stays as it is.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.load import Sent
from bench.over_http import Target, served
from bench.peers.databases import empty_database, execute
from bench.peers.installed import PROGRAMS, MissingPeerError, may_install, run_in_peer
from bench.stage import Stage

HOME = Path("/usr/share/redmine")
PACKAGES = ("redmine", "redmine-pgsql", "puma")
WORKERS = 2
THREADS = 5
# Redmine looks for its instances below a directory of its own. As many steps up as this lead to the root from there,
# and more than enough lead there too.
TO_ROOT = "../" * 8
SECRET = "a secret of the measurement that is long enough for Rails"


@contextmanager
def redmine(stage: Stage) -> Iterator[dict[str, Target]]:
    """Yield its targets: `list`, `one` and `create`. Raises MissingPeerError."""
    _ensure_installed()
    with empty_database(stage.server_url) as url:
        environment = _make_instance(stage.directory / "redmine", url)
        for task in ("db:migrate", "redmine:load_default_data"):
            run_in_peer(["bundle", "exec", "rake", task], cwd=HOME, environment=environment)
        prepare: list[str | Path] = ["bundle", "exec", "rails", "runner", PROGRAMS / "redmine_prepare.rb"]
        key = run_in_peer(prepare, cwd=HOME, environment=environment).split()[-1]
        count = stage.sizes.peer_tasks
        execute(
            url,
            "INSERT INTO issues (id, tracker_id, project_id, subject, description, status_id, priority_id, author_id,"
            " created_on, updated_on, root_id, lft, rgt, lock_version)"
            " SELECT n, 1, 1, 'Task ' || n, 'one of many', 1,"
            " (SELECT id FROM enumerations WHERE type = 'IssuePriority' AND is_default), 1, now(), now(), n, 1, 2, 0"
            f" FROM generate_series(1, {count}) n",
            f"SELECT setval('issues_id_seq', {count})",
            "VACUUM ANALYZE",
        )
        command = [
            *("puma", "--environment", "production", "--workers", str(WORKERS), "--threads", f"{THREADS}:{THREADS}"),
            *("--bind", "tcp://127.0.0.1:PORT", "config.ru"),
        ]
        with served(command, cwd=HOME, environment=environment, log=stage.directory / "redmine.log") as port:
            headers = {"X-Redmine-API-Key": key}
            issue = {"project_id": 1, "tracker_id": 1, "subject": "Measured", "description": "one of many"}
            yield {
                "list": Target(port, [Sent("GET", "/issues.json?limit=50")], headers),
                "one": Target(port, [Sent("GET", "/issues/17.json")], headers),
                "create": Target(port, [Sent("POST", "/issues.json", json.dumps({"issue": issue}))], headers),
            }


def _ensure_installed() -> None:
    if HOME.exists() and shutil.which("puma"):
        return
    if not may_install() or os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingPeerError(f"not installed; as root on Debian: apt-get install {' '.join(PACKAGES)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Debian would otherwise make a database for an instance that nobody uses.
    answer = "redmine redmine/instances/default/dbconfig-install boolean false\n"
    install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *PACKAGES]
    for command, text in ((["debconf-set-selections"], answer), (["apt-get", "update"], ""), (install, "")):
        done = subprocess.run(command, env=environment, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingPeerError(f"{' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}")


def _make_instance(directory: Path, database_url: str) -> dict[str, str]:
    """Make the files of an instance. Return the environment that chooses it."""
    for name in ("config", "files", "log", "tmp", "public"):
        (directory / name).mkdir(parents=True)
    url = urlsplit(database_url)
    database = {
        "adapter": "postgresql",
        "database": url.path.strip("/"),
        "host": parse_qs(url.query).get("host", [url.hostname or ""])[0],
        "port": url.port,
        "username": url.username,
        "password": url.password,
        "encoding": "utf8",
    }
    # JSON is YAML, too.
    (directory / "config" / "database.yml").write_text(json.dumps({"production": database}))
    (directory / "config" / "secret_key.txt").write_text(SECRET)
    instance = TO_ROOT + str(directory.resolve()).lstrip("/")
    return {"REDMINE_INSTANCE": instance, "RAILS_ENV": "production", "REDMINE_LANG": "en"}
