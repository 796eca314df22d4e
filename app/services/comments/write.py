"""How comments are written: created, edited, deleted and restored, with the people that they mention."""

from typing import NamedTuple

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import ForbiddenError, InvalidError, not_found
from app.events import CommentChanged
from app.markdown import Markdown
from app.models.comments.comment import MAX_MENTIONS
from app.queries.comments import LockedComment, LockedTask
from app.queries.pages import Precondition, VersionedRow, ensure_unchanged
from app.queries.tasks import TaskKey
from app.repositories.comments.read import CommentViewRepository
from app.repositories.comments.write import CommentRepository
from app.repositories.projects import ProjectRepository


class Rendered(NamedTuple):
    """The HTML of a text, and the ids of those whom it mentions."""

    html: str
    user_ids: list[int]


class CommentService:
    def __init__(
        self,
        uow: UnitOfWork,
        comments: CommentRepository,
        views: CommentViewRepository,
        projects: ProjectRepository,
        clock: Clock,
    ) -> None:
        self._uow = uow
        self._comments = comments
        self._views = views
        self._projects = projects
        self._now = clock

    def create(self, actor: Actor, key: TaskKey, *, body: str) -> VersionedRow:
        """Comment on a task. Nobody comments on a deleted one."""
        ensure_may(actor, Permission.COMMENT_WRITE)
        # Parsed before the task is locked, because a long text takes a while.
        text = Markdown(body)
        with self._uow.transaction(by=actor):
            task = self._lock_task(actor, key)
            html, user_ids = self._render(text, task.project_id)
            comment_id = self._comments.add(
                task.id, actor.user_id, body=body, body_html=html, user_ids=user_ids, at=self._now()
            )
            self._uow.publish(CommentChanged(comment_id, task.id))
            return self._view(actor, task, comment_id)

    def edit(
        self, actor: Actor, key: TaskKey, comment_id: int, *, body: str, may_overwrite: Precondition | None = None
    ) -> VersionedRow:
        """Replace the text of one's own comment. The same text leaves the comment as it is, with its version."""
        ensure_may(actor, Permission.COMMENT_WRITE)
        text = Markdown(body)
        with self._uow.transaction(by=actor):
            task = self._lock_task(actor, key)
            comment = self._get_for_update(task, comment_id)
            if comment.author_id != actor.user_id:
                raise ForbiddenError("only the author edits a comment")
            ensure_unchanged("comment", comment, may_overwrite)
            if body != comment.body:
                html, user_ids = self._render(text, task.project_id)
                self._comments.edit(comment.id, body=body, body_html=html, user_ids=user_ids)
                self._uow.publish(CommentChanged(comment.id, task.id))
            return self._view(actor, task, comment.id)

    def delete(self, actor: Actor, key: TaskKey, comment_id: int, *, may_overwrite: Precondition | None = None) -> None:
        """Soft-delete one's own comment, or as a manager or admin any comment: its versions stay."""
        ensure_may(actor, Permission.COMMENT_WRITE)
        with self._uow.transaction(by=actor):
            task = self._lock_task(actor, key)
            comment = self._get_for_update(task, comment_id)
            if comment.author_id != actor.user_id:
                ensure_may(actor, Permission.COMMENT_MODERATE, task)
            ensure_unchanged("comment", comment, may_overwrite)
            self._comments.delete(comment.id, by_id=actor.user_id, at=self._now())
            self._uow.publish(CommentChanged(comment.id, task.id))

    def restore(self, actor: Actor, key: TaskKey, comment_id: int) -> VersionedRow:
        """Restore a deleted comment. Raises NotFoundError for one that is not deleted."""
        ensure_may(actor, Permission.COMMENT_MODERATE)
        with self._uow.transaction(by=actor):
            task = self._lock_task(actor, key)
            if not self._comments.restore(task.id, comment_id):
                not_found("deleted comment", comment_id)
            self._uow.publish(CommentChanged(comment_id, task.id))
            return self._view(actor, task, comment_id)

    def _lock_task(self, actor: Actor, key: TaskKey) -> LockedTask:
        return self._comments.lock_task(actor, key) or not_found("task", key)

    def _get_for_update(self, task: LockedTask, comment_id: int) -> LockedComment:
        return self._comments.get_for_update(task.id, comment_id) or not_found("comment", comment_id)

    def _view(self, actor: Actor, task: LockedTask, comment_id: int) -> VersionedRow:
        return self._views.get_view(actor, task.id, comment_id) or not_found("comment", comment_id)

    def _render(self, text: Markdown, project_id: int) -> Rendered:
        """Only people who may see the task are mentioned. All other names stay text, so that they tell nothing."""
        people = self._projects.list_named(project_id, text.names) if text.names else ()
        ids = {person.username.lower(): person.id for person in people}
        mentioned = text.names_among(ids)
        if len(mentioned) > MAX_MENTIONS:
            raise InvalidError.of("body", f"mentions {len(mentioned)} people; {MAX_MENTIONS} are the most")
        return Rendered(text.to_html(mentioned), [ids[name] for name in mentioned])
