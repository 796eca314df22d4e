"""Who may do what: read this file to answer any question about access.

Three gates use it: a route checks the role (`Permission`), a service checks this actor and this object
(`ensure_may`), and a repository selects only the rows of the actor's projects. An actor with an API token may do what
both the role and the token's scopes allow.
"""

from enum import StrEnum
from typing import Protocol

from app.auth.actor import Actor
from app.errors import ForbiddenError, InsufficientScopeError
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from app.models.views import ViewVisibility


class Permission(StrEnum):
    TASK_READ = "task:read"
    TASK_CREATE = "task:create"
    TASK_UPDATE = "task:update"
    TASK_DELETE = "task:delete"
    TASK_RESTORE = "task:restore"
    # Give all tasks of a user to another one.
    TASK_REASSIGN = "task:reassign"
    # Follow a task, or leave it.
    TASK_FOLLOW = "task:follow"
    # Comment on tasks, and edit and delete one's own comments.
    COMMENT_WRITE = "comment:write"
    # Delete the comments of others, see deleted ones and restore them.
    COMMENT_MODERATE = "comment:moderate"
    # Change tasks through the classic API. The role `user` may not.
    TASK_MANAGE = "task:manage"
    TASK_LOG_READ = "task_log:read"
    TASK_LOG_RUN = "task_log:run"
    IMPORT_CREATE = "import:create"
    IMPORT_READ = "import:read"
    PROJECT_READ = "project:read"
    PROJECT_CREATE = "project:create"
    PROJECT_UPDATE = "project:update"
    VIEW_READ = "view:read"
    # Keep saved views of one's own, and pin views.
    VIEW_OWN = "view:own"
    # Share a view with the members of a project, and with everybody.
    VIEW_SHARE = "view:share"
    VIEW_PUBLISH = "view:publish"
    # Change the shared views of others.
    VIEW_MANAGE = "view:manage"
    USER_READ = "user:read"
    USER_READ_ALL = "user:read_all"
    USER_MANAGE = "user:manage"
    # Log out, and change one's own password.
    SESSION_OWN = "session:own"
    # Let a user who forgot their password set a new one.
    PASSWORD_RESET = "password:reset"  # noqa: S105 - the name of a permission
    TOKEN_OWN = "token:own"  # noqa: S105 - the name of a permission
    # See, make and revoke the API tokens of others.
    TOKEN_MANAGE = "token:manage"  # noqa: S105


_VIEWER = frozenset(
    {
        Permission.TASK_READ,
        Permission.TASK_FOLLOW,
        Permission.TASK_LOG_READ,
        Permission.PROJECT_READ,
        Permission.VIEW_READ,
        Permission.VIEW_OWN,
        Permission.USER_READ,
        Permission.SESSION_OWN,
        Permission.TOKEN_OWN,
    }
)
_USER = _VIEWER | {
    Permission.TASK_CREATE,
    Permission.TASK_UPDATE,
    Permission.COMMENT_WRITE,
    Permission.VIEW_SHARE,
}
_MANAGER = _USER | {
    Permission.TASK_DELETE,
    Permission.TASK_RESTORE,
    Permission.TASK_REASSIGN,
    Permission.TASK_MANAGE,
    Permission.COMMENT_MODERATE,
    Permission.TASK_LOG_RUN,
    Permission.IMPORT_CREATE,
    Permission.IMPORT_READ,
    Permission.PROJECT_CREATE,
    Permission.PROJECT_UPDATE,
    Permission.VIEW_PUBLISH,
    Permission.VIEW_MANAGE,
    Permission.USER_READ_ALL,
}

PERMISSIONS_OF: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.USER: _USER,
    Role.MANAGER: _MANAGER,
    Role.ADMIN: frozenset(Permission),
}

# Every token may show its owner's account.
PERMISSIONS_OF_SCOPE: dict[TokenScope, frozenset[Permission]] = {
    TokenScope.TASKS_READ: frozenset(
        {Permission.USER_READ, Permission.TASK_READ, Permission.PROJECT_READ, Permission.VIEW_READ}
    ),
    TokenScope.TASKS_WRITE: frozenset(
        {
            Permission.USER_READ,
            Permission.TASK_CREATE,
            Permission.TASK_UPDATE,
            Permission.TASK_DELETE,
            # With `tasks:read`, this also shows deleted tasks.
            Permission.TASK_RESTORE,
            Permission.TASK_REASSIGN,
            Permission.TASK_FOLLOW,
            Permission.TASK_MANAGE,
            Permission.COMMENT_WRITE,
            # With `tasks:read`, this also shows deleted comments.
            Permission.COMMENT_MODERATE,
            Permission.TASK_LOG_RUN,
            Permission.VIEW_OWN,
            Permission.VIEW_SHARE,
            Permission.VIEW_PUBLISH,
            Permission.VIEW_MANAGE,
        }
    ),
    TokenScope.IMPORTS_WRITE: frozenset({Permission.USER_READ, Permission.IMPORT_CREATE, Permission.IMPORT_READ}),
    TokenScope.LOGS_READ: frozenset({Permission.USER_READ, Permission.TASK_LOG_READ}),
    TokenScope.USERS_ADMIN: frozenset(
        {
            Permission.USER_READ,
            Permission.USER_READ_ALL,
            Permission.USER_MANAGE,
            # Projects and their members decide who may see what, as accounts do.
            Permission.PROJECT_READ,
            Permission.PROJECT_CREATE,
            Permission.PROJECT_UPDATE,
        }
    ),
}
# With these a stolen token could outlive its revocation, or be exchanged for a log-in.
NEVER_BY_TOKEN = frozenset(
    {Permission.SESSION_OWN, Permission.PASSWORD_RESET, Permission.TOKEN_OWN, Permission.TOKEN_MANAGE}
)


