"""May the owner of an import still import? Each step of an import asks again, since an import takes time."""

from app.auth.permissions import PERMISSIONS_OF, Permission
from app.repositories.imports.people import Importer


def objection_to(importer: Importer) -> str | None:
    """The reason why they may not; None if they may. The owner sees it, and the report on the import shows it."""
    if not importer.is_active:
        return f"{importer.username} may no longer import: the account is not active"
    if Permission.IMPORT_CREATE not in PERMISSIONS_OF[importer.role]:
        return f"{importer.username} may no longer import: the role is {importer.role.value}"
    if not importer.is_in_project:
        return f"{importer.username} may no longer import: not a member of the project"
    return None
