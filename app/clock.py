"""What time it is, given to each service so that a test can say."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    return datetime.now(UTC)


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """In UTC, since PostgreSQL takes fewer offsets than we; without an offset the workspace's time zone is meant."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
