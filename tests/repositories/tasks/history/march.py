"""The instants of one day at which tasks change."""

from datetime import UTC, datetime, timedelta

MORNING = datetime(2026, 3, 10, 6, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENING = datetime(2026, 3, 10, 18, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
# The driver reads `infinity` as this.
FOREVER = datetime.max.replace(tzinfo=UTC)
# The columns of a task in the order of its table; the other columns of history describe the version.
STATE = (
    "project_id, number, title, description, status, priority, labels, creator_id, assignee_id, due_at, external_ref, "
    "position, created_at, started_at, completed_at, deleted_at, version"
)
