"""How the tasks of one user pass to another: by reassigning them, or by merging a made-up user. See docs/adr/021."""

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import CannotBeMergedError, InvalidError, not_found
from app.events import TasksReassigned, UserMerged
from app.models.people.user import User
from app.repositories.people import UserRepository
from app.repositories.projects import ProjectRepository
from app.repositories.tasks.handover import HandoverRepository


class HandoverService:
    def __init__(
        self,
        uow: UnitOfWork,
        tasks: HandoverRepository,
        projects: ProjectRepository,
        users: UserRepository,
        clock: Clock,
    ) -> None:
        self._uow = uow
        self._tasks = tasks
        self._projects = projects
        self._users = users
        self._now = clock

    def reassign(
        self, actor: Actor, user_id: int, *, to: str, project: str | None = None, only_active: bool = False
    ) -> int:
        """Reassign the tasks of a user, as far as the actor sees them. Return how many.

        Nothing is reassigned if the new assignee may not be assigned in one of the projects.
        """
        ensure_may(actor, Permission.TASK_REASSIGN)
        with self._uow.transaction(by=actor):
            if self._users.get(user_id) is None:
                not_found("user", user_id)
            project_id = self._find_project_id(actor, project) if project is not None else None
            receiver = self._get_active_user(to, field="to")
            if receiver.id == user_id:
                raise InvalidError.of("to", "is the same user")
            counts = self._tasks.reassign(
                actor, user_id, receiver.id, project_id=project_id, only_active=only_active, at=self._now()
            )
            missing = self._projects.list_keys_without(receiver, counts)
            if missing:
                raise InvalidError.of("to", f"{receiver.username} is not in {', '.join(missing)}")
            count = sum(counts.values())
            if count:
                self._uow.publish(TasksReassigned(user_id, receiver.id, count))
        return count

    def merge(self, actor: Actor, user_id: int, *, into: str) -> int:
        """Give the tasks and projects of a made-up user to a real one. Return the number of tasks.

        A made-up user is one whom an import has created, and who never had a password. The account stays, because the
        past names it, but only to say which user it was merged into. Raises CannotBeMergedError for any other account.
        """
        ensure_may(actor, Permission.USER_MANAGE)
        with self._uow.transaction(by=actor):
            source = self._users.get_for_update(user_id) or not_found("user", user_id)
            _ensure_made_up(source)
            target = self._get_active_user(into, field="into")
            if target.is_service:
                raise InvalidError.of("into", f"{target.username} is a service account")
            count = self._tasks.merge(source.id, target.id, at=self._now())
            # After the tasks, because a move of a task to another project locks the task first too.
            self._projects.move_memberships(source.id, target.id, at=self._now())
            source.merged_into_id, source.updated_at = target.id, self._now()
            self._users.flush()
            self._uow.publish(UserMerged(source.id, target.id, by_id=actor.user_id))
        return count

    def _find_project_id(self, actor: Actor, key: str) -> int:
        project = self._projects.get(actor, key)
        if project is None:
            raise InvalidError.of("project", f"there is no project {key}")
        return project.id

    def _get_active_user(self, name: str, *, field: str) -> User:
        """The user by this username or email address, who stays active until the commit."""
        named = self._users.get_by_name(name)
        # A user who is not active is not locked, so two merges cannot wait for each other's users.
        user = self._users.get_shared(named.id) if named is not None and named.is_active else None
        if user is None or not user.is_active:
            raise InvalidError.of(field, f"there is no active user {name}")
        return user


def _ensure_made_up(user: User) -> None:
    if user.is_service or user.password_hash is not None:
        raise CannotBeMergedError(f"{user.username} is an account of its own; only users made by imports can be merged")
    if user.merged_into_id is not None:
        raise CannotBeMergedError(f"{user.username} has been merged already")
