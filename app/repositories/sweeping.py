"""How obsolete rows are deleted: a limited number at a time, so that transactions stay short."""

from typing import Any

from sqlalchemy import ColumnElement, delete, inspect, select, tuple_
from sqlalchemy.orm import Session

from app.models.base import Base


def delete_some(session: Session, model: type[Base], condition: ColumnElement[bool], *, limit: int) -> int:
    """Delete up to `limit` rows that match; return how many were deleted."""
    key = tuple_(*inspect(model).primary_key)
    chosen = select(*inspect(model).primary_key).where(condition).limit(limit)
    outcome: Any = session.execute(
        delete(model).where(key.in_(chosen)), execution_options={"synchronize_session": False}
    )
    return int(outcome.rowcount)
