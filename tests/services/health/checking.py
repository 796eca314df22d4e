"""Two migrations that a database may have, and a list of the failed checks of health."""

from app.database.migrations import known_migrations

NEWEST, OLDER, *_ = known_migrations()


def failed_checks(service):
    return {check.name: check.reason for check in service.check() if not check.ok}
