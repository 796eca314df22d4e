"""Make views, and list what an actor sees."""

from app.models.views import ViewVisibility

PRIVATE, PROJECT, EVERYONE = ViewVisibility


def keep(service, actor, visibility=PRIVATE, **values):
    """Save a view with this visibility, in OPS if it is shared with a project."""
    project = {"project": "OPS"} if visibility is PROJECT else {}
    return service.create(actor, {"name": "Mine", "visibility": visibility, **project, **values})


def seen(service, actor, *, pinned=False, limit=50):
    """The ids of all views that the actor can list."""
    ids, cursor = [], None
    while True:
        page = service.list_page(actor, pinned=pinned, cursor=cursor, limit=limit)
        ids += [item["id"] for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return ids


def pins(service, actor):
    return seen(service, actor, pinned=True)
