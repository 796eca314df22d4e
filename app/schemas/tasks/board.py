"""The shape of the query of the board: the filters of a task list, but no page and no order."""

from marshmallow import RAISE, fields, validate

from app.queries.pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from app.schemas.base import Moment
from app.schemas.tasks.queries import SelectionFields, TaskFilters


class BoardQuery(TaskFilters, SelectionFields):
    class Meta:  # noqa: D106
        unknown = RAISE
        # A deleted task is on no board.
        exclude = ("deleted",)

    as_of = Moment(metadata={"description": "the board as it was at this time"})
    limit = fields.Integer(
        load_default=DEFAULT_PAGE_SIZE,
        validate=validate.Range(1, MAX_PAGE_SIZE),
        metadata={"description": "tasks per column"},
    )
