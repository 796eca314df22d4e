"""The meanings of words in a project's import files, for imports that do not name them."""

from collections.abc import Mapping
from typing import Any

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import not_found
from app.models.imports.mapping import MAP_NAMES
from app.models.projects.project import Project
from app.queries.pages import Precondition, VersionedRow, ensure_unchanged
from app.repositories.imports.imports import ImportRepository
from app.repositories.projects import ProjectRepository


class ImportMappingService:
    def __init__(self, uow: UnitOfWork, imports: ImportRepository, projects: ProjectRepository, clock: Clock) -> None:
        self._uow = uow
        self._imports = imports
        self._projects = projects
        self._now = clock

    def get(self, actor: Actor, key: str) -> VersionedRow:
        """The mapping of the project. It is empty if nothing was kept."""
        ensure_may(actor, Permission.IMPORT_READ)
        with self._uow.transaction():
            return self._imports.get_mapping_row(self._get_project(actor, key).id)

    def replace(
        self,
        actor: Actor,
        key: str,
        maps: Mapping[str, Mapping[str, Any]],
        *,
        may_overwrite: Precondition | None = None,
    ) -> VersionedRow:
        """Keep these maps in place of those before."""
        ensure_may(actor, Permission.IMPORT_CREATE)
        with self._uow.transaction():
            project = self._get_project(actor, key)
            project.ensure_open()
            self._imports.lock_mapping(project.id)
            ensure_unchanged("import mapping", self._imports.get_mapping_row(project.id), may_overwrite)
            self._imports.keep_mapping(project.id, maps, at=self._now())
            return self._imports.get_mapping_row(project.id)

    def clear(self, actor: Actor, key: str, *, may_overwrite: Precondition | None = None) -> None:
        """Keep nothing of the project any longer. Its version goes on, so that no older one fits again."""
        self.replace(actor, key, {name: {} for name in MAP_NAMES}, may_overwrite=may_overwrite)

    def _get_project(self, actor: Actor, key: str) -> Project:
        return self._projects.get(actor, key) or not_found("project", key)