class InProject(Protocol):
    @property
    def project_id(self) -> int: ...


def may(actor: Actor, permission: Permission) -> bool:
    """Check the role and the scopes of a token alone; `ensure_may` also checks the object."""
    return permission in PERMISSIONS_OF[actor.role] and _is_in_scopes(permission, actor.scopes)


def ensure_may(actor: Actor, permission: Permission, subject: InProject | None = None) -> None:
    """Raise ForbiddenError unless the role has the permission and the actor is in the project of the subject.

    Raise InsufficientScopeError if only the scopes of the actor's token lack it.
    """
    if permission not in PERMISSIONS_OF[actor.role]:
        raise ForbiddenError(f"the role {actor.role.value} may not do this ({permission.value})")
    if not _is_in_scopes(permission, actor.scopes):
        raise InsufficientScopeError(_need_of(permission))
    if subject is not None and not may_enter(actor, subject.project_id):
        raise ForbiddenError("you are not a member of the project")


class Shareable(Protocol):
    """A saved view, as far as its access is concerned."""

    @property
    def owner_id(self) -> int: ...

    @property
    def visibility(self) -> ViewVisibility: ...


def ensure_may_change_view(actor: Actor, view: Shareable) -> None:
    """Raise ForbiddenError unless the actor may change or delete this view, which they can see.

    Its owner may; so may a manager of the project that it is shared with; and an admin, if it is shared at all. A
    private view is nobody else's business: not even an admin sees it.
    """
    if view.owner_id == actor.user_id:
        ensure_may(actor, Permission.VIEW_OWN)
        return
    ensure_may(actor, Permission.VIEW_MANAGE)
    if view.visibility is ViewVisibility.EVERYONE and not actor.sees_everything:
        raise ForbiddenError("only its owner or an admin changes a view that everybody sees")


def ensure_may_share_view(actor: Actor, view: Shareable, visibility: ViewVisibility) -> None:
    """Raise ForbiddenError unless the actor may give this visibility to a view that they may change."""
    match visibility:
        case ViewVisibility.PRIVATE:
            if view.owner_id != actor.user_id:
                raise ForbiddenError("only its owner makes a view private")
        case ViewVisibility.PROJECT:
            ensure_may(actor, Permission.VIEW_SHARE)
        case ViewVisibility.EVERYONE:
            ensure_may(actor, Permission.VIEW_PUBLISH)


def scopes_with(permission: Permission) -> list[TokenScope]:
    """The scopes of which each includes the permission. Empty if no API token may use it."""
    return [scope for scope in TokenScope if permission in PERMISSIONS_OF_SCOPE[scope]]


def ensure_no_token(actor: Actor, action: str) -> None:
    """Raise InsufficientScopeError for an actor with a token. The message names the action.

    For what the scope `users:admin` does not include: with somebody's new password, or as a new admin, the holder of a
    token could log in and do what no token may.
    """
    if actor.scopes is not None:
        raise InsufficientScopeError(f"no API token may {action}; log in to do it")


def _is_in_scopes(permission: Permission, scopes: frozenset[TokenScope] | None) -> bool:
    return scopes is None or any(permission in PERMISSIONS_OF_SCOPE[scope] for scope in scopes)


def _need_of(permission: Permission) -> str:
    if permission in NEVER_BY_TOKEN:
        return f"no API token may do this ({permission.value}); log in to do it"
    sufficient = " or ".join(scope.value for scope in scopes_with(permission))
    return f"the API token may not do this ({permission.value}); it needs the scope {sufficient}"


def may_enter(actor: Actor, project_id: int) -> bool:
    return actor.sees_everything or project_id in actor.project_ids


def sees_deleted(actor: Actor) -> bool:
    """True if the actor sees deleted tasks in full. Others see only the fields that the daily log keeps."""
    return may(actor, Permission.TASK_RESTORE)


def sees_deleted_comments(actor: Actor) -> bool:
    return may(actor, Permission.COMMENT_MODERATE)


def scope_of(actor: Actor) -> str:
    """Actors with the same scope see the same fields of the same rows, so they may share cached pages."""
    projects = "all" if actor.sees_everything else ",".join(map(str, sorted(actor.project_ids)))
    return f"{projects}|deleted" if sees_deleted(actor) else projects
