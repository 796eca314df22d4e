"""Settings, read from the environment once and only here. Problems name a setting but never show its value."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from environs import Env, EnvValidationError, validate
from limits import parse as parse_limit
from marshmallow import ValidationError

MIN_SECRET_BYTES = 32
# The drain and the last requests together take less time than the stop timeouts of docker-compose.yml and Kubernetes.
MAX_DRAIN_SECONDS = 20
ESTIMATE_UNITS = ("points", "hours", "days")
# In CORS_ORIGINS: every origin.
ANY_ORIGIN = "*"
ORIGIN = re.compile(
    r"(?P<scheme>https?)://([a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(:(?P<port>[1-9][0-9]{0,4}))?"
)
USUAL_PORTS = {"http": "80", "https": "443"}
PLACEHOLDER_WORDS = ("change-me", "changeme", "replace-me", "placeholder", "example", "notsecret", "your-secret")


class SettingsError(Exception):
    """Lists every invalid setting by name. Values are left out, since they may be secrets."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("\n".join(f"  {name}: {problem}" for name, problem in sorted(problems.items())))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `amount` requests in `seconds`."""

    amount: int
    seconds: int

    @property
    def window(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    @classmethod
    def parse(cls, text: str) -> "RateLimit":
        """Parse text such as "5/minute" or "60 per 2 hours". Raises ValueError."""
        item = parse_limit(text)
        return cls(item.amount, item.get_expiry())

    def __str__(self) -> str:
        return f"{self.amount} per {self.seconds} second"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvLimits:
    """The limits of an uploaded CSV."""

    rows: int
    columns: int
    cell_characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    enabled: bool
    default: RateLimit
    login: RateLimit
    tasks: RateLimit
    upload: RateLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of api, worker and beat. `.env.example` describes each."""

    environment: str
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    celery_broker_url: str = field(repr=False)
    jwt_secret_key: str = field(repr=False)
    jwt_previous_secret_keys: tuple[str, ...] = field(repr=False)
    access_token_minutes: int
    classic_token_minutes: int
    session_days: int
    self_registration_enabled: bool
    require_if_match: bool
    password_min_length: int
    password_reset_hours: int
    time_zone: ZoneInfo
    estimate_unit: str
    database_pool_size: int
    request_statement_seconds: int
    max_running_requests_per_user: int
    max_body_bytes: int
    max_upload_bytes: int
    trusted_proxy_hops: int
    cors_origins: tuple[str, ...]
    log_level: str
    rate_limits: RateLimits
    csv_limits: CsvLimits
    task_log_retention_days: int
    metrics_dir: Path | None
    metrics_token: str | None = field(repr=False)
    drain_seconds: float
    alive_file: Path | None
    watched_dir: Path | None
    release_commit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """The settings of `python main.py`, which starts everything on one machine."""

    host: str
    port: int
    data_dir: Path
    api_processes: int
    worker_processes: int
    admin_username: str
    admin_email: str
    admin_password: str | None = field(repr=False)
    database_url: str | None = field(repr=False)
    redis_url: str | None = field(repr=False)
    celery_broker_url: str | None = field(repr=False)
    jwt_secret_key: str | None = field(repr=False)


def read_settings() -> Settings:
    env = Env(eager=False)
    environment = env.str("ENVIRONMENT", "development", validate=validate.OneOf(["development", "production"]))
    redis_url = env.str("REDIS_URL", validate=validate.Length(min=1))
    settings = Settings(
        environment=environment,
        database_url=psycopg2_url(env.str("DATABASE_URL", validate=validate.Length(min=1)) or ""),
        redis_url=redis_url,
        celery_broker_url=env.str("CELERY_BROKER_URL", None) or redis_url,
        jwt_secret_key=env.str("JWT_SECRET_KEY", validate=_secret_for(environment)),
        jwt_previous_secret_keys=_secrets(env, "JWT_PREVIOUS_SECRET_KEYS", environment),
        access_token_minutes=env.int("ACCESS_TOKEN_MINUTES", 15, validate=validate.Range(1, 24 * 60)),
        classic_token_minutes=env.int("CLASSIC_TOKEN_MINUTES", 60, validate=validate.Range(1, 24 * 60)),
        session_days=env.int("SESSION_DAYS", 30, validate=validate.Range(1, 365)),
        self_registration_enabled=env.bool("SELF_REGISTRATION_ENABLED", environment != "production"),
        require_if_match=env.bool("REQUIRE_IF_MATCH", False),
        password_min_length=env.int("PASSWORD_MIN_LENGTH", 12, validate=validate.Range(8, 128)),
        password_reset_hours=env.int("PASSWORD_RESET_HOURS", 24, validate=validate.Range(1, 7 * 24)),
        time_zone=ZoneInfo(env.str("TIME_ZONE", "UTC", validate=_known_time_zone) or "UTC"),
        estimate_unit=env.str("ESTIMATE_UNIT", "points", validate=validate.OneOf(ESTIMATE_UNITS)) or "points",
        database_pool_size=env.int("DATABASE_POOL_SIZE", 10, validate=validate.Range(1, 200)),
        request_statement_seconds=env.int("REQUEST_STATEMENT_SECONDS", 10, validate=validate.Range(1, 60)),
        max_running_requests_per_user=env.int("MAX_RUNNING_REQUESTS_PER_USER", 4, validate=validate.Range(1, 200)),
        max_body_bytes=env.int("MAX_BODY_BYTES", 1024 * 1024, validate=validate.Range(min=1024)),
        max_upload_bytes=env.int("MAX_UPLOAD_BYTES", 256 * 1024 * 1024, validate=validate.Range(min=1024)),
        trusted_proxy_hops=env.int("TRUSTED_PROXY_HOPS", 0, validate=validate.Range(0, 10)),
        cors_origins=_separated(env.str("CORS_ORIGINS", "", validate=_are_origins) or ""),
        task_log_retention_days=env.int("TASK_LOG_RETENTION_DAYS", 0, validate=validate.Range(min=0)),
        log_level=(env.str("LOG_LEVEL", "INFO", validate=_known_log_level) or "INFO").upper(),
        metrics_dir=_optional_path(env, "PROMETHEUS_MULTIPROC_DIR"),
        metrics_token=env.str("METRICS_TOKEN", None, validate=_optional(_secret_for(environment))) or None,
        drain_seconds=env.float("DRAIN_SECONDS", 5.0, validate=validate.Range(0, MAX_DRAIN_SECONDS)),
        alive_file=_optional_path(env, "ALIVE_FILE"),
        watched_dir=_optional_path(env, "WATCHED_DIR"),
        release_commit=env.str("RELEASE_COMMIT", None, validate=_optional(_git_commit)) or None,
        rate_limits=RateLimits(
            enabled=env.bool("RATE_LIMIT_ENABLED", True),
            default=_rate_limit(env, "RATE_LIMIT_DEFAULT", "600/minute"),
            login=_rate_limit(env, "RATE_LIMIT_LOGIN", "5/minute"),
            tasks=_rate_limit(env, "RATE_LIMIT_TASKS", "60/minute"),
            upload=_rate_limit(env, "RATE_LIMIT_UPLOAD", "10/hour"),
        ),
        csv_limits=CsvLimits(
            rows=env.int("CSV_MAX_ROWS", 1_000_000, validate=validate.Range(min=1)),
            columns=env.int("CSV_MAX_COLUMNS", 500, validate=validate.Range(min=1)),
            cell_characters=env.int("CSV_MAX_CELL_CHARACTERS", 100_000, validate=validate.Range(1, 1_000_000)),
        ),
    )
    _seal(env)
    return settings


def read_launch_settings() -> LaunchSettings:
    env = Env(eager=False)
    settings = LaunchSettings(
        host=env.str("HOST", "127.0.0.1"),
        port=env.int("PORT", 8000, validate=validate.Range(1, 65535)),
        data_dir=Path(env.str("DATA_DIR", ".data") or ".data").expanduser().resolve(),
        api_processes=env.int("API_PROCESSES", 2, validate=validate.Range(1, 64)),
        worker_processes=env.int("WORKER_PROCESSES", 2, validate=validate.Range(1, 64)),
        admin_username=env.str("ADMIN_USERNAME", "admin"),
        admin_email=env.str("ADMIN_EMAIL", "admin@localhost.localdomain"),
        admin_password=env.str("ADMIN_PASSWORD", None) or None,
        database_url=env.str("DATABASE_URL", None) or None,
        redis_url=env.str("REDIS_URL", None) or None,
        celery_broker_url=env.str("CELERY_BROKER_URL", None) or None,
        jwt_secret_key=env.str("JWT_SECRET_KEY", None) or None,
    )
    _seal(env)
    return settings


def read_env_file_path() -> Path | None:
    """The file that completes the environment of `python main.py`; None if no file may."""
    env = Env()
    name = env.str("ENV_FILE", ".env")
    return Path(name).absolute() if name else None


def _seal(env: Env) -> None:
    try:
        env.seal()
    except EnvValidationError as error:
        if not isinstance(error.error_messages, Mapping):
            raise
        problems = {name: " ".join(map(str, messages)) for name, messages in error.error_messages.items()}
        raise SettingsError(problems) from None


def _optional_path(env: Env, name: str) -> Path | None:
    text = env.str(name, None)
    return Path(text) if text else None


def _secrets(env: Env, name: str, environment: str | None) -> tuple[str, ...]:
    """Secrets that are separated by commas."""
    text = env.str(name, "", validate=lambda text: [_secret_for(environment)(each) for each in _separated(text)])
    return _separated(text or "")


def _separated(text: str) -> tuple[str, ...]:
    return tuple(each for part in text.split(",") if (each := part.strip()))


def _rate_limit(env: Env, name: str, default: str) -> RateLimit:
    text = env.str(name, default, validate=_parses_as_rate_limit) or default
    try:
        return RateLimit.parse(text)
    except ValueError:
        return RateLimit.parse(default)  # the problem is already noted, and _seal() raises it with the others


def _parses_as_rate_limit(text: str) -> None:
    try:
        RateLimit.parse(text)
    except ValueError:
        raise ValidationError('is not a rate limit such as "5/minute"') from None


def _known_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError("is not an IANA time zone such as Europe/Berlin")


def _known_log_level(name: str) -> None:
    if name.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValidationError("is not one of DEBUG, INFO, WARNING, ERROR, CRITICAL")


def _are_origins(text: str) -> None:
    origins = _separated(text)
    if origins != (ANY_ORIGIN,) and not all(map(_is_origin, origins)):
        raise ValidationError(
            "is not a list of origins as browsers send them, such as https://tasks.example.org,http://localhost:3000, "
            "and not * alone"
        )


def _is_origin(text: str) -> bool:
    """True for a text that a browser may send as Origin: in lower case, without a path, without the usual port."""
    match = ORIGIN.fullmatch(text)
    return match is not None and match["port"] != USUAL_PORTS[match["scheme"]] and int(match["port"] or 1) < 2**16


def _git_commit(text: str) -> None:
    if not re.fullmatch("[0-9a-f]{7,64}", text):
        raise ValidationError("is not the hexadecimal id of a commit")


def _optional(validator: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: validator(text) if text else None


class _secret_for:  # noqa: N801 - used like a function
    def __init__(self, environment: str | None) -> None:
        self._environment = environment

    def __call__(self, secret: str) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValidationError(f"is shorter than {MIN_SECRET_BYTES} bytes")
        if self._environment == "production" and any(word in secret.lower() for word in PLACEHOLDER_WORDS):
            raise ValidationError("is a placeholder; production needs a secret of its own")


def psycopg2_url(url: str) -> str:
    """Name psycopg2 in the URL. SQLAlchemy 2.1 takes postgresql:// for psycopg 3 and does not know postgres://."""
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg2://" + url.removeprefix(scheme)
    return url
