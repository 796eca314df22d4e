"""A clock at noon, and a task that is logged."""

from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture
def clock(clock):
    """The clock stands at noon, so a test that moves it by hours stays within a known day."""
    clock.now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return clock


@pytest.fixture
def task(factories, clock):
    recorded_at = clock() - timedelta(hours=1)
    return factories.Task(title="Water the plants", description="Not too much", revised_at=recorded_at)


@pytest.fixture
def log(as_admin, services):
    """Log today, and return the rows as an admin sees them."""

    def log_today():
        as_admin.post("/log-tasks")
        services.daily_log.log_due_days()
        return as_admin.get("/tasks?per_page=200").json["tasks"]

    return log_today
