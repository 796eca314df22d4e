"""The refs that tasks had before they moved to another project."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class FormerRef(Base):
    """A number in a project that a task had. A trigger on tasks writes it, and no other task gets the number.

    There is no foreign key to projects: a project with a former ref cannot be deleted anyway, since the history names
    it.
    """

    __tablename__ = "former_refs"

    project_id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))

    # For removing a task for good.
    __table_args__ = (Index(None, "task_id"),)
