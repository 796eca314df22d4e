import pytest

from app.auth.permissions import (
    NEVER_BY_TOKEN,
    PERMISSIONS_OF,
    PERMISSIONS_OF_SCOPE,
    Permission,
    ensure_may,
    ensure_no_token,
    may,
    may_enter,
    scope_of,
    sees_deleted,
)
from app.errors import ForbiddenError, InsufficientScopeError
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from app.models.projects.project import Project
from app.models.tasks.task import Task
from tests.auth.test_actor import actor_of

# The role table is written out a second time on purpose: a change of access has to be made in both places.
MAY = {
    Permission.TASK_READ: "admin manager user viewer",
    Permission.TASK_CREATE: "admin manager user",
    Permission.TASK_UPDATE: "admin manager user",
    Permission.TASK_DELETE: "admin manager",
    Permission.TASK_RESTORE: "admin manager",
    Permission.TASK_REASSIGN: "admin manager",
    Permission.TASK_FOLLOW: "admin manager user viewer",
    Permission.COMMENT_WRITE: "admin manager user",
    Permission.COMMENT_MODERATE: "admin manager",
    Permission.TASK_MANAGE: "admin manager",
    Permission.TASK_LOG_READ: "admin manager user viewer",
    Permission.TASK_LOG_RUN: "admin manager",
    Permission.IMPORT_CREATE: "admin manager",
    Permission.IMPORT_READ: "admin manager",
    Permission.PROJECT_READ: "admin manager user viewer",
    Permission.PROJECT_CREATE: "admin manager",
    Permission.PROJECT_UPDATE: "admin manager",
    Permission.VIEW_READ: "admin manager user viewer",
    Permission.VIEW_OWN: "admin manager user viewer",
    Permission.VIEW_SHARE: "admin manager user",
    Permission.VIEW_PUBLISH: "admin manager",
    Permission.VIEW_MANAGE: "admin manager",
    Permission.USER_READ: "admin manager user viewer",
    Permission.USER_READ_ALL: "admin manager",
    Permission.USER_MANAGE: "admin",
    Permission.SESSION_OWN: "admin manager user viewer",
    Permission.PASSWORD_RESET: "admin",
    Permission.TOKEN_OWN: "admin manager user viewer",
    Permission.TOKEN_MANAGE: "admin",
}
# The same for scopes; "" stands for a permission that no API token may use.
EVERY_SCOPE = "tasks:read tasks:write imports:write logs:read users:admin"
SCOPES_WITH = {
    Permission.TASK_READ: "tasks:read",
    Permission.TASK_CREATE: "tasks:write",
    Permission.TASK_UPDATE: "tasks:write",
    Permission.TASK_DELETE: "tasks:write",
    Permission.TASK_RESTORE: "tasks:write",
    Permission.TASK_REASSIGN: "tasks:write",
    Permission.TASK_FOLLOW: "tasks:write",
    Permission.COMMENT_WRITE: "tasks:write",
    Permission.COMMENT_MODERATE: "tasks:write",
    Permission.TASK_MANAGE: "tasks:write",
    Permission.TASK_LOG_READ: "logs:read",
    Permission.TASK_LOG_RUN: "tasks:write",
    Permission.IMPORT_CREATE: "imports:write",
    Permission.IMPORT_READ: "imports:write",
    Permission.PROJECT_READ: "tasks:read users:admin",
    Permission.PROJECT_CREATE: "users:admin",
    Permission.PROJECT_UPDATE: "users:admin",
    Permission.VIEW_READ: "tasks:read",
    Permission.VIEW_OWN: "tasks:write",
    Permission.VIEW_SHARE: "tasks:write",
    Permission.VIEW_PUBLISH: "tasks:write",
    Permission.VIEW_MANAGE: "tasks:write",
    Permission.USER_READ: EVERY_SCOPE,
    Permission.USER_READ_ALL: "users:admin",
    Permission.USER_MANAGE: "users:admin",
    Permission.SESSION_OWN: "",
    Permission.PASSWORD_RESET: "",
    Permission.TOKEN_OWN: "",
    Permission.TOKEN_MANAGE: "",
}
CELLS = [(role, permission) for role in Role for permission in Permission]


class TestMay:
    @pytest.mark.parametrize(("role", "permission"), CELLS, ids=[f"{role}-{permission}" for role, permission in CELLS])
    def test_each_role_has_exactly_its_permissions(self, role, permission):
        assert may(actor_of(role), permission) is (role.value in MAY[permission].split())

    def test_every_role_is_in_the_table(self):
        assert set(PERMISSIONS_OF) == set(Role)

    def test_each_role_has_the_permissions_of_the_role_below(self):
        viewer, user, manager, admin = (
            PERMISSIONS_OF[role] for role in (Role.VIEWER, Role.USER, Role.MANAGER, Role.ADMIN)
        )

        assert viewer < user < manager < admin


