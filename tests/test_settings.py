import os
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.settings import RateLimit, SettingsError, psycopg2_url, read_launch_settings, read_settings

LONG_SECRET = "d41d8cd98f00b204e9800998ecf8427e"


class TestReadSettings:
    def test_three_variables_are_enough(self, environment):
        settings = read_settings()

        assert settings.environment == "development"
        assert settings.celery_broker_url == settings.redis_url
        assert settings.time_zone == ZoneInfo("UTC")
        assert settings.rate_limits.login == RateLimit(5, 60)
        assert settings.rate_limits.upload == RateLimit(10, 3600)

    def test_all_problems_are_reported_at_once(self, environment):
        environment.delenv("DATABASE_URL")
        environment.delenv("REDIS_URL")
        environment.setenv("JWT_SECRET_KEY", "short")
        environment.setenv("ENVIRONMENT", "staging")
        environment.setenv("ACCESS_TOKEN_MINUTES", "soon")
        environment.setenv("SESSION_DAYS", "0")
        environment.setenv("RATE_LIMIT_LOGIN", "often")
        environment.setenv("TIME_ZONE", "Mars/Olympus")
        environment.setenv("LOG_LEVEL", "LOUD")
        environment.setenv("TRUSTED_PROXY_HOPS", "-1")

        with pytest.raises(SettingsError) as caught:
            read_settings()

        assert set(caught.value.problems) == {
            "DATABASE_URL",
            "REDIS_URL",
            "JWT_SECRET_KEY",
            "ENVIRONMENT",
            "ACCESS_TOKEN_MINUTES",
            "SESSION_DAYS",
            "RATE_LIMIT_LOGIN",
            "TIME_ZONE",
            "LOG_LEVEL",
            "TRUSTED_PROXY_HOPS",
        }

    def test_previous_keys_are_separated_by_commas(self, environment):
        environment.setenv("JWT_PREVIOUS_SECRET_KEYS", f"{'a' * 32}, {'b' * 40},")

        assert read_settings().jwt_previous_secret_keys == ("a" * 32, "b" * 40)

    @pytest.mark.parametrize("keys", ["zebra-7", f"{'a' * 32},zebra-7", f"{'a' * 32} change-me"])
    def test_a_previous_key_must_be_as_good_as_the_present_one(self, environment, keys):
        environment.setenv("ENVIRONMENT", "production")
        environment.setenv("JWT_PREVIOUS_SECRET_KEYS", keys)

        with pytest.raises(SettingsError) as caught:
            read_settings()

        assert set(caught.value.problems) == {"JWT_PREVIOUS_SECRET_KEYS"}
        assert keys not in str(caught.value)

    @pytest.mark.parametrize("length", ["7", "129"])
    def test_passwords_may_not_be_made_too_short_or_impossible(self, environment, length):
        environment.setenv("PASSWORD_MIN_LENGTH", length)

        with pytest.raises(SettingsError) as caught:
            read_settings()

        assert set(caught.value.problems) == {"PASSWORD_MIN_LENGTH"}

    @pytest.mark.parametrize(
        "name",
        [
            "JWT_SECRET_KEY",
            "ENVIRONMENT",
            "ACCESS_TOKEN_MINUTES",
            "SELF_REGISTRATION_ENABLED",
            "REQUIRE_IF_MATCH",
            "RATE_LIMIT_ENABLED",
            "RATE_LIMIT_TASKS",
            "TIME_ZONE",
            "LOG_LEVEL",
            "MAX_UPLOAD_BYTES",
        ],
    )
    def test_a_problem_names_the_variable_and_never_its_value(self, environment, name):
        environment.setenv(name, "zebra-7")

        with pytest.raises(SettingsError) as caught:
            read_settings()

        assert set(caught.value.problems) == {name}
        assert name in str(caught.value)
        assert "zebra" not in str(caught.value)
        assert "zebra" not in repr(caught.value)

    @pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"])
    def test_an_empty_variable_counts_as_missing(self, environment, name):
        environment.setenv(name, "")

        with pytest.raises(SettingsError) as caught:
            read_settings()

        assert set(caught.value.problems) == {name}

    def test_printed_settings_contain_no_secret(self, environment):
        environment.setenv("DATABASE_URL", "postgresql://app:hunter2@db/app")
        environment.setenv("REDIS_URL", "redis://:hunter2@cache/0")
        environment.setenv("JWT_SECRET_KEY", "hunter2" * 5)

        assert "hunter2" not in repr(read_settings())

    def test_a_separate_broker_is_used(self, environment):
        environment.setenv("CELERY_BROKER_URL", "amqp://rabbit//")

        assert read_settings().celery_broker_url == "amqp://rabbit//"

    def test_self_registration_is_closed_in_production_by_default(self, environment):
        environment.setenv("ENVIRONMENT", "production")
        assert not read_settings().self_registration_enabled

        environment.setenv("SELF_REGISTRATION_ENABLED", "true")
        assert read_settings().self_registration_enabled


