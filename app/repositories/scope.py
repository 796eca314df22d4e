"""Which rows an actor sees: those of their projects. Every list and every lookup of such rows starts from here."""

from typing import Any

from sqlalchemy import ColumnElement, true

from app.auth.actor import Actor
from app.database.prepared import is_among


def is_in_scope(actor: Actor, project_id: Any) -> ColumnElement[bool]:
    """The condition that a column holds a project of the actor.

    A prepared statement takes the actor's projects anew at each execution, from `scope_parameters`.
    """
    return true() if actor.sees_everything else is_among(project_id, "project_ids", actor.project_ids)


def scope_parameters(actor: Actor) -> dict[str, Any]:
    return {"project_ids": list(actor.project_ids)}


def anybody_like(actor: Actor) -> Actor:
    """A stand-in for preparing a statement. Only the role and the scopes of a token decide the statement's text."""
    return Actor(0, "", actor.role, frozenset(), scopes=actor.scopes)
