"""`.env.example` names exactly the variables that the app reads, with their default values."""

import os
import re

import pytest

from app.settings import read_launch_settings, read_settings
from tests.servers import ROOT

READ = re.compile(
    r"\benv\.[a-z_]+\(\s*[\"']([A-Z][A-Z0-9_]*)[\"']"
    r"|\b_(?:rate_limit|optional_path|secrets)\(env, [\"']([A-Z][A-Z0-9_]*)[\"']"
)
READ_BY_COMPOSE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)")
ENVIRONMENT = re.compile(r"\bos\.(?:environ|getenv)\b|\bfrom os import\b.*\b(?:environ|getenv)\b")
DOCUMENTED = re.compile(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


class TestEnvExample:
    def test_names_exactly_the_variables_that_are_read(self, documented):
        assert {name for name, _value in documented} == variables_of_the_settings() | variables_of_compose()

    def test_names_each_variable_once(self, documented):
        names = [name for name, _value in documented]

        assert sorted(name for name in set(names) if names.count(name) > 1) == []

    def test_its_values_are_the_defaults(self, documented, bare_environment):
        by_default = read_settings(), read_launch_settings()

        for name, value in documented:
            if value:
                bare_environment.setenv(name, value)

        assert (read_settings(), read_launch_settings()) == by_default

    def test_contains_no_secret(self, documented):
        secrets = {name: value for name, value in documented if re.search("PASSWORD$|SECRET|_URL$", name)}

        assert set(secrets.values()) == {""}


class TestOtherModules:
    def test_no_other_module_reads_the_environment(self):
        """Only `local` may, because it makes the environment of the processes that it starts."""
        modules = [path for path in (ROOT / "app").rglob("*.py") if path.parent.name != "local"]

        readers = {path.relative_to(ROOT).as_posix() for path in modules if ENVIRONMENT.search(path.read_text("utf-8"))}

        assert readers <= {"app/settings.py"}


def variables_of_the_settings():
    source = (ROOT / "app" / "settings.py").read_text("utf-8")
    names = {of_env or of_limit for of_env, of_limit in READ.findall(source)}
    assert {"DATABASE_URL", "RATE_LIMIT_LOGIN", "ADMIN_PASSWORD"} <= names
    return names


def variables_of_compose():
    return set(READ_BY_COMPOSE.findall((ROOT / "docker-compose.yml").read_text("utf-8")))


@pytest.fixture
def documented():
    return DOCUMENTED.findall((ROOT / ".env.example").read_text("utf-8"))


@pytest.fixture
def bare_environment(monkeypatch):
    """The variables without a default, and no others."""
    for name in variables_of_the_settings() & set(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/app")
    monkeypatch.setenv("REDIS_URL", "redis://cache/0")
    monkeypatch.setenv("JWT_SECRET_KEY", "d41d8cd98f00b204e9800998ecf8427e")
    return monkeypatch
