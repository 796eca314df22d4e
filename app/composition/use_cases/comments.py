"""How the services of comments are made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.comments.export import CommentExportRepository
from app.repositories.comments.read import CommentViewRepository
from app.repositories.comments.write import CommentRepository
from app.repositories.projects import ProjectRepository
from app.services.comments.export import CommentExportService
from app.services.comments.read import CommentViewService
from app.services.comments.write import CommentService


class CommentUseCases(UseCases):
    @cached_property
    def comments(self) -> CommentService:
        return CommentService(
            self._uow,
            CommentRepository(self._session),
            CommentViewRepository(self._session),
            ProjectRepository(self._session),
            self._resources.clock,
        )

    @cached_property
    def comment_views(self) -> CommentViewService:
        return CommentViewService(self._uow, CommentViewRepository(self._session), self._resources.clock)

    @cached_property
    def comment_export(self) -> CommentExportService:
        return CommentExportService(self._uow, CommentExportRepository(self._session))
