"""The operator at the tracker's own machine: what they may do, and how they reach the servers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from app.auth.actor import Actor
from app.auth.passwords import generate_password
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
from app.services.login.password_resets import MadeReset
from app.settings import LaunchSettings, read_settings

# An admin, because anybody who can open the database's files can read and change everything in it.
OPERATOR = Actor(0, "operator", Role.ADMIN, frozenset())


@contextmanager
def serving_operator(launch: LaunchSettings) -> Iterator[Services]:
    """Raises StartError when no database can be reached, and for every error that a service raises."""
    os.environ.update(_server_urls(launch))
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
    """Set a new password for a user who lost theirs. Ends all their sessions."""
    with serving_operator(launch) as services:
        password = generate_password(read_settings().password_min_length)
        services.people.replace_password(OPERATOR, username, password)
    return password


def make_password_reset(launch: LaunchSettings, username: str) -> MadeReset:
    """Make a token with which a user who forgot their password sets a new one."""
    with serving_operator(launch) as services:
        return services.password_resets.make_for_name(OPERATOR, username)


def _server_urls(launch: LaunchSettings) -> dict[str, str]:
    if launch.database_url:
        return {}
    # The servers run already, so they need no system user.
    user = ServerUser()
    postgres = PostgresServer(launch.data_dir, user)
    if postgres.running_pid() is None:
        raise StartError(f"no tracker runs on {launch.data_dir}, and DATABASE_URL is not set")
    own_secrets = read_or_make_secrets(launch.data_dir)
    redis_url = launch.redis_url or ValkeyServer(launch.data_dir, user, own_secrets.valkey_password).url(0)
    return {"DATABASE_URL": postgres.url, "REDIS_URL": redis_url, "JWT_SECRET_KEY": own_secrets.jwt_secret_key}