class TestSecret:
    def test_a_key_of_31_bytes_is_refused(self, environment):
        environment.setenv("JWT_SECRET_KEY", LONG_SECRET[:31])

        with pytest.raises(SettingsError, match="JWT_SECRET_KEY: is shorter than 32 bytes"):
            read_settings()

    def test_the_length_is_measured_in_bytes(self, environment):
        environment.setenv("JWT_SECRET_KEY", "ü" * 16)

        assert read_settings().jwt_secret_key == "ü" * 16

    @pytest.mark.parametrize("word", ["change-me", "CHANGEME", "Replace-Me", "placeholder", "example", "your-secret"])
    def test_production_refuses_a_placeholder(self, environment, word):
        environment.setenv("ENVIRONMENT", "production")
        environment.setenv("JWT_SECRET_KEY", f"{word}-{LONG_SECRET}")

        with pytest.raises(SettingsError, match="JWT_SECRET_KEY: is a placeholder"):
            read_settings()

    def test_development_accepts_a_placeholder(self, environment):
        environment.setenv("JWT_SECRET_KEY", f"change-me-{LONG_SECRET}")

        assert read_settings().jwt_secret_key.startswith("change-me")


class TestOrigins:
    def test_no_other_origin_is_allowed_by_default(self, environment):
        assert read_settings().cors_origins == ()

    @pytest.mark.parametrize(
        ("text", "origins"),
        [
            ("", ()),
            ("*", ("*",)),
            ("https://a.example", ("https://a.example",)),
            ("https://a.example, http://localhost:3000,", ("https://a.example", "http://localhost:3000")),
            ("http://127.0.0.1:8080,http://[::1]:8080", ("http://127.0.0.1:8080", "http://[::1]:8080")),
        ],
    )
    def test_are_listed_with_commas(self, environment, text, origins):
        environment.setenv("CORS_ORIGINS", text)

        assert read_settings().cors_origins == origins

    @pytest.mark.parametrize(
        "text",
        [
            "a.example",
            "https://a.example/",
            "https://a.example/tasks",
            "https://A.example",
            "https://a.example:443",
            "http://a.example:80",
            "https://a.example:70000",
            "https://*.a.example",
            "https://user@a.example",
            "ftp://a.example",
            "null",
            "*,https://a.example",
            "https://a.example https://b.example",
            "https://a.example\nhttps://b.example",
        ],
    )
    def test_a_text_that_no_browser_sends_is_reported_by_name(self, environment, text):
        environment.setenv("CORS_ORIGINS", text)

        with pytest.raises(SettingsError) as caught:
            read_settings()

        assert set(caught.value.problems) == {"CORS_ORIGINS"}


class TestReleaseCommit:
    @pytest.mark.parametrize("text", ["", "3dfcd45", "3dfcd45b0c6a2f7be0f1aa2f3c0f5d8d2a1b4c3e"])
    def test_is_the_id_of_a_commit(self, environment, text):
        environment.setenv("RELEASE_COMMIT", text)

        assert read_settings().release_commit == (text or None)

    def test_another_text_is_refused(self, environment):
        environment.setenv("RELEASE_COMMIT", "main")

        with pytest.raises(SettingsError, match="RELEASE_COMMIT"):
            read_settings()


