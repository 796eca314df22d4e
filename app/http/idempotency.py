"""How a POST with an `Idempotency-Key` is answered once (draft-ietf-httpapi-idempotency-key-header)."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, request

from app.auth.actor import Actor
from app.composition.services import services
from app.errors import InvalidError
from app.queries.idempotency import Answer

View = TypeVar("View", bound=Callable[..., Any])

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 255
# These belong to the answer. All others belong to the response that carries it.
KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Cache-Control")
REPLAYED = "Idempotency-Replayed"


def is_answered_once(method: str, view: Any) -> bool:
    """True for a view whose answers are kept under the request's key. An upload has another way to heed the key."""
    is_public = getattr(view, "permission", None) is None
    is_excepted = is_public or hasattr(view, "takes_file") or hasattr(view, "keeps_no_answer")
    return method == "POST" and not is_excepted


def keeps_no_answer(view: View) -> View:
    """Mark a POST whose answer must not be stored, or for which a repetition means something else."""
    view.keeps_no_answer = True  # type: ignore[attr-defined]
    return view


def sent_key() -> str | None:
    """The key of this request. Raises InvalidError if it cannot be one."""
    key: str | None = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not (0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidError.of(HEADER, f"must be 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    return key


def answered_once(actor: Actor, key: str, respond: Callable[[], Response]) -> Response:
    """The response of the view, or the answer that it gave to the same request before."""

    def work() -> Answer:
        response = respond()
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        return Answer(response.status_code, headers, response.get_data())

    answer, was_kept = services().idempotency.answer_once(actor, key, _request_bytes(), work)
    response = Response(answer.body, answer.status)
    response.headers.clear()
    response.headers.extend(dict(answer.headers))
    if was_kept:
        response.headers[REPLAYED] = "true"
    return response


def _request_bytes() -> bytes:
    return f"{request.method} {request.full_path}\n".encode() + request.get_data()
