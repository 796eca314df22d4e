"""How many requests a client may make: counted in Redis, or in each process alone while Redis is unavailable."""

import time
from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Flask, Response, g, request
from flask_limiter import Limiter
from limits import RateLimitItem, WindowStats
from limits.storage import RedisStorage
from limits.strategies import STRATEGIES, FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.auth.networks import network_of
from app.cache import SOCKET_TIMEOUT_SECONDS
from app.errors import UnauthenticatedError
from app.http.client_address import client_address
from app.http.identity.access import current_credential
from app.http.metrics import UNMATCHED
from app.settings import RateLimits, Settings

View = TypeVar("View", bound=Callable[..., Any])

# Counts a request and returns the time left in its window, in one round trip. The script of `limits` returns no time.
_HIT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[2])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    left = tonumber(ARGV[1])
end
return {count, left}
"""


class CountedWindowRateLimiter(FixedWindowRateLimiter):
    """Counts in fixed windows, and keeps the count for the response's headers, so that it is not queried again."""

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        key, seconds = item.key_for(*identifiers), item.get_expiry()
        if isinstance(self.storage, RedisStorage):
            client = self.storage.get_connection()
            count, left_ms = client.register_script(_HIT.encode())(
                [self.storage.prefixed_key(key)], [seconds * 1000, cost]
            )
            reset_at = time.time() + left_ms / 1000
        else:
            count = self.storage.incr(key, seconds, amount=cost)
            reset_at = self.storage.get_expiry(key)
        g.setdefault("rate_windows", {})[key] = WindowStats(reset_at, max(0, item.amount - count))
        return bool(count <= item.amount)

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        window: WindowStats = g.rate_windows[item.key_for(*identifiers)]
        return window


class LimitName(StrEnum):
    """Limits of single routes, beside the one that all requests share. Log-ins are counted in PostgreSQL instead."""

    TASKS = "tasks"
    UPLOAD = "upload"


def limited(name: LimitName) -> Callable[[View], View]:
    """Limit a route. Routes with the same name share one count."""

    def mark(view: View) -> View:
        view.limit_name = name  # type: ignore[attr-defined]
        return view

    return mark


def init_rate_limits(app: Flask, settings: Settings) -> None:
    """Call it after the routes are registered, since marked ones get their limit here, and before `init_bodies`.

    Requests that `init_bodies` refuses count too.
    """
    limits = settings.rate_limits
    if not limits.enabled:
        return
    # flask-limiter looks a strategy up by its name.
    STRATEGIES["counted-window"] = CountedWindowRateLimiter
    limiter = Limiter(
        _client_key,
        application_limits=[str(limits.default)],
        application_limits_exempt_when=_is_exempt,
        # Unknown paths count too: scanners request little else.
        request_identifier=lambda: request.endpoint or UNMATCHED,
        storage_uri=settings.redis_url,
        # By default flask-limiter would wait forever for a Redis that accepts connections and does not answer.
        storage_options={
            "socket_timeout": SOCKET_TIMEOUT_SECONDS,  # type: ignore[dict-item]
            "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS,  # type: ignore[dict-item]
            "retry": Retry(NoBackoff(), 0),  # type: ignore[dict-item]
        },
        strategy="counted-window",
        in_memory_fallback_enabled=True,
        swallow_errors=True,
        headers_enabled=True,
        key_prefix="rate",
    )

    # Flask runs these hooks in reverse: this one is registered before the limiter's, so it sees the limiter's headers.
    @app.after_request
    def add_draft_headers(response: Response) -> Response:
        """RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers), from what X-RateLimit-* says."""
        current = limiter.current_limit
        if current is not None and "X-RateLimit-Remaining" in response.headers:
            window_seconds = current.limit.get_expiry()
            wait_seconds = response.headers.get("Retry-After", window_seconds)
            response.headers["RateLimit-Policy"] = f'"default";q={current.limit.amount};w={window_seconds}'
            remaining = response.headers["X-RateLimit-Remaining"]
            response.headers["RateLimit"] = f'"default";r={remaining};t={wait_seconds}'
            # flask-limiter sets Retry-After on every response, though only a refused client has to wait.
            if "retry_after" in g:
                response.headers["Retry-After"] = g.retry_after
            elif response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                del response.headers["Retry-After"]
        return response

    for endpoint, view in list(app.view_functions.items()):
        name: LimitName | None = getattr(view, "limit_name", None)
        if name is not None:
            limit = str(_limit_of(limits, name))
            app.view_functions[endpoint] = limiter.shared_limit(limit, scope=name.value)(view)  # type: ignore[assignment]
    limiter.init_app(app)


def _limit_of(limits: RateLimits, name: LimitName) -> object:
    return {LimitName.TASKS: limits.tasks, LimitName.UPLOAD: limits.upload}[name]


def _client_key() -> str:
    """The user of a valid token, else the network. A request with an invalid token is refused later."""
    try:
        return current_credential().caller
    except UnauthenticatedError:
        return f"address:{network_of(client_address())}"


def _is_exempt() -> bool:
    return request.path in {"/healthz", "/readyz"} or request.endpoint == "web.static"
