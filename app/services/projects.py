"""Projects: creating, changing and archiving them, and adding and removing their members."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict, Unpack

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import ConflictError, FieldProblem, ForbiddenError, InvalidError, not_found
from app.events import ProjectChanged
from app.models.people.user import User
from app.models.projects.project import Project
from app.queries.pages import Page, Precondition, ensure_unchanged
from app.queries.projects import ProjectView
from app.repositories.people import UserRepository
from app.repositories.projects import ProjectRepository


class ProjectDetails(TypedDict, total=False):
    """What a client may say about a project."""

    name: str
    description: str
    color: str | None
    wip_limits: dict[str, int]


class ProjectService:
    def __init__(self, uow: UnitOfWork, projects: ProjectRepository, users: UserRepository, clock: Clock) -> None:
        self._uow = uow
        self._projects = projects
        self._users = users
        self._now = clock

    def create(self, actor: Actor, *, key: str, **details: Unpack[ProjectDetails]) -> ProjectView:
        """Create a project, whose first member is the actor."""
        ensure_may(actor, Permission.PROJECT_CREATE)
        with self._uow.transaction(by=actor):
            project = Project(key=key, **details)
            self._projects.add(project, member_id=actor.user_id)
            self._uow.publish(ProjectChanged(project.id))
            return self._projects.get_view(project.id)

    def get(self, actor: Actor, key: str) -> ProjectView:
        with self._uow.transaction():
            return self._projects.get_view(self._get(actor, key).id)

    def list_page(self, actor: Actor, *, archived: bool = False, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._projects.list_page(actor, archived=archived, cursor=cursor, limit=limit)

    def change(
        self, actor: Actor, key: str, *, may_overwrite: Precondition | None = None, **details: Unpack[ProjectDetails]
    ) -> ProjectView:
        """Change only these details. An absent one stays as it is."""
        with self._uow.transaction(by=actor):
            project = self._get_open_for_update(actor, key, may_overwrite)
            for name, value in details.items():
                setattr(project, name, value)
            project.updated_at = self._now()
            self._projects.flush()
            self._uow.publish(ProjectChanged(project.id))
            return self._projects.get_view(project.id)

    def archive(self, actor: Actor, key: str) -> ProjectView:
        """Archive a project: it and its tasks are read-only from then on. Archiving it again changes nothing."""
        with self._uow.transaction(by=actor):
            project = self._get(actor, key)
            self._ensure_may_update(actor, project)
            if project.includes_everyone:
                raise ConflictError(f"everybody is in {project.key}; it cannot be archived")
            self._projects.lock_tasks_of(project.id)
            project = self._get_for_update(actor, key, None)
            if project.archived_at is None:
                self._set_archived_at(project, self._now())
            return self._projects.get_view(project.id)

    def restore(self, actor: Actor, key: str) -> ProjectView:
        """End the archiving of a project. For a project that is not archived, this changes nothing."""
        with self._uow.transaction(by=actor):
            project = self._get_for_update(actor, key, None)
            if project.archived_at is not None:
                self._set_archived_at(project, None)
            return self._projects.get_view(project.id)

    def _set_archived_at(self, project: Project, archived_at: datetime | None) -> None:
        project.archived_at, project.updated_at = archived_at, self._now()
        self._projects.flush()
        self._uow.publish(ProjectChanged(project.id))

    def list_members(self, actor: Actor, key: str, *, cursor: str | None, limit: int) -> Page:
        with self._uow.transaction():
            return self._projects.list_members(self._get(actor, key).id, cursor=cursor, limit=limit)

    def add_member(self, actor: Actor, key: str, *, username: str, may_overwrite: Precondition | None = None) -> None:
        with self._uow.transaction(by=actor):
            project, user = self._get_with_user(actor, key, username, may_overwrite)
            if self._projects.add_member(project.id, user.id, at=self._now()):
                self._uow.publish(ProjectChanged(project.id))

    def add_members(self, actor: Actor, key: str, *, names: Sequence[str]) -> ProjectView:
        """Add all users with these usernames or email addresses, or none if one of them is unknown."""
        with self._uow.transaction(by=actor):
            ids = self._users.find_ids(names)
            # The users are locked before the project, as for a single member.
            self._users.lock_shared(ids.values())
            project = self._get_open_for_update(actor, key, None)
            self._ensure_has_members(project)
            _ensure_all_known(names, ids)
            if self._projects.add_members(project.id, ids.values(), at=self._now()):
                self._uow.publish(ProjectChanged(project.id))
            return self._projects.get_view(project.id)

    def remove_member(
        self, actor: Actor, key: str, *, username: str, may_overwrite: Precondition | None = None
    ) -> None:
        with self._uow.transaction(by=actor):
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

    def _get_open_for_update(self, actor: Actor, key: str, may_overwrite: Precondition | None) -> Project:
        project = self._get_for_update(actor, key, may_overwrite)
        project.ensure_open()
        return project

    def _get_with_user(
        self, actor: Actor, key: str, username: str, may_overwrite: Precondition | None
    ) -> tuple[Project, User]:
        named = self._users.get_by_username(username)
        # The user is locked before the project, as a merge does it. So the two cannot wait for each other.
        user = self._users.get_shared(named.id) if named is not None else None
        project = self._get_open_for_update(actor, key, may_overwrite)
        self._ensure_has_members(project)
        if user is None:
            raise InvalidError.of("username", f"there is no user {username}")
        return project, user

    def _ensure_has_members(self, project: Project) -> None:
        if project.includes_everyone:
            raise ConflictError(f"everybody is in {project.key}; its members cannot be changed")

    def _ensure_may_update(self, actor: Actor, project: Project) -> None:
        ensure_may(actor, Permission.PROJECT_UPDATE)
        if project.includes_everyone and not actor.sees_everything:
            raise ForbiddenError("only an admin changes the project that everybody is in")


def _ensure_all_known(names: Sequence[str], ids: Mapping[str, int]) -> None:
    problems = [
        FieldProblem(f"/members/{number}", f"there is no user {name}")
        for number, name in enumerate(names)
        if name not in ids
    ]
    if problems:
        raise InvalidError(f"members: {problems[0].detail}", problems=problems)
