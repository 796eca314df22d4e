"""How requests are counted and logged, and how Prometheus reads the counts."""

import hmac
import logging
import time
from collections.abc import Iterable
from http import HTTPMethod

from flask import Flask, Response, current_app, request
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from app.composition.resources import Resources
from app.errors import UnauthenticatedError
from app.http.client_address import client_address
from app.http.steps import Exchange, Steps

logger = logging.getLogger("tasktrackerpro.requests")

METHODS = frozenset(HTTPMethod)
# A path may be long; the log keeps this much of it.
MAX_LOGGED_CHARACTERS = 500
# Paths that match no route count as one, because each raw path would be a time series of its own.
UNMATCHED = "unmatched"
# Machines request these every few seconds, so their requests are not logged.
UNLOGGED_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})


class ScrapeTokenError(UnauthenticatedError):
    code = "scrape_token_wrong"


def init_metrics(app: Flask, steps: Steps) -> None:
    """Call it before hooks that take time are registered: the time includes theirs, and the status is the final one."""

    @steps.before
    def start_timer(exchange: Exchange) -> None:
        exchange.g.began_at = time.perf_counter()

    @steps.after
    def count_request(exchange: Exchange, response: Response) -> None:
        seconds = time.perf_counter() - exchange.g.began_at
        request = exchange.request
        route = request.url_rule.rule if request.url_rule is not None else UNMATCHED
        method = request.method if request.method in METHODS else "OTHER"
        resources: Resources = app.extensions["resources"]
        resources.metrics.count_request(method, route, response.status_code, seconds)
        if route not in UNLOGGED_ROUTES and logger.isEnabledFor(logging.INFO):
            fields = {
                "method": request.method,
                "path": request.path[:MAX_LOGGED_CHARACTERS],
                "route": route,
                "status": response.status_code,
                "duration_ms": round(seconds * 1000, 1),
                "address": client_address(),
                "user_id": exchange.g.actor.user_id if "actor" in exchange.g else None,
            }
            if "actor" in exchange.g and exchange.g.actor.token_id is not None:
                fields["token_id"] = exchange.g.actor.token_id
            logger.info("request", extra=fields)


def ensure_may_scrape() -> None:
    """Raises ScrapeTokenError if METRICS_TOKEN is set and the request does not carry it."""
    scrape_token = _resources().settings.metrics_token
    if scrape_token is None:
        return
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), scrape_token.encode()):
        raise ScrapeTokenError("/metrics needs the token of METRICS_TOKEN as `Authorization: Bearer …`")


def metrics_response(measured: Iterable[Metric]) -> Response:
    """The api's own metrics and `measured`, in OpenMetrics or the older text format as the scraper prefers."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(_resources().metrics.registry(measured)), content_type=content_type)


def _resources() -> Resources:
    resources: Resources = current_app.extensions["resources"]
    return resources
