"""The SQL of imported comments: which tasks and comments do the rows of a block mean, and adding the new ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.database.engine import ensure_signed

# A row with both names means the task that has both, or else the oldest task with its `external_ref`, as in a file of
# tasks.
_FIND_TASKS = text("""
    SELECT named.place,
           CASE WHEN named.external_ref IS NULL THEN by_ref.id
                WHEN by_ref.external_ref = named.external_ref THEN by_ref.id
                ELSE (SELECT t.id FROM tasks AS t
                       WHERE t.project_id = :project_id AND t.external_ref = named.external_ref AND t.deleted_at IS NULL
                       ORDER BY t.id LIMIT 1) END
      FROM projects AS p
     CROSS JOIN unnest(CAST(:refs AS text[]), CAST(:external_refs AS text[]))
           WITH ORDINALITY AS named (ref, external_ref, place)
      LEFT JOIN LATERAL (
          SELECT t.id, t.external_ref
            FROM (SELECT t.id, t.external_ref, t.deleted_at FROM tasks AS t
                   WHERE t.project_id = :project_id
                     AND t.number = CASE WHEN named.ref ~ ('^' || p.key || '-[0-9]{1,18}$')
                                         THEN CAST(substr(named.ref, length(p.key) + 2) AS bigint) END
                  OFFSET 0) AS t
           WHERE t.deleted_at IS NULL
      ) AS by_ref ON true
     WHERE p.id = :project_id
     ORDER BY named.place
""")
# In the order of their ids. Whoever writes comments locks their task first.
_LOCK_TASKS = text("""
    SELECT t.id FROM tasks AS t
     WHERE t.id = ANY (CAST(:ids AS bigint[])) AND t.project_id = :project_id AND t.deleted_at IS NULL
     ORDER BY t.id
       FOR NO KEY UPDATE
""")
# A comment that was deleted exists too: otherwise the file would bring back what somebody has deleted. Each task and
# time is looked up once, by their index: many rows of one task without a time read its comments only once.
_FIND_EXISTING = text("""
    WITH row AS MATERIALIZED (
        SELECT row.place, row.task_id, row.author_id, row.created_at, md5(row.body) AS body_hash
          FROM unnest(CAST(:task_ids AS bigint[]), CAST(:author_ids AS bigint[]), CAST(:times AS timestamptz[]),
                      CAST(:bodies AS text[])) WITH ORDINALITY AS row (task_id, author_id, created_at, body, place)
    ), existing AS MATERIALIZED (
        SELECT searched.task_id, c.author_id, c.body_hash, coalesce(searched.created_at, '-infinity') AS searched_at
          FROM (SELECT DISTINCT row.task_id, row.created_at FROM row) AS searched
         CROSS JOIN LATERAL (
              SELECT c.author_id, md5(c.body) AS body_hash FROM comments AS c
               WHERE c.task_id = searched.task_id
                 AND c.created_at >= coalesce(searched.created_at, '-infinity')
                 AND c.created_at <= coalesce(searched.created_at, 'infinity')
              OFFSET 0
         ) AS c
    )
    SELECT row.place FROM row
     WHERE (row.task_id, row.author_id, row.body_hash, coalesce(row.created_at, '-infinity'))
           IN (SELECT task_id, author_id, body_hash, searched_at FROM existing)
""")
# `content` is the hash of all that says which comment it is, without its time, and `fingerprint` is that with its time.
_HASH_ROWS = """
    WITH row AS MATERIALIZED (
        SELECT row.row_number, row.task_id, row.created_at,
               CAST(md5(ROW(row.task_id, row.author, row.body)::text) AS uuid) AS content,
               CAST(md5(ROW(row.task_id, row.author, row.body, extract(epoch FROM row.created_at))::text) AS uuid)
                   AS fingerprint
          FROM unnest(CAST(:row_numbers AS bigint[]), CAST(:task_ids AS bigint[]), CAST(:authors AS text[]),
                      CAST(:times AS timestamptz[]), CAST(:bodies AS text[]))
               AS row (row_number, task_id, author, created_at, body)
    )
"""
_FIND_DRAFTS = text(f"""{_HASH_ROWS}, draft AS MATERIALIZED (
        SELECT d.content, d.fingerprint
          FROM (SELECT DISTINCT row.content FROM row) AS searched JOIN import_drafts AS d USING (content)
         WHERE d.import_id = :import_id
    )
    SELECT row.row_number FROM row
     WHERE CASE WHEN row.created_at IS NULL THEN row.content ELSE row.fingerprint END
           IN (SELECT content FROM draft UNION ALL SELECT fingerprint FROM draft)
