"""An uploaded CSV: its options, how far it is, its text until that is tasks, and what was wrong with which rows."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum


class ImportState(StrEnum):
    """Staging receives the file, checking goes through it and writes nothing, loading makes tasks of its rows."""

    STAGING = "staging"
    CHECKING = "checking"
    LOADING = "loading"
    FINISHED = "finished"
    FAILED = "failed"


class ImportMode(StrEnum):
    """The effect of a bad row on the good ones."""

    SKIP_BAD = "skip_bad"
    ALL_OR_NOTHING = "all_or_nothing"


class DuplicatePolicy(StrEnum):
    """The policy for a row whose task exists already."""

    CREATE = "create"
    SKIP = "skip"
    UPDATE = "update"


class TaskImport(Base):
    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    filename: Mapped[str]
    is_dry_run: Mapped[bool] = mapped_column(server_default=text("false"))
    mode: Mapped[ImportMode] = mapped_column(word_enum(ImportMode, "import_mode"), server_default="skip_bad")
    on_duplicate: Mapped[DuplicatePolicy] = mapped_column(
        word_enum(DuplicatePolicy, "duplicate_policy"), server_default="create"
    )
    # If true, unknown assignees become users; otherwise their rows are refused.
    creates_users: Mapped[bool] = mapped_column(server_default=text("true"))
    is_day_first: Mapped[bool] = mapped_column(server_default=text("false"))
    delimiter: Mapped[str] = mapped_column(server_default=text("','"))
    # The names of the columns as the file has them.
    header: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    ignored_columns: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))

    state: Mapped[ImportState] = mapped_column(word_enum(ImportState, "import_state"))
    read_count: Mapped[int] = mapped_column(server_default=text("0"))
    created_count: Mapped[int] = mapped_column(server_default=text("0"))
    updated_count: Mapped[int] = mapped_column(server_default=text("0"))
    skipped_count: Mapped[int] = mapped_column(server_default=text("0"))
    refused_count: Mapped[int] = mapped_column(server_default=text("0"))
    # Of what was wrong with rows, which may be more than are kept.
    error_count: Mapped[int] = mapped_column(server_default=text("0"))
    failure: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]

    # What the client calls this upload, so that sending it twice is one import.
    idempotency_key: Mapped[str | None]
    # In which it was uploaded: what workers make of it stands in the history under this.
    request_id: Mapped[str | None]
    # Of the file and everything that decides what becomes of it.
    content_hash: Mapped[bytes | None]

    block_count: Mapped[int] = mapped_column(server_default=text("0"))
    next_block: Mapped[int] = mapped_column(server_default=text("0"))
    # Where numbers were taken for all of the file at once: that of the task made last, and the last one taken.
    last_task_number: Mapped[int | None]
    last_reserved_number: Mapped[int | None]
    # Counts the claims: who holds an older one has lost it, however late it wakes up.
    claim_number: Mapped[int] = mapped_column(server_default=text("0"))
    # None when nobody works on it; in the past when whoever did is dead.
    claimed_until: Mapped[datetime | None]
    # Claims that died on the same block, one after the other.
    failed_attempts: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (
        # The list of imports, newest first, of one creator's or one project's.
        Index(None, "project_id"),
        Index(None, "creator_id"),
        # What waits for a worker.
        Index("ix_imports_claimed_until", "claimed_until", postgresql_where=text("finished_at IS NULL")),
        Index("ix_imports_content_hash", "content_hash", postgresql_where=text("content_hash IS NOT NULL")),
        Index("uq_imports_creator_id_idempotency_key", "creator_id", "idempotency_key", unique=True),
    )


class ImportBlock(Base):
    """Some thousand whole rows of the file, as CSV in UTF-8: large enough that staging costs next to nothing."""

    __tablename__ = "import_blocks"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    first_row: Mapped[int]
    first_line: Mapped[int]
    body: Mapped[bytes]


class ImportDraft(Base):
    """A task as a file that is only checked would have made or changed it by now: how it is found, and its state."""

    __tablename__ = "import_drafts"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    # Of the first row that speaks of it.
    row_number: Mapped[int] = mapped_column(primary_key=True)
    # None when the file would create it.
    task_id: Mapped[int | None]
    external_ref: Mapped[str | None]
    content: Mapped[UUID]
    created_on: Mapped[date]
    fingerprint: Mapped[UUID]

    __table_args__ = (
        # Each row of the file is looked for among the drafts, as it is among the tasks.
        Index("ix_import_drafts_import_id_task_id", "import_id", "task_id"),
        Index("ix_import_drafts_import_id_external_ref", "import_id", "external_ref"),
        Index("ix_import_drafts_import_id_content", "import_id", "content"),
    )


class RowError(Base):
    """One thing for which a row was refused, in words that somebody can mend it by."""

    __tablename__ = "import_errors"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True)
    problem_number: Mapped[int] = mapped_column(primary_key=True)
    line_number: Mapped[int]
    column_name: Mapped[str | None]
    value: Mapped[str | None]
    reason: Mapped[str]
    # The row as it came, with the first of its problems.
    cells: Mapped[list[str] | None]
