"""Who follows a task. See docs/adr/028.

Only explicit choices are written here. The creator and the assignee follow without one, and triggers write down the
others: former assignees, people who comment, and people who are mentioned.
"""

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.database.unit_of_work import UnitOfWork
from app.errors import not_found
from app.queries.pages import Page
from app.queries.tasks import TaskKey
from app.repositories.tasks.followers import FollowerRepository


class TaskFollowerService:
    def __init__(self, uow: UnitOfWork, followers: FollowerRepository) -> None:
        self._uow = uow
        self._followers = followers

    def list_page(self, actor: Actor, key: TaskKey, *, cursor: str | None, limit: int) -> Page:
        """List the followers who can see the task, by their ids."""
        with self._uow.single_statements():
            task_id = self._followers.find_task_id(actor, key)
            if task_id is None:
                not_found("task", key)
            return self._followers.list_page(task_id, cursor=cursor, limit=limit)

    def follow(self, actor: Actor, key: TaskKey) -> None:
        """Follow a task. Following it again changes nothing."""
        self._set(actor, key, is_following=True)

    def leave(self, actor: Actor, key: TaskKey) -> None:
        """Leave a task, whatever the reason for following it."""
        self._set(actor, key, is_following=False)

    def _set(self, actor: Actor, key: TaskKey, *, is_following: bool) -> None:
        ensure_may(actor, Permission.TASK_FOLLOW)
        with self._uow.transaction():
            if not self._followers.set_following(actor, key, is_following=is_following):
                not_found("task", key)
