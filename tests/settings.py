"""The settings that tests and measurements use by default."""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from app.settings import CsvLimits, RateLimit, RateLimits, Settings
from tests import servers

UNLIMITED = RateLimit(100_000_000, 60)
CSV_LIMITS = CsvLimits(rows=100_000, columns=50, cell_characters=50_000)


def make_settings(database_url: str, redis_url: str, **changes: Any) -> Settings:
    settings = Settings(
        environment="development",
        database_url=database_url,
        redis_url=redis_url,
        celery_broker_url=servers.broker(redis_url),
        jwt_secret_key="a secret of the tests that is long enough",
        jwt_previous_secret_keys=(),
        access_token_minutes=15,
        classic_token_minutes=60,
        session_days=30,
        self_registration_enabled=True,
        require_if_match=False,
        password_min_length=12,
        password_reset_hours=24,
        time_zone=ZoneInfo("UTC"),
        estimate_unit="points",
        database_pool_size=5,
        request_statement_seconds=30,
        max_running_requests_per_user=100,
        max_body_bytes=1024 * 1024,
        max_upload_bytes=8 * 1024 * 1024,
        trusted_proxy_hops=0,
        cors_origins=(),
        log_level="WARNING",
        rate_limits=RateLimits(enabled=True, default=UNLIMITED, login=UNLIMITED, tasks=UNLIMITED, upload=UNLIMITED),
        task_log_retention_days=0,
        metrics_dir=None,
        metrics_token=None,
        drain_seconds=0.0,
        alive_file=None,
        watched_dir=None,
        release_commit=None,
        csv_limits=CSV_LIMITS,
    )
    return replace(settings, **changes)
