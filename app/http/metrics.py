"""Each request counted and told of in the log, and all that is counted and measured, in Prometheus's words."""

import hmac
import logging
import time
from collections.abc import Iterator
from http import HTTPMethod

from flask import Flask, Response, current_app, g, request
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from app.composition import Parts
from app.errors import UnauthenticatedError
from app.services.health import Figures, Work

logger = logging.getLogger("tasktrackerpro.requests")

METHODS = frozenset(HTTPMethod)
# What nobody routed may be anything: each raw path would be a time series of its own.
UNMATCHED = "unmatched"
# Asked for every few seconds by machines; their answers go without a line.
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class ScrapeTokenError(UnauthenticatedError):
    code = "scrape_token_wrong"


def init_metrics(app: Flask, parts: Parts) -> None:
    """Before every other hook: what the others do is part of the time, and what they answer is the answer."""
    metrics = parts.metrics

    @app.before_request
    def look_at_the_clock() -> None:
        g.began_at = time.perf_counter()

    @app.after_request
    def count_request(response: Response) -> Response:
        seconds = time.perf_counter() - g.began_at
        route = request.url_rule.rule if request.url_rule is not None else UNMATCHED
        method = request.method if request.method in METHODS else "OTHER"
        metrics.requests.labels(method, route, str(response.status_code)).inc()
        metrics.request_seconds.labels(method, route).observe(seconds)
        if route not in QUIET:
            told = {
                "method": request.method,
                "path": request.path,
                "route": route,
                "status": response.status_code,
                "duration_ms": round(seconds * 1000, 1),
                "address": request.remote_addr,
                "user_id": g.actor.user_id if "actor" in g else None,
            }
            logger.info("request", extra=told)
        return response


def ensure_may_scrape() -> None:
    """Where METRICS_TOKEN is set, only who brings it. Raises ScrapeTokenError."""
    parts: Parts = current_app.extensions["parts"]
    wanted = parts.settings.metrics_token
    if wanted is None:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise ScrapeTokenError("/metrics needs the token of METRICS_TOKEN as `Authorization: Bearer …`")


def metrics_response(figures: Figures) -> Response:
    """In OpenMetrics or the older text format, as the scraper likes it."""
    parts: Parts = current_app.extensions["parts"]
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(parts.metrics.registry(_families(figures))), content_type=content_type)


def _families(figures: Figures) -> Iterator[Metric]:
    """What is so for the whole tracker, whichever api is asked."""
    up = GaugeMetricFamily("tasktrackerpro_up", "Whether what is needed answers, works or was seen", labels=["check"])
    for check in figures.checks:
        up.add_metric([check.name.value], float(check.ok))
    yield up
    if figures.queue_length is not None:
        yield GaugeMetricFamily(
            "tasktrackerpro_job_queue_length", "Jobs that no worker has taken yet", figures.queue_length
        )
    if figures.work is not None:
        yield from _families_of_work(figures.work)


def _families_of_work(work: Work) -> Iterator[Metric]:
    jobs = CounterMetricFamily("tasktrackerpro_jobs", "Jobs that ended", labels=["name", "result"])
    seconds = CounterMetricFamily(
        "tasktrackerpro_job_seconds", "What jobs took, all of a kind together", labels=["name", "result"]
    )
    for counted in work.job_counts:
        jobs.add_metric([counted.job, counted.result.value], counted.count)
        seconds.add_metric([counted.job, counted.result.value], counted.seconds)
    yield jobs
    yield seconds

    rows = CounterMetricFamily("tasktrackerpro_import_rows", "Rows of CSV files, by their fate", labels=["result"])
    for result in ("created", "updated", "skipped", "refused"):
        rows.add_metric([result], getattr(work.import_rows, result))
    yield rows
    imports = GaugeMetricFamily("tasktrackerpro_imports", "Imports that are not done yet", labels=["state"])
    for state, count in work.unfinished_imports.items():
        imports.add_metric([state.value], count)
    yield imports

    seen = GaugeMetricFamily(
        "tasktrackerpro_part_last_seen_timestamp_seconds", "When a part last did its work", labels=["part"]
    )
    for part, sighting in work.sightings.items():
        seen.add_metric([part.value], sighting.at.timestamp())
    yield seen
    if work.logged_until is not None:
        yield GaugeMetricFamily(
            "tasktrackerpro_logged_until_timestamp_seconds",
            "The end of the newest day that is logged for good",
            work.logged_until.timestamp(),
        )