""")  # noqa: S608 - of constants
_WRITE_DRAFTS = text(f"""{_HASH_ROWS}
    INSERT INTO import_drafts (import_id, row_number, task_id, content, created_on, fingerprint)
    SELECT :import_id, row_number, task_id, content, coalesce(created_at, :now)::date, fingerprint FROM row
""")  # noqa: S608 - of constants
_CHOOSE_IDS = text("SELECT nextval(pg_get_serial_sequence('comments', 'id')) FROM generate_series(1, :count)")
_ADD = text("""
    INSERT INTO comments (id, task_id, author_id, created_at, body, body_html) OVERRIDING SYSTEM VALUE
    SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:task_ids AS bigint[]), CAST(:author_ids AS bigint[]),
                         CAST(:times AS timestamptz[]), CAST(:bodies AS text[]), CAST(:html AS text[]))
""")
_MENTION = text("""
    INSERT INTO comment_mentions (comment_id, version, user_id)
    SELECT m.comment_id, 1, m.user_id
      FROM unnest(CAST(:comment_ids AS bigint[]), CAST(:user_ids AS bigint[])) AS m (comment_id, user_id)
""")


@dataclass(frozen=True, slots=True)
class ImportedComment:
    """`created_at` is None if the file does not say it."""

    task_id: int
    author_id: int
    created_at: datetime | None
    body: str


@dataclass(frozen=True, slots=True)
class CommentOfRow:
    """The comment that a row means. Its author is a username, which nobody may have before the file is loaded."""

    row_number: int = field(compare=False)
    task_id: int
    author: str
    created_at: datetime | None
    body: str


@dataclass(frozen=True, slots=True)
class NewComment:
    comment: ImportedComment
    body_html: str
    mentioned_ids: Collection[int]


class ImportCommentRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def find_tasks(self, project_id: int, names: Sequence[tuple[str | None, str | None]]) -> list[int | None]:
        """The task of the project that each ref, in capital letters, and `external_ref` mean. None for no task."""
        refs, external_refs = [ref for ref, _ in names], [external_ref for _, external_ref in names]
        values = {"project_id": project_id, "refs": refs, "external_refs": external_refs}
        return [task_id for _place, task_id in self._session.execute(_FIND_TASKS, values)]

    def lock_tasks(self, project_id: int, task_ids: Collection[int]) -> set[int]:
        """Lock the tasks until the commit. Return those that are still in the project and not deleted."""
        return set(self._session.scalars(_LOCK_TASKS, {"project_id": project_id, "ids": [*task_ids]}))

    def find_existing(self, comments: Sequence[ImportedComment]) -> set[int]:
        """The places, from 0 on, of those that exist already. Lock their tasks first."""
        return {place - 1 for place in self._session.scalars(_FIND_EXISTING, _columns(comments))}

    def find_drafts(self, import_id: int, comments: Sequence[CommentOfRow]) -> set[int]:
        """The numbers of the rows that mean a comment which the blocks checked before would have added."""
        return set(self._session.scalars(_FIND_DRAFTS, {"import_id": import_id, **_columns_of_rows(comments)}))

    def draft(self, import_id: int, comments: Collection[CommentOfRow], *, now: datetime) -> None:
        """Write down the comments that this block would have added, for the next block of a file that is checked."""
        self._session.execute(_WRITE_DRAFTS, {"import_id": import_id, "now": now, **_columns_of_rows(comments)})

    def add(self, comments: Sequence[NewComment], *, now: datetime) -> None:
        """Add the comments in their order, with whom they mention."""
        ensure_signed(self._session)
        ids = self._session.scalars(_CHOOSE_IDS, {"count": len(comments)}).all()
        columns = _columns([new.comment for new in comments])
        times = [time or now for time in columns["times"]]
        html = [new.body_html for new in comments]
        self._session.execute(_ADD, {**columns, "ids": ids, "times": times, "html": html})
        mentions = [(id_, user) for id_, new in zip(ids, comments, strict=True) for user in sorted(new.mentioned_ids)]
        if mentions:
            comment_ids, user_ids = zip(*mentions, strict=True)
            self._session.execute(_MENTION, {"comment_ids": [*comment_ids], "user_ids": [*user_ids]})


def _columns(comments: Sequence[ImportedComment]) -> dict[str, list[object]]:
    return {
        "task_ids": [comment.task_id for comment in comments],
        "author_ids": [comment.author_id for comment in comments],
        "times": [comment.created_at for comment in comments],
        "bodies": [comment.body for comment in comments],
    }


def _columns_of_rows(comments: Collection[CommentOfRow]) -> dict[str, list[object]]:
    return {
        "row_numbers": [comment.row_number for comment in comments],
        "task_ids": [comment.task_id for comment in comments],
        "authors": [comment.author for comment in comments],
        "times": [comment.created_at for comment in comments],
        "bodies": [comment.body for comment in comments],
    }
