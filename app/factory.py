"""Where everything meets: the Flask app of the api, and the Celery app of worker and beat."""

import logging
import sys
from typing import Any

import structlog
from celery import Celery, Task
from celery.signals import beat_init, setup_logging, worker_process_init, worker_ready
from flask import Flask, g
from werkzeug.middleware.proxy_fix import ProxyFix

from app.composition import Parts, serving
from app.http.authentication import init_authentication
from app.http.bodies import init_bodies
from app.http.error_handlers import init_error_handlers
from app.http.openapi import init_openapi, init_spec_route
from app.http.rate_limits import init_rate_limits
from app.http.request_ids import current_request_id, init_request_ids
from app.http.responses import init_json
from app.http.security_headers import init_security_headers
from app.job_queue import CeleryJobQueue, JobName, JobQueue
from app.jobs import authentication as authentication_jobs
from app.jobs import imports as import_jobs
from app.jobs import task_logs as task_log_jobs
from app.jobs.celery_app import make_celery
from app.routes import authentication, health, imports, projects, reports, table, task_logs, tasks, users
from app.settings import Settings, read_settings
from app.web import documentation

# Speaks at every log level: whoever starts the parts waits for what it says.
lifecycle = logging.getLogger("tasktrackerpro.lifecycle")
lifecycle.setLevel(logging.INFO)

BLUEPRINTS = (authentication, users, projects, tasks, task_logs, reports, imports, table, health)


def create_app(
    settings: Settings | None = None, *, parts: Parts | None = None, job_queue: JobQueue | None = None
) -> Flask:
    settings = settings or read_settings()
    init_logging(settings.log_level)
    parts = parts or Parts(settings, job_queue=job_queue or CeleryJobQueue(make_celery(settings)))
    app = Flask("app", static_folder=None)
    app.extensions["parts"] = parts
    app.config["TABLE_TOKEN_MINUTES"] = settings.table_token_minutes
    app.url_map.strict_slashes = False
    if settings.trusted_proxy_hops:
        hops = settings.trusted_proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    init_json(app)
    init_request_ids(app)
    _serve_each_request(app, parts)
    init_bodies(app, settings)
    init_authentication(app, settings)
    api = init_openapi(app)
    for module in BLUEPRINTS:
        api.register_blueprint(module.blueprint)
    app.register_blueprint(documentation.blueprint)
    init_spec_route(app, api, table_blueprint=table.blueprint.name)
    init_rate_limits(app, settings)
    init_error_handlers(app, table_blueprint=table.blueprint.name)
    init_security_headers(app)
    return app


def create_celery(settings: Settings | None = None) -> Celery:
    """For worker and beat."""
    settings = settings or read_settings()
    celery_app = make_celery(settings)
    parts = Parts(settings, job_queue=CeleryJobQueue(celery_app))

    class ServedTask(Task):  # type: ignore[type-arg]
        """Gives each job its services, as each request has them."""

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with serving(parts, request_id=self.request.id):
                return super().__call__(*args, **kwargs)

    # How Celery's own documentation does it; its stubs disagree.
    celery_app.Task = ServedTask  # type: ignore[misc]
    for module in (task_log_jobs, import_jobs, authentication_jobs):
        module.register(celery_app)

    @worker_process_init.connect(weak=False)
    def forget_inherited_connections(**_kwargs: Any) -> None:
        parts.after_fork()

    @worker_ready.connect(weak=False)
    def look_for_what_was_missed(**_kwargs: Any) -> None:
        lifecycle.info("worker is ready")
        # Beat's first tick comes an interval after its start; what fell due while nothing ran need not wait for it.
        parts.job_queue.enqueue(JobName.LOG_DUE_DAYS)
        parts.job_queue.enqueue(JobName.RUN_IMPORTS)

    @beat_init.connect(weak=False)
    def say_that_beat_runs(**_kwargs: Any) -> None:
        lifecycle.info("beat is ready")

    @setup_logging.connect(weak=False)
    def log_as_the_rest_does(**_kwargs: Any) -> None:
        init_logging(settings.log_level)

    return celery_app


def init_logging(level: str) -> None:
    """One JSON object a line, with the request's id. No password or token is ever given to a logger."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Says at every look at the schema how it looks.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if root.level == logging.INFO:
        # Three lines for each tick would bury what the jobs themselves have to say.
        logging.getLogger("celery").setLevel(logging.WARNING)


def _serve_each_request(app: Flask, parts: Parts) -> None:
    @app.before_request
    def open_services() -> None:
        g.serving = serving(parts, request_id=current_request_id())
        g.serving.__enter__()

    @app.teardown_request
    def close_services(_error: BaseException | None) -> None:
        if "serving" in g:
            g.pop("serving").__exit__(None, None, None)
