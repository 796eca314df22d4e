"""Who may do what: read this file to answer any question about access.

Three gates use it: a route checks the role (`Permission`), a service checks this actor and this object
(`ensure_may`), and a repository selects only the rows of the actor's projects.
"""

from enum import StrEnum
from typing import Protocol

from app.auth.actor import Actor
from app.errors import ForbiddenError
from app.models.people.user import Role


class Permission(StrEnum):
    TASK_READ = "task:read"
    TASK_CREATE = "task:create"
    TASK_UPDATE = "task:update"
    TASK_DELETE = "task:delete"
    TASK_RESTORE = "task:restore"
    # Change tasks through the classic API. The role `user` may not.
    TASK_MANAGE = "task:manage"
    TASK_LOG_READ = "task_log:read"
    TASK_LOG_RUN = "task_log:run"
    IMPORT_CREATE = "import:create"
    IMPORT_READ = "import:read"
    PROJECT_READ = "project:read"
    PROJECT_CREATE = "project:create"
    PROJECT_UPDATE = "project:update"
    USER_READ = "user:read"
    USER_READ_ALL = "user:read_all"
    USER_MANAGE = "user:manage"
    SESSION_OWN = "session:own"


_VIEWER = frozenset(
    {
        Permission.TASK_READ,
        Permission.TASK_LOG_READ,
        Permission.PROJECT_READ,
        Permission.USER_READ,
        Permission.SESSION_OWN,
    }
)
_USER = _VIEWER | {Permission.TASK_CREATE, Permission.TASK_UPDATE}
_MANAGER = _USER | {
    Permission.TASK_DELETE,
    Permission.TASK_RESTORE,
    Permission.TASK_MANAGE,
    Permission.TASK_LOG_RUN,
    Permission.IMPORT_CREATE,
    Permission.IMPORT_READ,
    Permission.PROJECT_CREATE,
    Permission.PROJECT_UPDATE,
    Permission.USER_READ_ALL,
}

PERMISSIONS_OF: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.USER: _USER,
    Role.MANAGER: _MANAGER,
    Role.ADMIN: frozenset(Permission),
}


class InProject(Protocol):
    @property
    def project_id(self) -> int: ...


def may(actor: Actor, permission: Permission) -> bool:
    """Check the role alone; `ensure_may` also checks the object."""
    return permission in PERMISSIONS_OF[actor.role]


def ensure_may(actor: Actor, permission: Permission, subject: InProject | None = None) -> None:
    """Raise ForbiddenError unless the role has the permission and the actor is in the project of the subject."""
    if not may(actor, permission):
        raise ForbiddenError(f"the role {actor.role.value} may not do this ({permission.value})")
    if subject is not None and not may_enter(actor, subject.project_id):
        raise ForbiddenError("you are not a member of the project")


def may_enter(actor: Actor, project_id: int) -> bool:
    return actor.sees_everything or project_id in actor.project_ids


def sees_deleted(actor: Actor) -> bool:
    """True if the actor sees deleted tasks in full. Others see only the fields that the daily log keeps."""
    return may(actor, Permission.TASK_RESTORE)


def scope_of(actor: Actor) -> str:
    """Actors with the same scope see the same fields of the same rows, so they may share cached pages."""
    projects = "all" if actor.sees_everything else ",".join(map(str, sorted(actor.project_ids)))
    return f"{projects}|deleted" if sees_deleted(actor) else projects
