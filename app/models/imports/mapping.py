"""The meanings of words in a project's import files, kept for its next import."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

MAP_NAMES = ("column_map", "status_map", "priority_map", "people_map")


class WordColumns:
    """Each column maps words of a file, in lower case, to our words.

    A person may be null, which means nobody, and so may a column of the file, which is then ignored.
    """

    column_map: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    status_map: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    priority_map: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    people_map: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))

    @property
    def maps(self) -> dict[str, dict[str, Any]]:
        return {name: getattr(self, name) for name in MAP_NAMES}


class ImportMapping(WordColumns, Base):
    __tablename__ = "import_mappings"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    # None, with version 0, until something is kept. Every change raises the version.
    updated_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default=text("0"))
