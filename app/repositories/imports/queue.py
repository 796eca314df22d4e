"""The SQL of imports under way: their blocks, and the claims of those who work on them.

A claim is a number that only rises and a time until which it holds. Each step locks the import's row and compares the
number, so a worker that froze and wakes up changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from app.models.imports.link import ImportLink
from app.models.imports.task_import import ImportBlock, ImportDraft, ImportState, TaskImport

# Held while a claim is made, so that no other import of the project starts meanwhile.
CLAIM_LOCK = 7_203_114_121
# Held, with the upload's hash as the second key, during the search for a twin: an import with the same content.
TWIN_LOCK = 7_203_115

# Imports that look for duplicates take turns in a project: two could both find nothing and both create. An import that
# loads all or nothing counts as under way until it is finished. A claim that ends after :latest_end was made before a
# clock was set back.
_FIND_WAITING = text("""
    SELECT i.id FROM imports AS i
     WHERE i.finished_at IS NULL AND i.state <> 'staging'
       AND (i.claimed_until IS NULL OR i.claimed_until NOT BETWEEN :now AND :latest_end)
       AND (CAST(:import_id AS bigint) IS NULL OR i.id = :import_id)
       AND (i.on_duplicate = 'create' OR NOT EXISTS (
           SELECT FROM imports AS other
            WHERE other.project_id = i.project_id AND other.id <> i.id AND other.finished_at IS NULL
              AND other.state <> 'staging'
              AND (other.claimed_until BETWEEN :now AND :latest_end
                   OR other.id < i.id AND other.mode = 'all_or_nothing' AND other.state = 'loading')
       ))
     ORDER BY i.claim_number, i.id
     LIMIT 1
       FOR UPDATE SKIP LOCKED
""")


@dataclass(frozen=True, slots=True)
class Claim:
    import_id: int
    number: int


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows of a file, by their numbers."""

    first: int
    last: int


ALL_ROWS = RowRange(1, 2**63 - 1)


class ImportQueueRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add_block(self, block: ImportBlock) -> None:
        values = {
            "import_id": block.import_id,
            "number": block.number,
            "first_row": block.first_row,
            "first_line": block.first_line,
            "first_sheet_row": block.first_sheet_row,
            "body": block.body,
        }
        self._session.execute(insert(ImportBlock).values(values))

    def get_block(self, import_id: int, number: int) -> ImportBlock:
        statement = select(ImportBlock).where(ImportBlock.import_id == import_id, ImportBlock.number == number)
        block = self._session.scalars(statement).one()
        # Do not keep its megabytes in the session.
        self._session.expunge(block)
        return block

    def get_rows_of_block(self, import_id: int, number: int) -> RowRange:
        statement = (
            select(ImportBlock.first_row)
            .where(ImportBlock.import_id == import_id, ImportBlock.number.in_((number, number + 1)))
            .order_by(ImportBlock.number)
        )
        first, *next_first = self._session.scalars(statement)
        return RowRange(first, next_first[0] - 1 if next_first else ALL_ROWS.last)

    def drop_staged(self, import_id: int) -> None:
        self._session.execute(delete(ImportBlock).where(ImportBlock.import_id == import_id))
        self.drop_checked(import_id)

    def drop_checked(self, import_id: int) -> None:
        """Drop what was written down of the rows, such as their drafts."""
        self._session.execute(delete(ImportDraft).where(ImportDraft.import_id == import_id))
        self._session.execute(delete(ImportLink).where(ImportLink.import_id == import_id))

    def get_for_update(self, import_id: int) -> TaskImport | None:
        return self._session.get(TaskImport, import_id, with_for_update=True, populate_existing=True)

    def lock_claims(self) -> None:
        self._session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CLAIM_LOCK})

    def find_waiting(self, *, now: datetime, latest_end: datetime, import_id: int | None = None) -> TaskImport | None:
        """The waiting import with the fewest claims, or the given one, locked until the commit. None if none waits.

        A claim that ends before `now` or after `latest_end` is over.
        """
        values = {"now": now, "latest_end": latest_end, "import_id": import_id}
        waiting_id = self._session.scalar(_FIND_WAITING, values)
        return None if waiting_id is None else self.get_for_update(waiting_id)

    def hold(self, claim: Claim) -> TaskImport | None:
        """The claimed import, locked until the commit. None if it is finished or another claim was made since."""
        task_import = self.get_for_update(claim.import_id)
        is_held = task_import is not None and task_import.claim_number == claim.number
        return task_import if task_import is not None and is_held and task_import.finished_at is None else None

    def do_not_wait_for_disk(self) -> None:
        """Commit without waiting for the disk: a step lost in a crash is repeated. The last step must wait."""
        self._session.execute(text("SET LOCAL synchronous_commit = off"))

    def discard(self, import_id: int) -> None:
        """Delete an upload that is still coming in. An accepted import stays."""
        self._session.execute(
            delete(TaskImport).where(TaskImport.id == import_id, TaskImport.state == ImportState.STAGING),
            execution_options={"synchronize_session": False},
        )

    def discard_broken_uploads(self, *, now: datetime, latest_end: datetime) -> None:
        """Delete uploads whose process died. Their claims are over by the rule of `find_waiting`."""
        self._session.execute(
            delete(TaskImport).where(
                TaskImport.state == ImportState.STAGING, ~TaskImport.claimed_until.between(now, latest_end)
            ),
            execution_options={"synchronize_session": False},
        )

    def lock_twins(self, content_hash: bytes) -> None:
        key = int.from_bytes(content_hash[:4], "big", signed=True)
        # The two-key form has a lock space of its own.
        self._session.execute(text("SELECT pg_advisory_xact_lock(:space, :key)"), {"space": TWIN_LOCK, "key": key})

    def find_twin(self, task_import: TaskImport, content_hash: bytes, *, since: datetime) -> int | None:
        """Another import of the same content by the same user, unfinished or finished since `since`."""
        statement = (
            select(TaskImport.id)
            .where(
                TaskImport.content_hash == content_hash,
                TaskImport.creator_id == task_import.creator_id,
                TaskImport.id != task_import.id,
                TaskImport.finished_at.is_(None) | (TaskImport.finished_at >= since),
                TaskImport.state != ImportState.FAILED,
                # The same words may have had other meanings in the project then.
                TaskImport.column_map == task_import.column_map,
                TaskImport.status_map == task_import.status_map,
                TaskImport.priority_map == task_import.priority_map,
                TaskImport.people_map == task_import.people_map,
            )
            .order_by(TaskImport.id)
            .limit(1)
        )
        return self._session.scalar(statement)
