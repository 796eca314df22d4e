"""Which migrations there are, and which of them a database has."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def applied_migration(connection: Connection) -> str | None:
    """The newest migration that the database has."""
    return MigrationContext.configure(connection).get_current_revision()


def alembic_config() -> Config:
    """Wherever the process was started from."""
    return Config(Path(__file__).resolve().parents[2] / "alembic.ini")


@cache
def known_migrations() -> tuple[str, ...]:
    """The migrations of this release, newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())
