"""How the services of imports are made."""

from functools import cached_property

from app.composition.use_cases.base import UseCases
from app.repositories.imports.batches import ImportBatchRepository
from app.repositories.imports.comments import ImportCommentRepository
from app.repositories.imports.imports import ImportRepository
from app.repositories.imports.links import ImportLinkRepository
from app.repositories.imports.people import ImportPeopleRepository
from app.repositories.imports.queue import ImportQueueRepository
from app.repositories.projects import ProjectRepository
from app.services.imports.blocks import ImportBlockService
from app.services.imports.comments import ImportCommentService
from app.services.imports.imports import ImportService
from app.services.imports.links import ImportLinkService
from app.services.imports.mappings import ImportMappingService
from app.services.imports.people import ImportPeople
from app.services.imports.report import ImportReport
from app.services.imports.runs import ImportRunService
from app.services.imports.steps import ImportSteps
from app.services.imports.uploads import ImportUploadService


class ImportUseCases(UseCases):
    @cached_property
    def imports(self) -> ImportService:
        return ImportService(
            self._uow,
            ImportRepository(self._session),
            self._import_uploads,
            self.import_runs,
            self._resources.clock,
        )

    @cached_property
    def import_mappings(self) -> ImportMappingService:
        return ImportMappingService(
            self._uow, ImportRepository(self._session), ProjectRepository(self._session), self._resources.clock
        )

    @cached_property
    def _import_uploads(self) -> ImportUploadService:
        return ImportUploadService(
            self._uow,
            ImportRepository(self._session),
            ImportQueueRepository(self._session),
            ImportPeopleRepository(self._session),
            ProjectRepository(self._session),
            self._resources.clock,
            self._settings.csv_limits,
        )

    @cached_property
    def import_runs(self) -> ImportRunService:
        return ImportRunService(
            self._uow,
            ImportRepository(self._session),
            ImportQueueRepository(self._session),
            ProjectRepository(self._session),
            self._import_steps,
            self._calendar,
            self._settings.csv_limits.cell_characters,
        )

    @cached_property
    def _import_steps(self) -> ImportSteps:
        return ImportSteps(
            self._uow,
            ImportQueueRepository(self._session),
            ImportPeopleRepository(self._session),
            self._import_blocks,
            self._import_links,
            self._import_comments,
        )

    @cached_property
    def _import_people(self) -> ImportPeople:
        return ImportPeople(ImportPeopleRepository(self._session), ProjectRepository(self._session))

    @cached_property
    def _import_comments(self) -> ImportCommentService:
        return ImportCommentService(
            self._uow,
            ImportReport(ImportRepository(self._session)),
            ImportCommentRepository(self._session),
            self._import_people,
            ProjectRepository(self._session),
            self._calendar,
        )

    @cached_property
    def _import_links(self) -> ImportLinkService:
        return ImportLinkService(
            self._uow,
            ImportReport(ImportRepository(self._session)),
            ImportQueueRepository(self._session),
            ImportLinkRepository(self._session),
            self._calendar,
        )

    @cached_property
    def _import_blocks(self) -> ImportBlockService:
        return ImportBlockService(
            self._uow,
            ImportReport(ImportRepository(self._session)),
            ImportBatchRepository(self._session),
            ImportLinkRepository(self._session),
            self._import_people,
            ProjectRepository(self._session),
            self._calendar,
        )
