"""The jobs, migrations and days that the checks of health look at."""

from app.database.migrations import known_migrations
from tests.fakes import FakeJobQueue

NEWEST, OLDER, *_ = known_migrations()


class SilentJobQueue(FakeJobQueue):
    """The queue of a broker that does not answer."""

    def count_waiting(self):
        return None


def wrong_with(service):
    return {check.name: check.reason for check in service.check() if not check.ok}
