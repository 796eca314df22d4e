"""The table of APIDOCS.md that says who may use which route, made of the contract and the table of permissions."""

from collections.abc import Iterator

from app.auth.permissions import PERMISSIONS_OF
from app.models.people.user import Role
from docs.generator.contract import Contract, Operation

BEGIN = "<!-- access: written by `make docs` from app/auth/permissions.py and the routes -->"
END = "<!-- end of access -->"
# From the fewest permissions to the most.
ROLES = (Role.VIEWER, Role.USER, Role.MANAGER, Role.ADMIN)


def rewritten(page: str, contract: Contract) -> str:
    """The page with the table as it should be between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"APIDOCS.md should hold {BEGIN} and {END}")
    table = "\n".join(_lines(contract))
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _lines(contract: Contract) -> Iterator[str]:
    yield _row("route", "permission", *(role.value for role in ROLES), "scope of an API token")
    yield _row("---", "---", *(":-:" for _role in ROLES), "---")
    for operation in contract.operations:
        yield _row(f"`{operation}`", *_cells(operation))


def _cells(operation: Operation) -> Iterator[str]:
    permission = operation.permission
    if permission is None:
        yield from ("everybody", *("yes" for _role in ROLES), "not needed")
        return
    yield f"`{permission}`"
    yield from ("yes" if permission in PERMISSIONS_OF[role] else "" for role in ROLES)
    yield " or ".join(f"`{scope}`" for scope in operation.scopes) or "none: log in"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
