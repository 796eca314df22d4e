"""Saved views: keeping, sharing, pinning and opening them. See docs/adr/031."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from app.auth.actor import Actor
from app.auth.permissions import Permission, ensure_may, ensure_may_change_view, ensure_may_share_view
from app.clock import Clock
from app.database.unit_of_work import UnitOfWork
from app.errors import FieldProblem, InvalidError, TooManyPinsError, TooManyViewsError, not_found
from app.models.views import SavedView, ViewLayout, ViewVisibility
from app.queries.pages import Page, Precondition, VersionedRow, ensure_unchanged
from app.queries.tasks import TaskQuery
from app.repositories.projects import ProjectRepository
from app.repositories.views import SavedViewRepository

MAX_VIEWS = 500
MAX_PINS = 50


class ViewChanges(TypedDict, total=False):
    """What a client may set of a view. An absent field stays as it is."""

    name: str
    # The parameters of the task list, which the schema of the list has validated.
    query: Mapping[str, Any]
    layout: ViewLayout
    visibility: ViewVisibility
    # The key of the project whose members see the view.
    project: str | None


class SavedViewService:
    def __init__(self, uow: UnitOfWork, views: SavedViewRepository, projects: ProjectRepository, clock: Clock) -> None:
        self._uow = uow
        self._views = views
        self._projects = projects
        self._now = clock

    def create(self, actor: Actor, values: ViewChanges) -> VersionedRow:
        """Save a view of the actor's own. Raises TooManyViewsError after MAX_VIEWS of them."""
        ensure_may(actor, Permission.VIEW_OWN)
        with self._uow.transaction():
            self._views.lock_views_of(actor.user_id)
            if self._views.count_of(actor.user_id) >= MAX_VIEWS:
                raise TooManyViewsError(f"you have {MAX_VIEWS} views; delete one of them first")
            now = self._now()
            view = SavedView(
                owner_id=actor.user_id,
                query={},
                layout=ViewLayout.LIST,
                visibility=ViewVisibility.PRIVATE,
                created_at=now,
                updated_at=now,
            )
            self._apply(actor, view, values)
            self._views.add(view)
            return self._views.get_changed_row(view)

    def get(self, actor: Actor, view_id: int) -> VersionedRow:
        with self._uow.single_statements():
            return self._views.get_row(actor, view_id) or not_found("view", view_id)

    def list_page(self, actor: Actor, *, pinned: bool = False, cursor: str | None, limit: int) -> Page:
        """List the views that the actor may see by id, or the pinned ones in the order of their pins."""
        list_views = self._views.list_pinned if pinned else self._views.list_page
        with self._uow.single_statements():
            return list_views(actor, cursor=cursor, limit=limit)

    def change(
        self, actor: Actor, view_id: int, changes: ViewChanges, *, may_overwrite: Precondition | None = None
    ) -> VersionedRow:
        with self._uow.transaction():
            view = self._get_for_update(actor, view_id, may_overwrite)
            self._apply(actor, view, changes)
            view.updated_at = self._now()
            self._views.flush()
            return self._views.get_changed_row(view)

    def delete(self, actor: Actor, view_id: int, *, may_overwrite: Precondition | None = None) -> None:
        """Delete a view for good, with its pins."""
        with self._uow.transaction():
            self._views.remove(self._get_for_update(actor, view_id, may_overwrite))

    def pin(self, actor: Actor, view_id: int) -> None:
        """Pin a view after the pinned ones. A view that is pinned keeps its place."""
        with self._uow.transaction():
            pinned = self._lock_pins(actor)
            if view_id not in self._views.keep_visible(actor, [view_id]):
                not_found("view", view_id)
            if view_id in pinned:
                return
            if len(pinned) >= MAX_PINS:
                raise TooManyPinsError(f"you have pinned {MAX_PINS} views; unpin one of them first")
            self._views.replace_pins(actor.user_id, [*pinned, view_id])

    def unpin(self, actor: Actor, view_id: int) -> None:
        """Unpin a view. For a view that is not pinned, this changes nothing."""
        with self._uow.transaction():
            pinned = self._lock_pins(actor)
            if view_id not in self._views.keep_visible(actor, [view_id]):
                not_found("view", view_id)
            if view_id in pinned:
                self._views.replace_pins(actor.user_id, [each for each in pinned if each != view_id])

    def replace_pins(self, actor: Actor, view_ids: Sequence[int]) -> None:
        """Pin exactly these views, in this order."""
        with self._uow.transaction():
            self._lock_pins(actor)
            visible = self._views.keep_visible(actor, view_ids)
            problems = [
                FieldProblem(f"/views/{number}", f"there is no view {view_id}")
                for number, view_id in enumerate(view_ids)
                if view_id not in visible
            ]
            if problems:
                raise InvalidError(f"views: {problems[0].detail}", problems=problems)
            self._views.replace_pins(actor.user_id, view_ids)

    def opened(self, actor: Actor, query: TaskQuery) -> TaskQuery:
        """The query with the parameters of the view that it names. `me` means the actor, whoever owns the view.

        Raises InvalidError if the actor may see no such view, or if it no longer goes with the query's parameters.
        """
        view = query.view
        if view is None:
            return query
        ensure_may(actor, Permission.VIEW_READ)
        with self._uow.single_statements():
            stored = self._views.find_query(actor, view.id)
        if stored is None:
            raise InvalidError.of("view", f"there is no view {view.id}")
        return view.merged(stored)

    def _lock_pins(self, actor: Actor) -> Sequence[int]:
        self._views.lock_views_of(actor.user_id)
        return self._views.list_pinned_ids(actor)

    def _get_for_update(self, actor: Actor, view_id: int, may_overwrite: Precondition | None) -> SavedView:
        view = self._views.get_for_update(actor, view_id) or not_found("view", view_id)
        ensure_may_change_view(actor, view)
        ensure_unchanged("view", view, may_overwrite)
        return view

    def _apply(self, actor: Actor, view: SavedView, changes: ViewChanges) -> None:
        for name in ("name", "query", "layout"):
            if name in changes:
                setattr(view, name, changes[name])
        visibility = changes.get("visibility", view.visibility)
        project_id = self._project_id_for(actor, view, visibility, changes)
        if (visibility, project_id) != (view.visibility, view.project_id):
            ensure_may_share_view(actor, view, visibility)
            view.visibility, view.project_id = visibility, project_id

    def _project_id_for(
        self, actor: Actor, view: SavedView, visibility: ViewVisibility, changes: ViewChanges
    ) -> int | None:
        key = changes.get("project")
        if visibility is not ViewVisibility.PROJECT:
            if key is not None:
                raise InvalidError.of("project", "only a view with the visibility `project` has one")
            return None
        if key is None:
            if view.project_id is None or "project" in changes:
                raise InvalidError.of("project", "name the project whose members see the view")
            return view.project_id
        project = self._projects.get(actor, key)
        if project is None:
            raise InvalidError.of("project", f"there is no project {key}")
        return project.id
