"""The migrations of this release, and the newest one that a database has."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def applied_migration(connection: Connection) -> str | None:
    """The newest migration that was applied to the database; None if it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def alembic_config() -> Config:
    """Alembic's configuration, independent of the working directory."""
    return Config(Path(__file__).resolve().parents[2] / "alembic.ini")


@cache
def known_migrations() -> tuple[str, ...]:
    """The migrations of this release, newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())
