"""Projects: creating and renaming them, and adding and removing their members."""

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import ConflictError, ForbiddenError, InvalidError, not_found
from app.events import ProjectChanged
from app.models.people.user import User
from app.models.projects.project import Project
from app.queries.pages import Page, Precondition, VersionedRow, ensure_unchanged
from app.repositories.people import UserRepository
from app.repositories.projects import ProjectRepository


class ProjectService:
    def __init__(self, uow: UnitOfWork, projects: ProjectRepository, users: UserRepository, clock: Clock) -> None:
        self._uow = uow
        self._projects = projects
        self._users = users
        self._now = clock

    def create(self, actor: Actor, *, key: str, name: str) -> VersionedRow:
        """Create a project, whose first member is the actor."""
        ensure_may(actor, Permission.PROJECT_CREATE)
        with self._uow.transaction():
            project = Project(key=key, name=name)
            self._projects.add(project, member_id=actor.user_id)
            self._uow.publish(ProjectChanged(project.id))
            return self._projects.get_row(project.id)

    def get(self, actor: Actor, key: str) -> VersionedRow:
        with self._uow.transaction():
            return self._projects.get_row(self._get(actor, key).id)

    def list_page(self, actor: Actor, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._projects.list_page(actor, cursor=cursor, limit=limit)

    def rename(self, actor: Actor, key: str, *, name: str, may_overwrite: Precondition | None = None) -> VersionedRow:
        with self._uow.transaction():
            project = self._get_for_update(actor, key, may_overwrite)
            project.name, project.updated_at = name, self._now()
            self._projects.flush()
            self._uow.publish(ProjectChanged(project.id))
            return self._projects.get_row(project.id)

    def list_members(self, actor: Actor, key: str, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._projects.list_members(self._get(actor, key).id, cursor=cursor, limit=limit)

    def add_member(self, actor: Actor, key: str, *, username: str, may_overwrite: Precondition | None = None) -> None:
        with self._uow.transaction():
            project, user = self._get_with_user(actor, key, username, may_overwrite)
            if self._projects.add_member(project.id, user.id, at=self._now()):
                self._uow.publish(ProjectChanged(project.id))

    def remove_member(
        self, actor: Actor, key: str, *, username: str, may_overwrite: Precondition | None = None
    ) -> None:
        with self._uow.transaction():
            project, user = self._get_with_user(actor, key, username, may_overwrite)
            if self._projects.remove_member(project.id, user.id, at=self._now()):
                self._uow.publish(ProjectChanged(project.id))

    def _get(self, actor: Actor, key: str) -> Project:
        return self._projects.get(actor, key) or not_found("project", key)

    def _get_for_update(self, actor: Actor, key: str, may_overwrite: Precondition | None) -> Project:
        project = self._projects.get_for_update(actor, key) or not_found("project", key)
        self._ensure_may_update(actor, project)
        ensure_unchanged("project", project, may_overwrite)
        return project

    def _get_with_user(
        self, actor: Actor, key: str, username: str, may_overwrite: Precondition | None
    ) -> tuple[Project, User]:
        named = self._users.get_by_username(username)
        # The user is locked before the project, as a merge does it. So the two cannot wait for each other.
        user = self._users.get_shared(named.id) if named is not None else None
        project = self._get_for_update(actor, key, may_overwrite)
        if project.includes_everyone:
            raise ConflictError(f"everybody is in {project.key}; its members cannot be changed")
        if user is None:
            raise InvalidError.of("username", f"there is no user {username}")
        return project, user

    def _ensure_may_update(self, actor: Actor, project: Project) -> None:
        ensure_may(actor, Permission.PROJECT_UPDATE)
        if project.includes_everyone and not actor.sees_everything:
            raise ForbiddenError("only an admin changes the project that everybody is in")
