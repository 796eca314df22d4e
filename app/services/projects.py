"""Projects: creating and renaming them, and adding and removing their members."""

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import ConflictError, ForbiddenError, InvalidError, not_found
from app.events import ProjectChanged
from app.models.people.user import User
from app.models.projects.project import Project
from app.queries.pages import JsonRow, Page
from app.repositories.people import UserRepository
from app.repositories.projects import ProjectRepository


class ProjectService:
    def __init__(self, uow: UnitOfWork, projects: ProjectRepository, users: UserRepository, clock: Clock) -> None:
        self._uow = uow
        self._projects = projects
        self._users = users
        self._now = clock

    def create(self, actor: Actor, *, key: str, name: str) -> JsonRow:
        """Create a project, whose first member is the actor."""
        ensure_may(actor, Permission.PROJECT_CREATE)
        with self._uow.transaction():
            project = Project(key=key, name=name)
            self._projects.add(project)
            self._projects.add_member(project.id, actor.user_id)
            self._uow.publish(ProjectChanged(project.id))
            return self._projects.get_row(project.id)

    def get(self, actor: Actor, key: str) -> JsonRow:
        with self._uow.transaction():
            return self._projects.get_row(self._get(actor, key).id)

    def list_page(self, actor: Actor, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._projects.list_page(actor, cursor=cursor, limit=limit)

    def rename(self, actor: Actor, key: str, *, name: str) -> JsonRow:
        with self._uow.transaction():
            project = self._projects.get_for_update(actor, key) or not_found("project", key)
            self._ensure_may_update(actor, project)
            project.name = name
            project.updated_at = self._now()
            self._projects.flush()
            self._uow.publish(ProjectChanged(project.id))
            return self._projects.get_row(project.id)

    def list_members(self, actor: Actor, key: str, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._projects.list_members(self._get(actor, key).id, cursor=cursor, limit=limit)

    def add_member(self, actor: Actor, key: str, *, username: str) -> None:
        with self._uow.transaction():
            project, user = self._get_with_user(actor, key, username)
            self._projects.add_member(project.id, user.id)
            self._uow.publish(ProjectChanged(project.id))

    def remove_member(self, actor: Actor, key: str, *, username: str) -> None:
        with self._uow.transaction():
            project, user = self._get_with_user(actor, key, username)
            self._projects.remove_member(project.id, user.id)
            self._uow.publish(ProjectChanged(project.id))

    def _get(self, actor: Actor, key: str) -> Project:
        return self._projects.get(actor, key) or not_found("project", key)

    def _get_with_user(self, actor: Actor, key: str, username: str) -> tuple[Project, User]:
        project = self._get(actor, key)
        self._ensure_may_update(actor, project)
        if project.includes_everyone:
            raise ConflictError(f"everybody is in {project.key}; its members cannot be changed")
        user = self._users.get_by_username(username)
        if user is None:
            raise InvalidError.of("username", f"there is no user {username}")
        return project, user

    def _ensure_may_update(self, actor: Actor, project: Project) -> None:
        ensure_may(actor, Permission.PROJECT_UPDATE)
        if project.includes_everyone and not actor.sees_everything:
            raise ForbiddenError("only an admin changes the project that everybody is in")
