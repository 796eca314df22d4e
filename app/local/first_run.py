"""What a new tracker needs before anybody can use it: the tables, and one admin."""

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from marshmallow import ValidationError
from psycopg2.errors import LockNotAvailable
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from app.composition.resources import Resources
from app.composition.services import serving
from app.database.engine import JOB_TIMEOUTS, make_engine
from app.database.migrations import alembic_config, applied_migration, known_migrations
from app.errors import TaskTrackerError
from app.job_queue import JobName
from app.local.data_dir import write_private
from app.local.errors import StartError
from app.schemas.people import UserInput
from app.settings import LaunchSettings, Settings

# Each try waits a few seconds for a lock and then lets everybody pass who came later.
LOCKED_TABLES_SECONDS = 60.0


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

    So an older release starts again on the schema of the next, with which it works. A migration that was cut off is
    taken up again.
    """
    engine = make_engine(settings.database_url, pool_size=1, timeouts=JOB_TIMEOUTS)
    give_up_at = time.monotonic() + LOCKED_TABLES_SECONDS
    try:
        while not _has_migrated(engine):
            if time.monotonic() > give_up_at:
                raise StartError(
                    "the database cannot be brought up to date: a transaction of somebody else has kept its tables "
                    f"locked for {LOCKED_TABLES_SECONDS:.0f} s; end it (pg_stat_activity shows it) and start again"
                )
    except CommandError as error:
        raise StartError(f"the database cannot be brought up to date: {error}") from None
    finally:
        engine.dispose()


def _has_migrated(engine: Engine) -> bool:
    """False when somebody else's lock stood in the way; what had been done before it is kept."""
    config = alembic_config()
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise StartError(f"the database of DATABASE_URL does not answer: {_first_line(error)}") from None
    try:
        with connection:
            if not _is_ahead(connection):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except SQLAlchemyError as error:
        first = _first_error(error)
        if isinstance(getattr(first, "orig", None), LockNotAvailable):
            return False
        raise StartError(
            f"bringing the database up to date was cut off: {_first_line(first)}; what was done is kept, and the next "
            "start goes on from there"
        ) from None
    return True


def _first_error(error: BaseException) -> BaseException:
    """Alembic's way out of a lost connection fails too; what began it is the context of that."""
    while not isinstance(error, DBAPIError) and error.__context__ is not None:
        error = error.__context__
    return error


def _first_line(error: BaseException) -> str:
    """Without the statement, which may hold what people wrote."""
    lines = str(getattr(error, "orig", error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


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
    resources = Resources(settings, job_queue=NoJobs())
    with serving(resources) as services:
        try:
            if services.people.has_admin():
                waiting = unshown.read_text() if unshown is not None and unshown.exists() else None
                return Admin(launch.admin_username, waiting, is_new=False)
            password = launch.admin_password or secrets.token_urlsafe(12)
            if unshown is not None and launch.admin_password is None:
                write_private(unshown, password)
            wanted = {"username": launch.admin_username, "email": launch.admin_email, "password": password}
            _ensure_good(wanted)
            is_new = services.people.create_first_admin(**wanted)
        except TaskTrackerError as error:
            raise StartError(f"the first admin cannot be made: {error.detail}") from None
        finally:
            services.close()
            resources.engine.dispose()
    made_up = password if is_new and launch.admin_password is None else None
    return Admin(launch.admin_username, made_up, is_new=is_new)


def _ensure_good(wanted: dict[str, str]) -> None:
    """The first admin keeps the rules that every later user keeps."""
    try:
        UserInput().load({**wanted, "role": "admin"})
    except ValidationError as error:
        problems = "; ".join(f"ADMIN_{name.upper()}: {' '.join(words)}" for name, words in error.messages_dict.items())
        raise StartError(f"the first admin cannot be made: {problems}") from None
