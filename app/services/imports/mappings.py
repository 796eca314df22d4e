"""What the words of a project's import files mean: kept for imports that do not say it themselves."""

from collections.abc import Mapping
from typing import Any

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import not_found
from app.models.projects.project import Project
from app.queries.pages import JsonRow
from app.repositories.imports.imports import ImportRepository
from app.repositories.projects import ProjectRepository


class ImportMappingService:
    def __init__(self, uow: UnitOfWork, imports: ImportRepository, projects: ProjectRepository, clock: Clock) -> None:
        self._uow = uow
        self._imports = imports
        self._projects = projects
        self._now = clock

    def get(self, actor: Actor, key: str) -> JsonRow:
        """The mapping of the project. Raises NotFoundError if it has kept none."""
        ensure_may(actor, Permission.IMPORT_READ)
        with self._uow.transaction():
            project = self._get_project(actor, key)
            return self._imports.get_mapping_row(project.id) or not_found("import mapping of", project.key)

    def replace(self, actor: Actor, key: str, maps: Mapping[str, Mapping[str, Any]]) -> JsonRow:
        """Keep these maps in place of those before."""
        ensure_may(actor, Permission.IMPORT_CREATE)
        with self._uow.transaction():
            project = self._get_project(actor, key)
            self._imports.keep_mapping(project.id, maps, at=self._now())
            return self._imports.get_mapping_row(project.id) or not_found("import mapping of", project.key)

    def delete(self, actor: Actor, key: str) -> None:
        """Keep no mapping of the project any longer. Idempotent."""
        ensure_may(actor, Permission.IMPORT_CREATE)
        with self._uow.transaction():
            self._imports.drop_mapping(self._get_project(actor, key).id)

    def _get_project(self, actor: Actor, key: str) -> Project:
        return self._projects.get(actor, key) or not_found("project", key)
