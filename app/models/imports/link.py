"""The parents that the rows of a file name, until they are set."""

from enum import StrEnum

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class LinkProblem(StrEnum):
    """The reason why a row's parent is not set."""

    UNKNOWN = "unknown"
    REFUSED = "refused"
    AMBIGUOUS = "ambiguous"
    ITSELF = "itself"
    CIRCLE = "circle"
    TOO_DEEP = "too_deep"
    # Somebody changed the tasks after the parents of the file had been judged.
    CHANGED = "changed"


class ImportLink(Base):
    """A row of a file that has a column for parents: its names, its task, and the parent that it names.

    A node is the id of a task, or the negated number of the first row that would create the task in a file that is only
    checked.
    """

    __tablename__ = "import_links"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True)
    # None if the row was refused.
    node: Mapped[int | None]
    # In capital letters.
    ref: Mapped[str | None]
    external_ref: Mapped[str | None]
    # As the file has it. None if the row names no parent.
    parent: Mapped[str | None]
    # How deep the row stands in a file that indents its tasks.
    level: Mapped[int | None]
    # The row has a say in its task's parent. If several rows have, the last one decides.
    may_decide: Mapped[bool]
    # The row was counted as one that creates or changes its task.
    is_counted: Mapped[bool]
    parent_node: Mapped[int | None]
    problem: Mapped[str | None]

    __table_args__ = (
        # For the tasks that a parent's name may mean, and whether they are more than one.
        Index("ix_import_links_ref", "import_id", "ref", "node", postgresql_where=text("ref IS NOT NULL")),
        Index(
            "ix_import_links_external_ref",
            "import_id",
            "external_ref",
            "node",
            postgresql_where=text("external_ref IS NOT NULL"),
        ),
        Index("ix_import_links_level", "import_id", "level", "row_number", postgresql_where=text("level IS NOT NULL")),
        # For the row that decides on a task's parent.
        Index("ix_import_links_node", "import_id", "node", "row_number"),
    )
