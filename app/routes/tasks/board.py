"""/api/v1/board: the tasks in columns by their status."""

from dataclasses import replace

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.http.identity.access import current_actor, requires
from app.http.openapi import X_CACHE, Blueprint
from app.http.responses import cache_status, envelope_of, json_response
from app.queries.pages import Total
from app.queries.tasks import BoardColumn, TaskQuery
from app.schemas.tasks.answers import Board
from app.schemas.tasks.board import BoardQuery

blueprint = Blueprint("board", __name__, url_prefix="/api/v1/board", description="Tasks in columns by their status")


@blueprint.get("")
@requires(Permission.TASK_READ)
@blueprint.arguments(BoardQuery, location="query")
@blueprint.response(200, Board, headers=X_CACHE)
def show_board(query: TaskQuery) -> Response:
    """Show the board: for each status how many tasks have it, and the first ones. `X-Cache` says if it was cached.

    It takes the filters of the task list. `project` makes it the board of that project; without it, it shows the tasks
    of all projects that you can see. `status` selects columns. A column's `next_cursor` is a cursor of
    `GET /api/v1/tasks` with the same filters, this one `status` and `sort=position`. `as_of` shows the board as it was
    at that time. Moving a task within its column makes no revision, so the order inside a past column is approximate.
    """
    query = services().saved_views.opened(current_actor(), query)
    columns, was_cached = services().board.open(current_actor(), replace(query, deleted=False))
    body = b'{"columns":[%s]}' % b",".join(map(_printed, columns))
    return json_response(body, headers={"X-Cache": cache_status(was_cached)})


def _printed(column: BoardColumn) -> bytes:
    total = column.page.total or Total(0, is_capped=False)
    page = replace(column.page, total=None)
    return envelope_of(page, status=column.status, count=total.count, count_is_capped=total.is_capped)
