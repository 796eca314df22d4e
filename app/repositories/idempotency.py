"""The SQL of kept answers."""

from datetime import datetime

import orjson
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.database.prepared import PlannedOnce, parameter
from app.models.idempotency import KeptAnswer
from app.queries.idempotency import Answer
from app.repositories.sweeping import delete_some


class KeptAnswerRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def try_lock(self, user_id: int, key: str) -> bool:
        """Lock the key until the transaction ends. False if another transaction has locked it."""
        lock = func.hashtextextended(f"idempotency:{user_id}:{key}", 0)
        return bool(self._session.scalar(select(func.pg_try_advisory_xact_lock(lock))))

    def get(self, user_id: int, key: str, *, since: datetime) -> tuple[bytes, Answer] | None:
        """The fingerprint of the request and its answer. An answer that was kept before `since` does not count."""
        rows = _GET.rows(self._session, {"user_id": user_id, "key": key, "since": since})
        if not rows:
            return None
        fingerprint, status, headers, body = rows[0]
        return bytes(fingerprint), Answer(status, headers, bytes(body))

    def put(self, user_id: int, key: str, fingerprint: bytes, answer: Answer, *, at: datetime) -> None:
        """Keep an answer, in place of an older one with this key."""
        kept = {"fingerprint": fingerprint, "status": answer.status, "body": answer.body, "created_at": at}
        headers = orjson.dumps(dict(answer.headers)).decode()
        _PUT.write(self._session, {"user_id": user_id, "key": key, "headers": headers, **kept})

    def delete_older(self, *, before: datetime, limit: int) -> int:
        """Delete up to `limit` answers; return how many were deleted."""
        return delete_some(self._session, KeptAnswer, KeptAnswer.created_at < before, limit=limit)


_COLUMNS = KeptAnswer.__table__.c
_NAMED = {column.name: parameter(column.name, column.type) for column in _COLUMNS}
_GET = PlannedOnce(
    select(KeptAnswer.fingerprint, KeptAnswer.status, KeptAnswer.headers, KeptAnswer.body).where(
        KeptAnswer.user_id == _NAMED["user_id"],
        KeptAnswer.key == _NAMED["key"],
        KeptAnswer.created_at >= parameter("since", _COLUMNS.created_at.type),
    )
)
_PUT = PlannedOnce(
    insert(KeptAnswer)
    .values(_NAMED)
    .on_conflict_do_update(
        index_elements=[KeptAnswer.user_id, KeptAnswer.key],
        set_={name: value for name, value in _NAMED.items() if name not in {"user_id", "key"}},
    )
    .returning(KeptAnswer.user_id)
)
