"""An uploaded CSV: its options, its progress, its text until the rows are tasks, and the problems of its rows."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, word_enum
from app.models.imports.mapping import WordColumns


class ImportState(StrEnum):
    """Staging receives the file, checking reads it without writing tasks, loading turns its rows into tasks."""

    STAGING = "staging"
    CHECKING = "checking"
    LOADING = "loading"
    FINISHED = "finished"
    FAILED = "failed"


class ImportKind(StrEnum):
    """The kind of the rows in a file."""

    TASKS = "tasks"
    COMMENTS = "comments"


class ImportMode(StrEnum):
    """The effect of a bad row on the good ones."""

    SKIP_BAD = "skip_bad"
    ALL_OR_NOTHING = "all_or_nothing"


class DuplicatePolicy(StrEnum):
    """The policy for a row whose task exists already."""

    CREATE = "create"
    SKIP = "skip"
    UPDATE = "update"


class DateFormat(StrEnum):
    """How a file writes its dates. Every format also accepts ISO 8601, which cannot be misread."""

    US = "us"
    DAY_FIRST = "day_first"
    YEAR_FIRST = "year_first"
    ISO = "iso"
    JIRA = "jira"
    MONTH_NAME = "month_name"


class TaskImport(WordColumns, Base):
    __tablename__ = "imports"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    creator_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    kind: Mapped[ImportKind] = mapped_column(word_enum(ImportKind, "import_kind"), server_default="tasks")
    filename: Mapped[str]
    is_dry_run: Mapped[bool] = mapped_column(server_default=text("false"))
    mode: Mapped[ImportMode] = mapped_column(word_enum(ImportMode, "import_mode"), server_default="skip_bad")
    on_duplicate: Mapped[DuplicatePolicy] = mapped_column(
        word_enum(DuplicatePolicy, "duplicate_policy"), server_default="create"
    )
    # If true, unknown assignees become users; otherwise their rows are refused.
    creates_users: Mapped[bool] = mapped_column(server_default=text("true"))
    # What the release before knows of the date format, which is None in an import that it accepted.
    is_day_first: Mapped[bool] = mapped_column(server_default=text("false"))
    date_format: Mapped[DateFormat | None] = mapped_column(word_enum(DateFormat, "date_format"))
    delimiter: Mapped[str] = mapped_column(server_default=text("','"))
    # The names of the columns as the file has them.
    header: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    ignored_columns: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    # How Python calls the encoding of the file, without a byte order mark. The report is written in the same way.
    codec: Mapped[str] = mapped_column(server_default=text("'utf-8'"))
    has_bom: Mapped[bool] = mapped_column(server_default=text("false"))

    state: Mapped[ImportState] = mapped_column(word_enum(ImportState, "import_state"))
    read_count: Mapped[int] = mapped_column(server_default=text("0"))
    created_count: Mapped[int] = mapped_column(server_default=text("0"))
    updated_count: Mapped[int] = mapped_column(server_default=text("0"))
    skipped_count: Mapped[int] = mapped_column(server_default=text("0"))
    refused_count: Mapped[int] = mapped_column(server_default=text("0"))
    # The number of problems in rows. It may be larger than the number of problems that are stored.
    error_count: Mapped[int] = mapped_column(server_default=text("0"))
    # The most frequent problems, as `csv_files/problems.py` counts them.
    problem_groups: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    failure: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]

    # The client's name for this upload. Sending it twice makes one import.
    idempotency_key: Mapped[str | None]
    # The request that uploaded the file. The history names it for the changes that workers make.
    request_id: Mapped[str | None]
    # A hash of the file and of all options that affect the outcome.
    content_hash: Mapped[bytes | None]

    block_count: Mapped[int] = mapped_column(server_default=text("0"))
    next_block: Mapped[int] = mapped_column(server_default=text("0"))
    # Parents are set after the last block, in steps of their own.
    next_link_step: Mapped[int] = mapped_column(server_default=text("0"))
    # If task numbers were reserved for the whole file: the number last used, and the last one reserved.
    last_task_number: Mapped[int | None]
    last_reserved_number: Mapped[int | None]
    # Counts the claims. A worker with a lower number has lost its claim, even if it wakes up much later.
    claim_number: Mapped[int] = mapped_column(server_default=text("0"))
    # None if nobody works on the import; in the past if the worker that did has died.
    claimed_until: Mapped[datetime | None]
    # The number of attempts at the next block since a block last succeeded, including the one that is under way.
    failed_attempts: Mapped[int] = mapped_column(server_default=text("0"))

    @property
    def dates_are(self) -> DateFormat:
        return self.date_format or (DateFormat.DAY_FIRST if self.is_day_first else DateFormat.US)

    __table_args__ = (
        # For lists of one creator's or one project's imports.
        Index(None, "project_id"),
        Index(None, "creator_id"),
        # For finding imports that wait for a worker.
        Index("ix_imports_claimed_until", "claimed_until", postgresql_where=text("finished_at IS NULL")),
        Index("ix_imports_content_hash", "content_hash", postgresql_where=text("content_hash IS NOT NULL")),
        Index("uq_imports_creator_id_idempotency_key", "creator_id", "idempotency_key", unique=True),
    )


class ImportBlock(Base):
    """A few thousand whole rows of the file, as CSV in UTF-8. Blocks are large, so staging costs almost nothing."""

    __tablename__ = "import_blocks"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    first_row: Mapped[int]
    first_line: Mapped[int]
    # The row of a spreadsheet where the block begins. None for a block that the release before staged.
    first_sheet_row: Mapped[int | None]
    body: Mapped[bytes]


class ImportDraft(Base):
    """A task that a checked file would have created or changed so far: how to find it, and its state.

    In a file of comments, a comment that it would have added.
    """

    __tablename__ = "import_drafts"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    # The first row of the file that means the task.
    row_number: Mapped[int] = mapped_column(primary_key=True)
    # None if the file would create the task. A comment's task exists.
    task_id: Mapped[int | None]
    external_ref: Mapped[str | None]
    content: Mapped[UUID]
    created_on: Mapped[date]
    fingerprint: Mapped[UUID]

    __table_args__ = (
        # Each row of the file is looked up among the drafts, as it is among the tasks.
        Index("ix_import_drafts_import_id_task_id", "import_id", "task_id"),
        Index("ix_import_drafts_import_id_external_ref", "import_id", "external_ref"),
        Index("ix_import_drafts_import_id_content", "import_id", "content"),
    )


class RowError(Base):
    """A reason why a row was refused, written so that the uploader can correct the row."""

    __tablename__ = "import_errors"

    import_id: Mapped[int] = mapped_column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True)
    problem_number: Mapped[int] = mapped_column(primary_key=True)
    line_number: Mapped[int]
    # The row of a spreadsheet that shows the file: a cell with line breaks is one row, and an empty line is another.
    sheet_row: Mapped[int | None]
    column_name: Mapped[str | None]
    value: Mapped[str | None]
    reason: Mapped[str]
    # The row as it was uploaded. Stored only with its first problem.
    cells: Mapped[list[str] | None]
