"""Prepares a new tracker for use: migrates the database and creates the first admin."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from marshmallow import ValidationError
from psycopg2.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from app.auth.passwords import generate_password
from app.composition.resources import Resources
from app.composition.services import serving
from app.database.engine import JOB_TIMEOUTS, make_engine
from app.database.migrations import alembic_config, applied_migration, known_migrations
from app.errors import InvalidError, TaskTrackerError
from app.job_queue import JobName
from app.local.data_dir import write_private
from app.local.errors import StartError
from app.schemas.people import UserInput
from app.settings import LaunchSettings, Settings

# Migrating is tried for this long. Each try waits a few seconds for a lock, then lets the transactions behind it pass.
LOCKED_TABLES_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Admin:
    """`new_password` is a generated password that nobody has seen yet."""

    username: str
    new_password: str | None
    is_new: bool


class NoJobs:
    """Wakes no worker: none runs yet, and each worker looks for work that is due when it starts."""

    def enqueue(self, name: JobName, *, request_id: str | None = None) -> None:
        pass

    def count_waiting(self) -> int | None:
        return None


def migrate(settings: Settings) -> None:
    """Bring the database to this release's schema. A schema that is newer stays as it is.

    An older release can therefore start again on the schema of the next release. A migration that was interrupted is
    continued.
    """
    engine = make_engine(settings.database_url, pool_size=1, timeouts=JOB_TIMEOUTS)
    give_up_at = time.monotonic() + LOCKED_TABLES_SECONDS
    try:
        while not _has_migrated(engine):
            if time.monotonic() > give_up_at:
                raise StartError(
                    "the database cannot be migrated: another transaction has kept its tables locked for "
                    f"{LOCKED_TABLES_SECONDS:.0f} s; end it (pg_stat_activity shows it) and start again"
                )
    except CommandError as error:
        raise StartError(f"the database cannot be migrated: {error}") from None
    finally:
        engine.dispose()


def _has_migrated(engine: Engine) -> bool:
    """Return False when another transaction's lock was in the way. The migrations before it are kept."""
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
        if isinstance(getattr(first, "orig", None), (LockNotAvailable, DeadlockDetected)):
            return False
        raise StartError(
            f"the migration of the database was cut off: {_first_line(first)}; completed steps are kept, and the next "
            "start continues from there"
        ) from None
    return True


def _first_error(error: BaseException) -> BaseException:
    """Alembic fails again as it leaves a lost connection. The first error is the context of that one."""
    while not isinstance(error, DBAPIError) and error.__context__ is not None:
        error = error.__context__
    return error


def _first_line(error: BaseException) -> str:
    """The first line of the message, without the statement, which may quote users' text."""
    lines = str(getattr(error, "orig", error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _is_ahead(connection: Connection) -> bool:
    """True for a database of ours with a newer schema. Another application's database has unknown migrations too."""
    applied = applied_migration(connection)
    is_ours = inspect(connection).has_table("record_boundary")
    # Leave no transaction open: a concurrent index build elsewhere would wait for it.
    connection.rollback()
    return is_ours and applied is not None and applied not in known_migrations()


def ensure_admin(settings: Settings, launch: LaunchSettings, *, unshown: Path | None = None) -> Admin:
    """Create the first admin if there is none. An existing admin keeps the password, whatever ADMIN_PASSWORD says.

    A generated password stays in the file `unshown` until the caller has shown it and removed the file. A start that is
    interrupted before that must not lock everybody out.
    """
    resources = Resources(settings, job_queue=NoJobs())
    with serving(resources) as services:
        try:
            if services.people.has_admin():
                password_to_show = unshown.read_text() if unshown is not None and unshown.exists() else None
                return Admin(launch.admin_username, password_to_show, is_new=False)
            password = launch.admin_password or generate_password(settings.password_min_length)
            if unshown is not None and launch.admin_password is None:
                write_private(unshown, password)
            account = {"username": launch.admin_username, "email": launch.admin_email, "password": password}
            _ensure_valid(account)
            is_new = services.people.create_first_admin(**account)
        except InvalidError as error:
            raise _refused({problem.pointer.strip("/"): problem.detail for problem in error.problems}) from None
        except TaskTrackerError as error:
            raise StartError(f"the first admin cannot be created: {error.detail}") from None
        finally:
            resources.engine.dispose()
    generated = password if is_new and launch.admin_password is None else None
    return Admin(launch.admin_username, generated, is_new=is_new)


def _ensure_valid(account: dict[str, str]) -> None:
    """Apply the rules for users to the first admin. Raises StartError."""
    try:
        UserInput().load({**account, "role": "admin"})
    except ValidationError as error:
        raise _refused({name: " ".join(messages) for name, messages in error.messages_dict.items()}) from None


def _refused(problems: Mapping[str, str]) -> StartError:
    named = "; ".join(f"ADMIN_{name.upper()}: {problem}" for name, problem in problems.items())
    return StartError(f"the first admin cannot be created: {named}")
