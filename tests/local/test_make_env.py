"""`make env` in a directory that holds the two files that it needs, without any package installed."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from app.settings import read_launch_settings, read_settings
from tests.servers import ROOT

SECRETS = {"JWT_SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "ADMIN_PASSWORD"}
# Text like this needs no quoting in a URL, in the .env of docker compose, or in a shell.
PLAIN = re.compile(r"[A-Za-z0-9_-]{32,}")


class TestMakeEnv:
    def test_writes_settings_that_production_starts_with(self, directory, environment):
        made = make_env(directory)

        assert (made.returncode, made.stderr) == (0, "")
        written = values_of(directory / ".env")
        for name, value in written.items():
            environment.setenv(name, value)
        environment.setenv("ENVIRONMENT", "production")
        environment.setenv("DATABASE_URL", f"postgresql://tasktracker:{written['POSTGRES_PASSWORD']}@db:5432/app")
        environment.setenv("REDIS_URL", "redis://redis:6379/0")
        assert read_settings().jwt_secret_key == written["JWT_SECRET_KEY"]
        assert read_launch_settings().admin_password == written["ADMIN_PASSWORD"]

    def test_the_secrets_are_long_and_different(self, directory):
        make_env(directory)

        written = values_of(directory / ".env")
        secrets = [written[name] for name in SECRETS]
        assert len(set(secrets)) == len(SECRETS)
        assert [secret for secret in secrets if not PLAIN.fullmatch(secret)] == []

    def test_every_env_has_secrets_of_its_own(self, directory):
        make_env(directory)
        first = values_of(directory / ".env")
        (directory / ".env").unlink()

        make_env(directory)

        second = values_of(directory / ".env")
        assert {name for name in SECRETS if first[name] == second[name]} == set()

    def test_everything_else_is_as_in_the_example(self, directory):
        make_env(directory)

        written = (directory / ".env").read_text("utf-8").splitlines()
        example = (directory / ".env.example").read_text("utf-8").splitlines()
        assert len(written) == len(example)
        changed = {(old, new.partition("=")[0]) for old, new in zip(example, written, strict=True) if old != new}
        assert changed == {(f"{name}=", name) for name in SECRETS}

    def test_is_readable_by_its_owner_only(self, directory):
        make_env(directory, umask=0o000)

        assert (directory / ".env").stat().st_mode & 0o777 == 0o600

    def test_prints_no_secret(self, directory):
        made = make_env(directory)

        written = values_of(directory / ".env")
        assert [name for name in SECRETS if written[name] in made.stdout + made.stderr] == []

    def test_a_second_run_changes_nothing(self, directory):
        make_env(directory)
        before = contents_of(directory)

        second_run = make_env(directory)

        assert (second_run.returncode, second_run.stdout) == (1, "")
        assert "exists already" in second_run.stderr
        assert contents_of(directory) == before

    def test_a_link_in_place_of_the_env_is_not_followed(self, directory):
        """A link to a file that does not exist yet counts as an existing .env."""
        (directory / ".env").symlink_to(directory / "elsewhere")

        made = make_env(directory)

        assert made.returncode == 1
        assert not (directory / "elsewhere").exists()

    def test_an_example_without_a_secret_makes_no_env(self, directory):
        example = directory / ".env.example"
        example.write_text(example.read_text("utf-8").replace("\nPOSTGRES_PASSWORD=\n", "\n"), "utf-8")

        made = make_env(directory)

        assert made.returncode != 0
        assert "POSTGRES_PASSWORD=" in made.stderr
        assert not (directory / ".env").exists()


def make_env(directory, *, umask=0o022):
    """Run `make env` with the standard library only, from another directory, in an empty environment."""
    return subprocess.run(
        [sys.executable, "-I", "-S", directory / "deploy" / "make_env.py"],
        cwd="/",
        env={"PATH": os.defpath},
        umask=umask,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def values_of(env):
    lines = env.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def contents_of(directory):
    return {path: (path.read_bytes(), path.stat().st_mode) for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / ".env.example", tmp_path)
    shutil.copy(ROOT / "deploy" / "make_env.py", tmp_path / "deploy")
    return tmp_path


@pytest.fixture
def environment(monkeypatch):
    """Only the variables that the test sets, whatever the machine has set."""
    for name in list(os.environ):
        if not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    return monkeypatch
