"""Run imports step by step."""

from datetime import UTC, datetime

from app.models.imports.task_import import DuplicatePolicy, ImportMode

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
OPTIONS = [
    {},
    {"is_dry_run": True},
    {"mode": ImportMode.ALL_OR_NOTHING},
    {"on_duplicate": DuplicatePolicy.SKIP},
    {"on_duplicate": DuplicatePolicy.UPDATE},
    {"mode": ImportMode.ALL_OR_NOTHING, "on_duplicate": DuplicatePolicy.UPDATE},
    {"is_dry_run": True, "on_duplicate": DuplicatePolicy.SKIP},
]


def take_one_step(runs, import_id, clock):
    """Claim the import and do one step of its work."""
    runs.work_on(runs.claim(import_id), until=clock())