class TestMayWithToken:
    @pytest.mark.parametrize("scope", list(TokenScope))
    @pytest.mark.parametrize("permission", list(Permission))
    def test_each_scope_has_exactly_its_permissions(self, permission, scope):
        assert may(actor_of(Role.ADMIN, scopes={scope}), permission) is (scope.value in SCOPES_WITH[permission].split())

    def test_every_permission_belongs_to_a_scope_or_is_never_allowed(self):
        with_scopes = frozenset().union(*PERMISSIONS_OF_SCOPE.values())

        assert with_scopes | NEVER_BY_TOKEN == set(Permission)
        assert with_scopes & NEVER_BY_TOKEN == set()

    def test_every_scope_is_in_the_table(self):
        assert set(PERMISSIONS_OF_SCOPE) == set(TokenScope)

    @pytest.mark.parametrize(("role", "permission"), CELLS, ids=[f"{role}-{permission}" for role, permission in CELLS])
    def test_all_scopes_together_give_no_more_than_the_role(self, role, permission):
        is_allowed = may(actor_of(role, scopes=set(TokenScope)), permission)

        assert is_allowed is (role.value in MAY[permission].split() and permission not in NEVER_BY_TOKEN)

    def test_a_token_without_scopes_may_nothing(self):
        assert not any(may(actor_of(Role.ADMIN, scopes=()), permission) for permission in Permission)


class TestEnsureMay:
    def test_the_error_names_the_scope_that_is_missing(self):
        with pytest.raises(InsufficientScopeError, match=r"\(task:create\); it needs the scope tasks:write"):
            ensure_may(actor_of(Role.USER, scopes={TokenScope.TASKS_READ}), Permission.TASK_CREATE)

    def test_the_error_names_each_scope_that_would_do(self):
        with pytest.raises(InsufficientScopeError, match="the scope tasks:read or users:admin"):
            ensure_may(actor_of(Role.USER, scopes={TokenScope.LOGS_READ}), Permission.PROJECT_READ)

    def test_the_error_says_what_no_token_may_do(self):
        with pytest.raises(InsufficientScopeError, match="no API token may do this"):
            ensure_may(actor_of(Role.ADMIN, scopes=set(TokenScope)), Permission.TOKEN_OWN)

    def test_a_missing_role_is_named_before_a_missing_scope(self):
        with pytest.raises(ForbiddenError, match="the role viewer"):
            ensure_may(actor_of(Role.VIEWER, scopes={TokenScope.TASKS_READ}), Permission.TASK_CREATE)

    def test_a_scope_does_not_replace_membership(self):
        actor = actor_of(Role.USER, project_ids={7}, scopes=set(TokenScope))

        with pytest.raises(ForbiddenError, match="not a member"):
            ensure_may(actor, Permission.TASK_UPDATE, Task(project_id=8))

    def test_the_error_names_the_role_and_the_missing_permission(self):
        with pytest.raises(ForbiddenError, match=r"the role viewer may not do this \(task:create\)"):
            ensure_may(actor_of(Role.VIEWER), Permission.TASK_CREATE)

    def test_a_member_may(self):
        ensure_may(actor_of(Role.USER, project_ids={7}), Permission.TASK_UPDATE, Task(project_id=7))

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER])
    def test_a_user_outside_the_project_may_not(self, role):
        with pytest.raises(ForbiddenError, match="not a member"):
            ensure_may(actor_of(role, project_ids={7}), Permission.TASK_UPDATE, Task(project_id=8))

    def test_an_admin_may_everywhere(self):
        ensure_may(actor_of(Role.ADMIN), Permission.TASK_DELETE, Task(project_id=8))

    def test_membership_does_not_replace_a_permission(self):
        with pytest.raises(ForbiddenError):
            ensure_may(actor_of(Role.USER, project_ids={7}), Permission.TASK_DELETE, Task(project_id=7))


class TestEnsureNoToken:
    def test_refuses_every_token(self):
        with pytest.raises(InsufficientScopeError, match="no API token may change a password"):
            ensure_no_token(actor_of(Role.ADMIN, scopes=set(TokenScope)), "change a password")

    def test_lets_everybody_else_through(self):
        ensure_no_token(actor_of(Role.VIEWER), "change a password")


class TestMayEnter:
    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_other_roles_enter_only_their_own_projects(self, role):
        actor = actor_of(role, project_ids={7})

        assert may_enter(actor, Project(id=7).id)
        assert not may_enter(actor, Project(id=8).id)

    def test_an_admin_enters_every_project(self):
        assert may_enter(actor_of(Role.ADMIN), 8)


class TestScope:
    def test_members_of_the_same_projects_share_a_scope(self):
        first = actor_of(Role.VIEWER, user_id=1, project_ids=[3, 1, 20])
        second = actor_of(Role.USER, user_id=2, project_ids=[20, 3, 1])

        assert scope_of(first) == scope_of(second)

    def test_users_who_see_deleted_tasks_have_a_scope_of_their_own(self):
        assert scope_of(actor_of(Role.MANAGER, project_ids={1})) != scope_of(actor_of(Role.USER, project_ids={1}))

    def test_other_projects_make_another_scope(self):
        assert scope_of(actor_of(Role.USER, project_ids={1, 23})) != scope_of(actor_of(Role.USER, project_ids={12, 3}))

    def test_all_admins_share_one_scope(self):
        assert scope_of(actor_of(Role.ADMIN, project_ids={1})) == scope_of(actor_of(Role.ADMIN))

    def test_nobody_else_has_the_scope_of_an_admin(self):
        assert scope_of(actor_of(Role.USER)) != scope_of(actor_of(Role.ADMIN))

    def test_a_token_that_does_not_show_deleted_tasks_does_not_share_the_scope_of_its_owner(self):
        owner = actor_of(Role.ADMIN)
        token = actor_of(Role.ADMIN, scopes={TokenScope.TASKS_READ})

        assert sees_deleted(owner)
        assert not sees_deleted(token)
        assert scope_of(owner) != scope_of(token)
