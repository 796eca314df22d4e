"""The task fields that an import may change, each with its value in the batch, its value in a task, and its update."""

from dataclasses import dataclass

from app.models.tasks.fields import IMPORTED_COLUMNS, UPDATED


@dataclass(frozen=True, slots=True)
class UpdatableField:
    """SQL expressions: `b` is a row of import_batch, `t` a row of tasks, `u` the task's assignee in users."""

    name: str
    in_batch: str
    in_task: str
    # The SET clause that takes the field over from the batch.
    setter: str


# The task's own times come first. It is not completed before it was created or started, nor in the future, and not
# started after it was completed. PostgreSQL's least and greatest pass over null.
_COMPLETED_AT = """
    CASE WHEN b.status IN ('done', 'cancelled') THEN
         coalesce(t.completed_at,
                  CASE WHEN b.completed_at IS NOT NULL
                       THEN least(greatest(b.completed_at, t.created_at, t.started_at), :now) END,
                  :now)
    END
"""
_STATUS_SETTER = f"""status = b.status,
    started_at = coalesce(t.started_at,
                          CASE WHEN b.started_at IS NOT NULL THEN least(b.started_at, {_COMPLETED_AT}, :now)
                               WHEN b.status = 'in_progress' THEN :now END),
    completed_at = {_COMPLETED_AT}"""
# Every other field is compared with its column and copied to it.
_SPECIAL_FIELDS = {
    "status": UpdatableField("status", "b.status", "t.status", _STATUS_SETTER),
    # Compared by name: a file that is only checked creates no users, so an assignee may have no id yet.
    "assignee": UpdatableField("assignee", "b.assignee_name", "lower(u.username)", "assignee_id = b.assignee_id"),
}


def _plain_field(name: str) -> UpdatableField:
    column = IMPORTED_COLUMNS[name]
    return UpdatableField(name, f"b.{column}", f"t.{column}", f"{column} = b.{column}")


UPDATABLE_FIELDS = tuple(_SPECIAL_FIELDS.get(name) or _plain_field(name) for name in UPDATED)


def updatable_fields(columns: frozenset[str]) -> list[UpdatableField]:
    """The fields that a file with these columns may change, in the order of the table above."""
    return [field for field in UPDATABLE_FIELDS if field.name in columns]
