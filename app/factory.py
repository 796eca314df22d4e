"""Where everything meets: the Flask app of the api, and the Celery app of worker and beat."""

import signal
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init
from flask import Flask
from limits.storage import MemoryStorage
from werkzeug.middleware.proxy_fix import ProxyFix

from app.composition.resources import Resources
from app.composition.services import serving
from app.csv_files.blocks import allow_long_cells
from app.database.deadlines import Deadlines
from app.database.engine import JOB_TIMEOUTS, STATEMENT_GRACE_SECONDS
from app.http.admission import Admission, init_body_reception, init_permits
from app.http.bodies import init_bodies
from app.http.cors import init_cors
from app.http.description import init_spec_route
from app.http.draining import Draining, init_draining
from app.http.error_handlers import init_error_handlers
from app.http.identity.access import init_credentials
from app.http.identity.api_token import ApiTokens
from app.http.identity.bearer import make_bearer_tokens
from app.http.metrics import init_metrics
from app.http.openapi import init_openapi
from app.http.rate_limits import init_rate_limits
from app.http.request_ids import init_request_ids
from app.http.response_headers import init_response_headers
from app.http.responses import init_json, init_preconditions
from app.http.running_requests import RunningRequests, init_running_requests
from app.http.slow_clients import SlowClients
from app.http.steps import Exchange, Steps
from app.job_queue import CeleryJobQueue, JobQueue
from app.jobs import daily_log as daily_log_jobs
from app.jobs import events as event_jobs
from app.jobs import health as health_jobs
from app.jobs import idempotency as idempotency_jobs
from app.jobs import imports as import_jobs
from app.jobs import login as login_jobs
from app.jobs import tasks as task_jobs
from app.jobs.celery_app import make_celery
from app.jobs.observed import name_jobs_in_the_log, serve_each_job, watch_beat, watch_worker
from app.log_lines import init_logging
from app.memory import give_memory_back
from app.metrics import Metrics
from app.release import VERSION
from app.routes import classic, comments, daily_log, events, health, imports, login, people, projects, reports, views
from app.routes.tasks import board, bulk, order, tasks
from app.schemas.classic import CLASSIC_NAMES
from app.settings import Settings, read_settings
from app.web import documentation

BLUEPRINTS = (
    *(login, people, projects, tasks, board, order, bulk, comments, views),
    *(daily_log, reports, imports, events, classic, health),
)


def create_app(
    settings: Settings | None = None, *, resources: Resources | None = None, job_queue: JobQueue | None = None
) -> Flask:
    settings = settings or read_settings()
    init_logging(settings.log_level)
    allow_long_cells()
    if resources is None:
        job_queue = job_queue or CeleryJobQueue(make_celery(settings))
        resources = Resources(settings, job_queue=job_queue, metrics=Metrics(settings.metrics_dir))
    app = _App("app", static_folder=None)
    start_afresh(app, settings, resources)
    app.config["CLASSIC_TOKEN_MINUTES"] = settings.classic_token_minutes
    app.config["RELEASE"] = {
        "version": VERSION,
        "commit": settings.release_commit,
        "estimate_unit": settings.estimate_unit,
    }
    app.url_map.strict_slashes = False
    if settings.trusted_proxy_hops:
        hops = settings.trusted_proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    init_json(app)
    init_preconditions(app, settings)
    steps = Steps(app)
    init_request_ids(steps)
    init_metrics(app, steps)
    init_draining(app, steps)
    init_body_reception(steps, settings)
    init_credentials(steps)
    init_running_requests(app, steps, settings)
    init_permits(steps)
    init_rate_limits(app, steps, settings)
    _serve_each_request(app, steps)
    api = init_openapi(app)
    for module in BLUEPRINTS:
        api.register_blueprint(module.blueprint)
    app.register_blueprint(documentation.blueprint)
    init_spec_route(app, api, classic_blueprint=classic.blueprint.name)
    init_bodies(app, steps, settings)
    init_error_handlers(app, classic_blueprint=classic.blueprint.name, classic_names=CLASSIC_NAMES)
    init_cors(app, settings)
    init_response_headers(app)
    return app


class _App(Flask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Flask asks before each call whether the function is a coroutine. None of ours is."""
        return func


def start_afresh(app: Flask, settings: Settings, resources: Resources) -> None:
    """Give the app its resources, and forget everything that earlier requests left in this process."""
    app.extensions["resources"] = resources
    app.extensions["draining"] = Draining()
    app.extensions["admission"] = Admission(settings)
    app.extensions["running_requests"] = RunningRequests(settings.max_running_requests_per_user)
    app.extensions["bearer_tokens"] = make_bearer_tokens(settings)
    app.extensions["api_tokens"] = ApiTokens()
    # Counts for the rate limits while Redis is unavailable.
    app.extensions["request_counts"] = MemoryStorage()


def create_served_app() -> Flask:
    """Create the app of one server process. SIGUSR1 says that the process is about to stop."""
    settings = read_settings()
    app = create_app(settings)
    draining: Draining = app.extensions["draining"]
    signal.signal(signal.SIGUSR1, lambda *_: draining.begin(settings.drain_seconds))
    admission: Admission = app.extensions["admission"]
    SlowClients(admission.oldest_seconds).start()
    resources: Resources = app.extensions["resources"]
    longest_seconds = settings.request_statement_seconds + STATEMENT_GRACE_SECONDS
    Deadlines(resources.engine, longest_seconds=longest_seconds).start()
    give_memory_back()
    return app


def create_celery(settings: Settings | None = None) -> Celery:
    """Create the Celery app of worker and beat."""
    settings = settings or read_settings()
    allow_long_cells()
    celery_app = make_celery(settings)
    resources = Resources(settings, job_queue=CeleryJobQueue(celery_app), timeouts=JOB_TIMEOUTS)
    serve_each_job(celery_app, resources)
    for module in (login_jobs, idempotency_jobs, task_jobs, daily_log_jobs, import_jobs, event_jobs, health_jobs):
        module.register(celery_app)
    name_jobs_in_the_log()
    watch_worker(resources)
    watch_beat(resources)
    give_memory_back()

    @worker_process_init.connect(weak=False)
    def forget_inherited_connections(**_kwargs: Any) -> None:
        resources.after_fork()

    @setup_logging.connect(weak=False)
    def configure_logging(**_kwargs: Any) -> None:
        init_logging(settings.log_level)

    return celery_app


def _serve_each_request(app: Flask, steps: Steps) -> None:
    @steps.before
    def open_services(exchange: Exchange) -> None:
        resources: Resources = app.extensions["resources"]
        g = exchange.g
        g.services = serving(resources, request_id=g.request_id, glance=g.get("glance")).__enter__()

    @steps.end
    def close_services(exchange: Exchange) -> None:
        if "services" in exchange.g:
            exchange.g.pop("services").__exit__()
