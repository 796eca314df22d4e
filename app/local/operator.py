"""Who runs the tracker, at its own machine: what they may do, and how they reach its servers."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from app.auth.actor import Actor
from app.composition.resources import Resources
from app.composition.services import Services, serving
from app.errors import TaskTrackerError
from app.job_queue import CeleryJobQueue
from app.jobs.celery_app import make_celery
from app.local.data_dir import read_or_make_secrets
from app.local.errors import StartError
from app.local.servers import PostgresServer, ValkeyServer
from app.local.system_user import ServerUser
from app.models.people.user import Role
from app.settings import LaunchSettings, read_settings

# Whoever can open the database's files may read and change all of it.
OPERATOR = Actor(0, "operator", Role.ADMIN, frozenset())
MADE_UP_PASSWORD_BYTES = 12


@contextmanager
def serving_operator(launch: LaunchSettings) -> Iterator[Services]:
    """Raises StartError where there is no database to reach, and for what the services refuse."""
    os.environ.update(_way_to_servers(launch))
    settings = read_settings()
    resources = Resources(settings, job_queue=CeleryJobQueue(make_celery(settings)))
    try:
        with serving(resources) as services:
            yield services
    except TaskTrackerError as error:
        raise StartError(error.detail) from None
    finally:
        resources.engine.dispose()


def make_new_password(launch: LaunchSettings, username: str) -> str:
    """For somebody who lost theirs; ends all their sessions."""
    password = secrets.token_urlsafe(MADE_UP_PASSWORD_BYTES)
    with serving_operator(launch) as services:
        services.people.replace_password(OPERATOR, username, password)
    return password


def _way_to_servers(launch: LaunchSettings) -> dict[str, str]:
    if launch.database_url:
        return {}
    # They run already: nobody has to be made for them.
    user = ServerUser()
    postgres = PostgresServer(launch.data_dir, user)
    if postgres.running_pid() is None:
        raise StartError(f"no tracker runs in {launch.data_dir}, and DATABASE_URL names no database")
    kept = read_or_make_secrets(launch.data_dir)
    redis_url = launch.redis_url or ValkeyServer(launch.data_dir, user, kept.valkey_password).url(0)
    return {"DATABASE_URL": postgres.url, "REDIS_URL": redis_url, "JWT_SECRET_KEY": kept.jwt_secret_key}
