"""What a new tracker needs before anybody can use it: the tables, and one admin."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from marshmallow import ValidationError
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import OperationalError

from app.composition import Parts, serving
from app.database.engine import JOB_TIMEOUTS, make_engine
from app.database.migrations import alembic_config, applied_migration, known_migrations
from app.errors import TaskTrackerError
from app.job_queue import JobName
from app.local.data_dir import write_private
from app.local.errors import StartError
from app.schemas.users import UserInput
from app.settings import LaunchSettings, Settings


@dataclass(frozen=True, slots=True)
class Admin:
    """`new_password` is one that was made up and that nobody has seen yet."""

    username: str
    new_password: str | None
    is_new: bool


class NoJobs:
    """Nothing that is done here wakes a worker: none runs yet, and beat's first tick finds what there is to do."""

    def enqueue(self, name: JobName, *, request_id: str | None = None) -> None:
        pass

    def count_waiting(self) -> int | None:
        return None


def migrate(settings: Settings) -> None:
    """Bring the database to this release's schema; one that is ahead of it stays so.

    So an older release starts again on the schema of the next, with which it works.
    """
    config = alembic_config()
    engine = make_engine(settings.database_url, pool_size=1, timeouts=JOB_TIMEOUTS)
    try:
        with engine.connect() as connection:
            if not _is_ahead(connection):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except OperationalError:
        raise StartError("the database of DATABASE_URL does not answer") from None
    except CommandError as error:
        raise StartError(f"the database cannot be brought up to date: {error}") from None
    finally:
        engine.dispose()


def _is_ahead(connection: Connection) -> bool:
    """Of a database that is ours: what another application's migrations are called, nobody here knows either."""
    applied = applied_migration(connection)
    is_ours = inspect(connection).has_table("record_boundary")
    # No transaction stays open: a build of an index by somebody else would wait for it.
    connection.rollback()
    return is_ours and applied is not None and applied not in known_migrations()


def ensure_admin(settings: Settings, launch: LaunchSettings, *, unshown: Path | None = None) -> Admin:
    """Make the first admin where there is none. An existing one keeps its password, whatever ADMIN_PASSWORD says.

    A password that is made up waits in the file `unshown` until the caller has shown it and removes the file: a start
    that is cut off before must not lock everybody out.
    """
    parts = Parts(settings, job_queue=NoJobs())
    with serving(parts) as services:
        try:
            if services.users.has_admin():
                waiting = unshown.read_text() if unshown is not None and unshown.exists() else None
                return Admin(launch.admin_username, waiting, is_new=False)
            password = launch.admin_password or secrets.token_urlsafe(12)
            if unshown is not None and launch.admin_password is None:
                write_private(unshown, password)
            wanted = {"username": launch.admin_username, "email": launch.admin_email, "password": password}
            _ensure_good(wanted)
            is_new = services.users.create_first_admin(**wanted)
        except TaskTrackerError as error:
            raise StartError(f"the first admin cannot be made: {error.detail}") from None
        finally:
            services.close()
            parts.engine.dispose()
    made_up = password if is_new and launch.admin_password is None else None
    return Admin(launch.admin_username, made_up, is_new=is_new)


def _ensure_good(wanted: dict[str, str]) -> None:
    """The first admin keeps the rules that every later user keeps."""
    try:
        UserInput().load({**wanted, "role": "admin"})
    except ValidationError as error:
        problems = "; ".join(f"ADMIN_{name.upper()}: {' '.join(words)}" for name, words in error.messages_dict.items())
        raise StartError(f"the first admin cannot be made: {problems}") from None
