"""Everybody who may ask, and one of everything that they may ask about."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import select

from app.auth.permissions import PERMISSIONS_OF, PERMISSIONS_OF_SCOPE, Permission
from app.models.daily_log.task_log import TaskLog
from app.models.imports.task_import import TaskImport
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from app.models.views import ViewVisibility
from tests.client import Client
from tests.guards.access.routes import MEMBER


class Target(StrEnum):
    """Whose it is. Two projects exist: that of the caller, and another one."""

    OWN = "own"
    SAME_PROJECT = "same project"
    OTHER_PROJECT = "other project"
    # In the caller's project. A user has been made up by an import, a session has ended, a token is revoked. A view is
    # another user's own.
    DELETED = "deleted"


@dataclass(frozen=True)
class Caller:
    name: str
    role: Role | None = None
    scope: TokenScope | None = None
    is_active: bool = True
    # True for a caller who has left the project of the first two targets, and is only in the other one.
    has_left: bool = False

    def __str__(self) -> str:
        return self.name

    @property
    def permissions(self) -> frozenset[Permission]:
        """None at all for somebody who is not let in."""
        if self.role is None or not self.is_active:
            return frozenset()
        own = PERMISSIONS_OF[self.role]
        return own if self.scope is None else own & PERMISSIONS_OF_SCOPE[self.scope]

    def is_in_project_of(self, target: Target) -> bool:
        if self.role is Role.ADMIN:
            return True
        return (target is Target.OTHER_PROJECT) is self.has_left


CALLERS = (
    Caller("anonymous"),
    Caller("viewer", Role.VIEWER),
    Caller("user", Role.USER),
    Caller("manager", Role.MANAGER),
    Caller("admin", Role.ADMIN),
    Caller("deactivated admin", Role.ADMIN, is_active=False),
    Caller("deactivated token", Role.ADMIN, TokenScope.USERS_ADMIN, is_active=False),
    *(
        Caller(f"{role.value} of another project", role, has_left=True)
        for role in (Role.VIEWER, Role.USER, Role.MANAGER)
    ),
    *(Caller(f"admin with {scope.value}", Role.ADMIN, scope) for scope in TokenScope),
    *(Caller(f"manager with {scope.value}", Role.MANAGER, scope) for scope in TokenScope),
)
ANONYMOUS = CALLERS[0]


class World:
    def __init__(self, caller: Caller, factories, client: Client, services, session, clock) -> None:
        self._factories, self._services, self._session = factories, services, session
        self._admin = client.acting_as(factories.User(role=Role.ADMIN))
        self.ours, self.theirs = factories.Project(key="OURS"), factories.Project(key="THEIRS")
        self.me = factories.User(role=caller.role or Role.USER)
        # A caller who has left is only in the other project, where they also have no task.
        here, elsewhere = (self.theirs, self.ours) if caller.has_left else (self.ours, self.theirs)
        self._join(self.me, here)
        self.hidden_project = None if caller.role is Role.ADMIN else elsewhere
        self.users = {
            Target.OWN: self.me,
            Target.SAME_PROJECT: self._join(factories.User(), self.ours),
            Target.OTHER_PROJECT: self._join(factories.User(), self.theirs),
            Target.DELETED: self._join(factories.User(is_active=False, password_hash=None), self.ours),
        }
        self.member = self._join(self._join(factories.User(username=MEMBER), self.ours), self.theirs)
        self.projects = dict.fromkeys(Target, self.ours) | {Target.OTHER_PROJECT: self.theirs}
        self.tasks = {target: self._make_task(target, clock()) for target in Target}
        self.comments = {
            target: factories.Comment(task_id=task.id, author_id=self.users[target].id).id
            for target, task in self.tasks.items()
        }
        self.deleted_comments = {
            target: factories.Comment(task_id=task.id, author_id=self.users[target].id, deleted_at=clock()).id
            for target, task in self.tasks.items()
        }
        clock.advance(seconds=1)
        self._log_the_day()
        clock.advance(seconds=1)
        self._admin.delete(f"/api/v1/tasks/{self.tasks[Target.DELETED].id}")
        self.imports = {target: self._import(target) for target in Target}
        self.views = {target: self._make_view(target).id for target in Target}
        self._make_sessions_and_tokens()
        self.client = self._client_of(caller, client)

    def _join(self, user, project):
        self._factories.ProjectMember(project_id=project.id, user_id=user.id)
        return user

    def _make_task(self, target: Target, now: datetime):
        return self._factories.Task(
            project_id=self.projects[target].id,
            creator_id=self.users[target].id,
            assignee_id=self.users[target].id,
            title=f"Task, {target}",
            external_ref=f"X-{target.name}",
            revised_at=now,
        )

    def _make_view(self, target: Target):
        """Shared with a project, except one's own and that of the user who was made up."""
        if target in {Target.OWN, Target.DELETED}:
            return self._factories.SavedView(owner_id=self.users[target].id)
        return self._factories.SavedView(
            owner_id=self.users[target].id,
            visibility=ViewVisibility.PROJECT,
            project_id=self.projects[target].id,
        )

    def _log_the_day(self) -> None:
        self._admin.post("/log-tasks")
        self._services.daily_log.log_due_days()
        rows = dict(self._session.execute(select(TaskLog.task_id, TaskLog.id)).all())
        self.logs = {target: rows[task.id] for target, task in self.tasks.items()}

    def _import(self, target: Target) -> int:
        form = {
            "file": (io.BytesIO(b"task_name,status\nBad,asleep\n"), "bad.csv"),
            "project": self.projects[target].key,
        }
        import_id = self._admin.request("POST", "/api/v1/imports", data=form).json["id"]
        self._session.get(TaskImport, import_id).creator_id = self.users[target].id
        self._session.flush()
        return import_id

    def _make_sessions_and_tokens(self) -> None:
        make_session, make_token = self._factories.LoginSession, self._factories.ApiToken
        self.sessions = {target: make_session(user_id=user.id).id for target, user in self.users.items()}
        self.sessions[Target.DELETED] = make_session(user_id=self.me.id, ended_at=datetime.now(UTC)).id
        self.tokens = {target: make_token(owner_id=user.id).id for target, user in self.users.items()}
        self.own_revoked_token = make_token(owner_id=self.me.id, revoked_at=datetime.now(UTC)).id

    def _client_of(self, caller: Caller, client: Client) -> Client:
        if caller.role is None:
            return client
        asking = client.acting_as(self.me) if caller.scope is None else client.with_api_token_of(self.me, caller.scope)
        self.me.is_active = caller.is_active
        self._session.flush()
        return asking

    def named(self, target: Target, rule: str):
        """Return a function that finds the value of a path argument by its name."""
        values = {
            "task_id": self.tasks[target].id,
            "comment_id": self.comments[target],
            "log_id": self.logs[target],
            "logger_id": self.logs[target],
            "import_id": self.imports[target],
            "key": self.projects[target].key,
            "user_id": self.users[target].id,
            "username": self.users[target].username,
            "session_id": self.sessions[target],
            "token_id": self.tokens[target],
            "view_id": self.views[target],
        }
        if rule.startswith("/api/v1/auth/") and target is Target.DELETED:
            values["token_id"] = self.own_revoked_token
        if rule.endswith("/restore"):
            values["comment_id"] = self.deleted_comments[target]
        return values.__getitem__
