"""The table of access in APIDOCS.md, compared with the app: who may use which route."""

import re

from app.auth.permissions import PERMISSIONS_OF, PERMISSIONS_OF_SCOPE
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from docs.generator.access_table import BEGIN, END
from tests.guards.access.routes import nameless, operations, permission_of
from tests.servers import ROOT

# No client needs the contract's pages, and OpenAPI does not describe them.
PAGES = ("/docs", "/redoc", "/api/v1/openapi.json", "/static/")


class TestTable:
    def test_says_of_each_route_what_the_app_says(self, app):
        heading, rows = table()

        written = {row[0].strip("`"): cells_of(heading, row) for row in rows}

        assert len(written) == len(rows)
        assert {nameless(route): cells for route, cells in written.items()} == {
            nameless(f"{method} {rule.rule}"): (permission_of(app, rule), *allowed_by(permission_of(app, rule)))
            for rule, method in operations(app)
            if not rule.rule.startswith(PAGES)
        }


def table():
    page = (ROOT / "APIDOCS.md").read_text("utf-8")
    heading, _rule, *rows = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()
    return split(heading), list(map(split, rows))


def split(line):
    return [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]


def cells_of(heading, row):
    permission = None if row[1] == "everybody" else row[1].strip("`")
    roles = {Role(name) for name, cell in zip(heading[2:6], row[2:6], strict=True) if cell == "yes"}
    scopes = (
        set(TokenScope) if row[6] == "not needed" else {TokenScope(name) for name in re.findall(r"`(.+?)`", row[6])}
    )
    return permission, roles, scopes


def allowed_by(permission):
    if permission is None:
        return set(Role), set(TokenScope)
    roles = {role for role in Role if permission in PERMISSIONS_OF[role]}
    return roles, {scope for scope in TokenScope if permission in PERMISSIONS_OF_SCOPE[scope]}
