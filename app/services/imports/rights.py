"""May the owner of an import still import? Each step of an import asks again, since an import takes time."""

from app.auth.permissions import Permission, may, may_enter
from app.repositories.imports.people import Importer


def objection_to(importer: Importer, project_id: int) -> str | None:
    """Return the reason why the owner may no longer import; None if they may. Clients read the reason."""
    actor = importer.actor
    if not importer.is_active:
        return f"{actor.username} may no longer import: the account is not active"
    if not may(actor, Permission.IMPORT_CREATE):
        return f"{actor.username} may no longer import: the role is {actor.role.value}"
    if not may_enter(actor, project_id):
        return f"{actor.username} may no longer import: not a member of the project"
    if importer.is_project_archived:
        return "the project is archived"
    return None
