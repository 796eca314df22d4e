"""/api/v1/views: lists of tasks that users save under a name, share and pin."""

from typing import Any

from flask import Response

from app.auth.permissions import Permission
from app.composition.services import services
from app.errors import TooManyPinsError, TooManyViewsError
from app.http.identity.access import current_actor, requires
from app.http.openapi import LOCATION, Blueprint, raises, versioned
from app.http.responses import no_content, page_response, precondition, versioned_response
from app.schemas.views import PinsInput, View, ViewInput, ViewListQuery, ViewPage, ViewPatch
from app.services.views import ViewChanges

blueprint = Blueprint("views", __name__, url_prefix="/api/v1/views", description="Saved views")


@blueprint.get("")
@requires(Permission.VIEW_READ)
@blueprint.arguments(ViewListQuery, location="query")
@blueprint.response(200, ViewPage)
def list_views(query: dict[str, Any]) -> Response:
    """List the views that you can see: your own, those of your projects, and those that everybody sees.

    With `pinned=true`, it lists those that you have pinned, in their order.
    """
    return page_response(services().saved_views.list_page(current_actor(), **query))


@blueprint.post("")
@requires(Permission.VIEW_OWN)
@blueprint.arguments(ViewInput)
@blueprint.response(201, View, headers=LOCATION)
@raises(TooManyViewsError)
@versioned
def create_view(values: ViewChanges) -> Response:
    """Save a view. Open it with `GET /api/v1/tasks?view=…`.

    A private view is seen by you alone. Members share views with their project, and managers and admins share them
    with everybody. `me` in a filter means whoever opens the view. A user has at most 500 views.
    """
    view = services().saved_views.create(current_actor(), values)
    return versioned_response(view, 201, {"Location": f"/api/v1/views/{view.id}"})


@blueprint.get("/<id:view_id>")
@requires(Permission.VIEW_READ)
@blueprint.response(200, View)
@versioned
def show_view(view_id: int) -> Response:
    """Show a view."""
    return versioned_response(services().saved_views.get(current_actor(), view_id))


@blueprint.patch("/<id:view_id>")
@requires(Permission.VIEW_OWN)
@blueprint.arguments(ViewPatch)
@blueprint.response(200, View)
@versioned
def change_view(values: ViewChanges, view_id: int) -> Response:
    """Change a view. Its owner may, and managers of the project that it is shared with, and admins.

    Only its owner makes a view private. A view of a project that you have left is no longer yours to change.
    """
    views = services().saved_views
    return versioned_response(views.change(current_actor(), view_id, values, may_overwrite=precondition()))


@blueprint.delete("/<id:view_id>")
@requires(Permission.VIEW_OWN)
@blueprint.response(204)
@versioned
def delete_view(view_id: int) -> Response:
    """Delete a view for good. Whoever may change it may delete it."""
    services().saved_views.delete(current_actor(), view_id, may_overwrite=precondition())
    return no_content()


@blueprint.put("/<id:view_id>/pin")
@requires(Permission.VIEW_OWN)
@blueprint.response(204)
@raises(TooManyPinsError)
def pin_view(view_id: int) -> Response:
    """Pin a view after those that you have pinned before, up to 50. Pinning it again changes nothing."""
    services().saved_views.pin(current_actor(), view_id)
    return no_content()


@blueprint.delete("/<id:view_id>/pin")
@requires(Permission.VIEW_OWN)
@blueprint.response(204)
def unpin_view(view_id: int) -> Response:
    """Unpin a view. Unpinning a view that is not pinned is no error."""
    services().saved_views.unpin(current_actor(), view_id)
    return no_content()


@blueprint.put("/pins")
@requires(Permission.VIEW_OWN)
@blueprint.arguments(PinsInput)
@blueprint.response(204)
def replace_pins(values: dict[str, Any]) -> Response:
    """Set which views you have pinned, and their order: all ids at once."""
    services().saved_views.replace_pins(current_actor(), values["views"])
    return no_content()