class TestOperation:
    def test_every_variable_has_a_default(self, environment):
        settings = read_settings()

        assert (settings.metrics_token, settings.metrics_dir, settings.alive_file) == (None, None, None)
        assert settings.watched_dir is None
        assert settings.drain_seconds == 5

    def test_variables_override_the_defaults(self, environment):
        environment.setenv("METRICS_TOKEN", LONG_SECRET)
        environment.setenv("PROMETHEUS_MULTIPROC_DIR", "/run/numbers")
        environment.setenv("ALIVE_FILE", "/run/alive")
        environment.setenv("WATCHED_DIR", "/srv/data")
        environment.setenv("DRAIN_SECONDS", "1.5")

        settings = read_settings()

        assert (settings.metrics_token, settings.drain_seconds) == (LONG_SECRET, 1.5)
        assert (settings.metrics_dir, settings.alive_file) == (Path("/run/numbers"), Path("/run/alive"))
        assert settings.watched_dir == Path("/srv/data")

    @pytest.mark.parametrize("name", ["METRICS_TOKEN", "PROMETHEUS_MULTIPROC_DIR", "ALIVE_FILE"])
    def test_an_empty_variable_means_none(self, environment, name):
        environment.setenv(name, "")

        settings = read_settings()

        assert (settings.metrics_token, settings.metrics_dir, settings.alive_file) == (None, None, None)

    def test_a_short_token_is_refused_and_not_shown(self, environment):
        environment.setenv("METRICS_TOKEN", LONG_SECRET[:31])

        with pytest.raises(SettingsError, match="METRICS_TOKEN: is shorter than 32 bytes") as caught:
            read_settings()

        assert set(caught.value.problems) == {"METRICS_TOKEN"}
        assert LONG_SECRET[:31] not in str(caught.value)

    def test_production_refuses_a_placeholder_for_a_token(self, environment):
        environment.setenv("ENVIRONMENT", "production")
        environment.setenv("METRICS_TOKEN", f"change-me-{LONG_SECRET}")

        with pytest.raises(SettingsError, match="METRICS_TOKEN: is a placeholder"):
            read_settings()

    def test_production_does_not_need_a_token(self, environment):
        environment.setenv("ENVIRONMENT", "production")

        assert read_settings().metrics_token is None

    def test_printed_settings_do_not_contain_the_token(self, environment):
        environment.setenv("METRICS_TOKEN", LONG_SECRET[::-1])

        assert LONG_SECRET[::-1] not in repr(read_settings())

    @pytest.mark.parametrize("seconds", ["0", "20"])
    def test_a_drain_may_last_from_zero_to_twenty_seconds(self, environment, seconds):
        environment.setenv("DRAIN_SECONDS", seconds)

        assert read_settings().drain_seconds == float(seconds)

    @pytest.mark.parametrize("seconds", ["-0.1", "60.1", "soon", "nan", "inf"])
    def test_another_drain_is_refused(self, environment, seconds):
        environment.setenv("DRAIN_SECONDS", seconds)

        with pytest.raises(SettingsError) as caught:
            read_settings()

        assert set(caught.value.problems) == {"DRAIN_SECONDS"}


class TestReadLaunchSettings:
    def test_every_variable_has_a_default(self, environment):
        for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"):
            environment.delenv(name)

        settings = read_launch_settings()

        assert (settings.host, settings.port) == ("127.0.0.1", 8000)
        assert settings.data_dir.is_absolute()
        assert settings.database_url is None

    def test_all_problems_are_reported_at_once(self, environment):
        environment.setenv("PORT", "70000")
        environment.setenv("API_PROCESSES", "none")
        environment.setenv("WORKER_PROCESSES", "0")

        with pytest.raises(SettingsError) as caught:
            read_launch_settings()

        assert set(caught.value.problems) == {"PORT", "API_PROCESSES", "WORKER_PROCESSES"}
        assert "70000" not in str(caught.value)

    def test_printed_settings_do_not_contain_the_admins_password(self, environment):
        environment.setenv("ADMIN_PASSWORD", "hunter2hunter2")

        assert "hunter2" not in repr(read_launch_settings())


class TestRateLimit:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("5/minute", RateLimit(5, 60)),
            ("600 per minute", RateLimit(600, 60)),
            ("60 per 2 hours", RateLimit(60, 7200)),
            ("10/hour", RateLimit(10, 3600)),
            ("1 per day", RateLimit(1, 86400)),
        ],
    )
    def test_accepts_limits_as_people_write_them(self, text, expected):
        assert RateLimit.parse(text) == expected

    @pytest.mark.parametrize("text", ["", "often", "5", "5/fortnight", "/minute", "-5/minute", "five/minute"])
    def test_refuses_anything_else(self, text):
        with pytest.raises(ValueError):  # noqa: PT011 - the message is the library's
            RateLimit.parse(text)

    def test_a_printed_limit_reads_back_the_same(self):
        limit = RateLimit(60, 7200)

        assert RateLimit.parse(str(limit)) == limit


class TestPsycopg2Url:
    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
    def test_every_spelling_becomes_that_of_the_driver(self, scheme):
        assert (
            psycopg2_url(f"{scheme}://app:p%40ss@db:5432/app?x=1") == "postgresql+psycopg2://app:p%40ss@db:5432/app?x=1"
        )

    @pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
    def test_the_settings_contain_the_rewritten_url(self, environment, scheme):
        environment.setenv("DATABASE_URL", f"{scheme}://db/app")

        assert read_settings().database_url == "postgresql+psycopg2://db/app"


@pytest.fixture
def environment(monkeypatch):
    """Only the required variables, whatever the machine has set."""
    for name in list(os.environ):
        if not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/app")
    monkeypatch.setenv("REDIS_URL", "redis://cache/0")
    monkeypatch.setenv("JWT_SECRET_KEY", LONG_SECRET)
    return monkeypatch
