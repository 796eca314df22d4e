"""How many requests a client may make: counted in Redis, or in each process alone while Redis is unavailable.

The requests of a window are counted from its first request on (a fixed window). The round trip that counts a request
also fetches what the cache needs, so a request asks Redis once.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g
from limits.storage import MemoryStorage

from app.auth.networks import network_of
from app.cache import Count, Window
from app.composition.resources import Resources
from app.errors import TooManyRequestsError
from app.http.client_address import client_address
from app.http.identity.access import Credential
from app.http.steps import Exchange, Steps
from app.settings import RateLimit, RateLimits, Settings

View = TypeVar("View", bound=Callable[..., Any])

EXEMPT_PATHS = frozenset({"/healthz", "/readyz"})


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


def limited_unless(is_exempt: Callable[..., bool], name: LimitName) -> Callable[[View], View]:
    """Limit a route by what its arguments say. Put it below them; `is_exempt` gets them as the view does.

    Until then only the limit that all requests share counts.
    """

    def limit(view: View) -> View:
        @wraps(view)
        def limited_view(*args: Any, **kwargs: Any) -> Any:
            if not is_exempt(*args, **kwargs):
                _count_late(name)
            return view(*args, **kwargs)

        return limited_view  # type: ignore[return-value]

    return limit


@dataclass(frozen=True, slots=True)
class Standing:
    """How a client stands with the limit that its response describes."""

    limit: RateLimit
    remaining: int
    # When the window ends, in seconds since 1970.
    reset_at: int
    wait_seconds: int


def init_rate_limits(app: Flask, steps: Steps, settings: Settings) -> None:
    """Call it before the hook that opens the services: they take over what this one has learnt from Redis.

    Call it before `init_bodies`, too: requests that are refused there count.
    """
    limits = settings.rate_limits
    if not limits.enabled:
        return

    @steps.before
    def count_request(exchange: Exchange) -> None:
        if exchange.request.path in EXEMPT_PATHS or exchange.request.endpoint == "web.static":
            return
        view = app.view_functions.get(exchange.request.endpoint or "")
        windows = _windows(limits, _client_key(exchange.g.credential), view)
        resources: Resources = app.extensions["resources"]
        exchange.g.glance = resources.cache.glance(windows)
        here: MemoryStorage = app.extensions["request_counts"]
        counts = exchange.g.glance.counts if exchange.g.glance is not None else _count_in(here, windows)
        # The last count is that of an exceeded limit, or else that of the limit of this route.
        count, window = counts[-1], windows[len(counts) - 1]
        exchange.g.standing = _standing(RateLimit(window.limit, window.seconds), count)
        if count.count > window.limit:
            raise _too_many(exchange.g.standing)

    @steps.after
    def add_headers(exchange: Exchange, _response: Response) -> None:
        """Add X-RateLimit-*, and RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers)."""
        standing: Standing | None = exchange.g.get("standing")
        if standing is not None:
            limit = standing.limit
            exchange.add_headers(
                ("X-RateLimit-Limit", str(limit.amount)),
                ("X-RateLimit-Remaining", str(standing.remaining)),
                ("X-RateLimit-Reset", str(standing.reset_at)),
                ("RateLimit-Policy", f'"default";q={limit.amount};w={limit.seconds}'),
                ("RateLimit", f'"default";r={standing.remaining};t={standing.wait_seconds}'),
            )


def _count_late(name: LimitName) -> None:
    """Count this request in a window of its own, after its arguments were read."""
    resources: Resources = current_app.extensions["resources"]
    limits = resources.settings.rate_limits
    if not limits.enabled:
        return
    window = _window(limits, name, _client_key(g.credential))
    glance = resources.cache.glance([window])
    here: MemoryStorage = current_app.extensions["request_counts"]
    (count,) = glance.counts if glance is not None else _count_in(here, [window])
    g.standing = _standing(RateLimit(window.limit, window.seconds), count)
    if count.count > window.limit:
        raise _too_many(g.standing)


def _too_many(standing: Standing) -> TooManyRequestsError:
    """A long wait is named in minutes."""
    minutes = -(-standing.wait_seconds // 60)
    advice = "wait before the next" if minutes <= 1 else f"the next is possible in {minutes} minutes"
    return TooManyRequestsError(f"too many requests; {advice}", retry_after_seconds=standing.wait_seconds)


def _windows(limits: RateLimits, client: str, view: Any) -> list[Window]:
    """The windows that a request of this client to this view counts in."""
    windows = [Window(f"rate:{client}", limits.default.seconds, limits.default.amount)]
    name: LimitName | None = getattr(view, "limit_name", None)
    if name is not None:
        windows.append(_window(limits, name, client))
    return windows


def _window(limits: RateLimits, name: LimitName, client: str) -> Window:
    limit = {LimitName.TASKS: limits.tasks, LimitName.UPLOAD: limits.upload}[name]
    return Window(f"rate:{name}:{client}", limit.seconds, limit.amount)


def _standing(limit: RateLimit, count: Count) -> Standing:
    reset_at = int(count.ends_at) + 1
    return Standing(limit, max(0, limit.amount - count.count), reset_at, int(reset_at - time.time()))


def _count_in(memory: MemoryStorage, windows: Sequence[Window]) -> list[Count]:
    """Count a request in this process alone, up to the first window whose limit is exceeded."""
    counts: list[Count] = []
    for window in windows:
        count = memory.incr(window.key, window.seconds)
        counts.append(Count(count, memory.get_expiry(window.key)))
        if count > window.limit:
            break
    return counts


def _client_key(credential: Credential | None) -> str:
    """The user of a valid token, else the network. A request with an invalid token is refused later."""
    caller = None if credential is None else credential.caller
    return caller or f"address:{network_of(client_address())}"
