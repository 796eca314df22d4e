"""Two migrations that a database may have, and the checks of health that fail."""

from app.database.migrations import known_migrations

NEWEST, OLDER, *_ = known_migrations()


def wrong_with(service):
    return {check.name: check.reason for check in service.check() if not check.ok}
