"""The SQL of saved views and of their pins."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Text, and_, cast, delete, func, insert, or_, select, text, tuple_, union_all
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.people.user import User
from app.models.projects.project import Project
from app.models.views import SavedView, ViewPin, ViewVisibility
from app.queries.pages import Page, Position, VersionedRow, decode_cursor, is_integer
from app.repositories.pages import AnySelect, json_text, page_of
from app.repositories.scope import is_in_scope

VIEW_FIELDS: dict[str, Any] = {
    "id": SavedView.id,
    "name": SavedView.name,
    "query": SavedView.query,
    "layout": SavedView.layout,
    "visibility": SavedView.visibility,
    "project": Project.key,
    "owner": User.username,
    "created_at": SavedView.created_at,
    "updated_at": SavedView.updated_at,
    "version": SavedView.version,
}
# A pin is not a part of the view, whose version it does not change. Only lists show it.
LISTED_VIEW_FIELDS: dict[str, Any] = {**VIEW_FIELDS, "pinned_position": ViewPin.position}
# Held by whoever changes the number of a user's views or their pins.
_LOCK = text("SELECT pg_advisory_xact_lock(7203118, CAST(CAST(:user_id AS bigint) % 2147483647 AS int))")


class SavedViewRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def lock_views_of(self, user_id: int) -> None:
        """Wait for other changes of the user's views and pins, and keep them from happening until the commit."""
        self._session.execute(_LOCK, {"user_id": user_id})

    def count_of(self, owner_id: int) -> int:
        return self._session.scalar(select(func.count()).where(SavedView.owner_id == owner_id)) or 0

    def add(self, view: SavedView) -> None:
        """Flushes, because the row of the answer needs the id."""
        self._session.add(view)
        self._session.flush()

    def flush(self) -> None:
        """Write pending changes, so that SQL can read them."""
        self._session.flush()

    def remove(self, view: SavedView) -> None:
        self._session.delete(view)
        self._session.flush()

    def get_for_update(self, actor: Actor, view_id: int) -> SavedView | None:
        """Locked until the commit, with current values. None if the actor may not see it."""
        statement = select(SavedView).where(SavedView.id == view_id, _is_visible_to(actor)).with_for_update()
        return self._session.scalar(statement.execution_options(populate_existing=True))

    def get_row(self, actor: Actor, view_id: int) -> VersionedRow | None:
        row = self._session.execute(_ROW.where(SavedView.id == view_id, _is_visible_to(actor))).one_or_none()
        return None if row is None else _versioned(row)

    def get_changed_row(self, view: SavedView) -> VersionedRow:
        """The view as it is now. Whoever has changed it may no longer see it."""
        return _versioned(self._session.execute(_ROW.where(SavedView.id == view.id)).one())

    def find_query(self, actor: Actor, view_id: int) -> Mapping[str, Any] | None:
        """The stored parameters of a view that the actor may see."""
        return self._session.scalar(select(SavedView.query).where(SavedView.id == view_id, _is_visible_to(actor)))

    def list_page(self, actor: Actor, *, cursor: str | None, limit: int) -> Page:
        """All views that the actor may see, by id."""
        visible = _visible_ids(actor)
        chosen = select(visible.c.id).order_by(visible.c.id).limit(limit + 1)
        if cursor is not None:
            chosen = chosen.where(visible.c.id > decode_cursor(cursor, "id", is_integer).id)
        page = chosen.subquery("page")
        statement = _listed(actor, cast(SavedView.id, Text)).join(page, page.c.id == SavedView.id)
        rows = self._session.execute(statement.order_by(SavedView.id)).all()
        return page_of(rows, limit=limit, sort="id", total=None)

    def list_pinned(self, actor: Actor, *, cursor: str | None, limit: int) -> Page:
        """The views that the actor has pinned and may see, in the order of the pins."""
        statement = _listed(actor, cast(ViewPin.position, Text)).where(
            ViewPin.position.is_not(None), _is_visible_to(actor)
        )
        if cursor is not None:
            after: Position = decode_cursor(cursor, "pinned", is_integer)
            here = tuple_(ViewPin.position, SavedView.id)
            statement = statement.where(here > tuple_(int(after.key), after.id))
        rows = self._session.execute(statement.order_by(ViewPin.position, SavedView.id).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="pinned", total=None)

    def keep_visible(self, actor: Actor, view_ids: Collection[int]) -> set[int]:
        """Those views that the actor may see. They cannot be deleted until the commit."""
        statement = select(SavedView.id).where(SavedView.id.in_(view_ids), _is_visible_to(actor))
        return set(self._session.scalars(statement.order_by(SavedView.id).with_for_update(read=True, key_share=True)))

    def list_pinned_ids(self, actor: Actor) -> Sequence[int]:
        """In the order of the pins. A pinned view that the actor no longer sees is left out."""
        statement = select(ViewPin.view_id).join(SavedView, SavedView.id == ViewPin.view_id)
        statement = statement.where(ViewPin.user_id == actor.user_id, _is_visible_to(actor))
        return self._session.scalars(statement.order_by(ViewPin.position, ViewPin.view_id)).all()

    def replace_pins(self, user_id: int, view_ids: Sequence[int]) -> None:
        """Pin these views in this order, and no others."""
        self._session.execute(delete(ViewPin).where(ViewPin.user_id == user_id))
        if view_ids:
            rows = [
                {"user_id": user_id, "view_id": view_id, "position": position}
                for position, view_id in enumerate(view_ids, start=1)
            ]
            self._session.execute(insert(ViewPin).values(rows))


def _is_visible_to(actor: Actor) -> ColumnElement[bool]:
    """The condition of every query of views, so that none can show a view to an actor who may not see it."""
    return or_(*_reasons_to_see(actor))


def _reasons_to_see(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    """A view is one's own and private, or is shared with one of one's projects, or with everybody.

    No view meets two of these conditions. Each has an index of its own.
    """
    return (
        and_(SavedView.owner_id == actor.user_id, SavedView.visibility == ViewVisibility.PRIVATE),
        and_(SavedView.project_id.is_not(None), is_in_scope(actor, SavedView.project_id)),
        SavedView.visibility == ViewVisibility.EVERYONE,
    )


def _visible_ids(actor: Actor) -> CTE:
    """The ids of all views that the actor may see. They are collected first.

    For one condition and a limit, PostgreSQL would read all views in the order of ids in search of a few.
    """
    arms = (select(SavedView.id).where(reason) for reason in _reasons_to_see(actor))
    return union_all(*arms).cte("visible").prefix_with("MATERIALIZED", dialect="postgresql")


def _listed(actor: Actor, key: ColumnElement[str]) -> AnySelect:
    statement = _with_names(select(json_text(LISTED_VIEW_FIELDS), key, SavedView.id))
    is_pin = and_(ViewPin.view_id == SavedView.id, ViewPin.user_id == actor.user_id)
    return statement.outerjoin(ViewPin, is_pin)


def _with_names(statement: AnySelect) -> AnySelect:
    return statement.join_from(SavedView, User, User.id == SavedView.owner_id).outerjoin(
        Project, Project.id == SavedView.project_id
    )


_ROW = _with_names(select(json_text(VIEW_FIELDS).label("json"), SavedView.id, SavedView.version))


def _versioned(row: Any) -> VersionedRow:
    return VersionedRow(row.json.encode(), row.id, row.version)
