"""The format of errors: RFC 9457 problem details, and `{"error": …}` for the classic API."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError

from app.errors import (
    BulkRefusedError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    GoneError,
    InsufficientScopeError,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
    PreconditionRequiredError,
    RetryLaterError,
    TaskTrackerError,
    TooLargeError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
)
from app.http.request_ids import current_request_id

logger = logging.getLogger(__name__)

STATUS_OF: dict[type[TaskTrackerError], HTTPStatus] = {
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    GoneError: HTTPStatus.GONE,
    PreconditionFailedError: HTTPStatus.PRECONDITION_FAILED,
    PreconditionRequiredError: HTTPStatus.PRECONDITION_REQUIRED,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    InvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
# The headers of an HTTPException that responses pass on. Its Content-Type describes an HTML page, which is not sent.
FORWARDED_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
# The scheme to authenticate with (RFC 6750 §3).
CHALLENGE = 'Bearer realm="tasktrackerpro"'
# For each error that the framework raises: its stable code and its detail.
FRAMEWORK_ERRORS = {
    400: ("bad_request", "the request cannot be read"),
    404: ("not_found", "there is nothing here"),
    405: ("method_not_allowed", "this resource does not support that method"),
    413: ("too_large", "the request body is too large"),
    414: ("uri_too_long", "the path and query are too long"),
    415: ("unsupported_media_type", "the body must be JSON, with Content-Type: application/json"),
    422: ("invalid", "the request is not valid"),
    500: ("internal_error", "something went wrong on the server; look for the request id in its log"),
}
# Responses stay small whatever the request was: this many problems are listed and the others only counted, and text
# from the request is quoted up to this length.
MAX_LISTED_PROBLEMS = 20
MAX_PROBLEMS_IN_DETAIL = 3
MAX_QUOTED_CHARACTERS = 500


def init_error_handlers(app: Flask, *, classic_blueprint: str, classic_names: Mapping[str, str]) -> None:
    """Call it after the routes are registered: they define the classic API's paths.

    `classic_names` maps our field names to those of the classic API.
    """
    classic_roots = {
        rule.rule.split("/")[1]
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(f"{classic_blueprint}.")
    }

    def answer(
        status: int,
        code: str,
        detail: str,
        problems: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] = {},
        **extra: object,
    ) -> Response:
        if request.path.split("/")[1] in classic_roots:
            message = _summary(problems, classic_names) or detail
            body, content_type = orjson.dumps({"error": message}), "application/json"
        else:
            body, content_type = _problem(status, code, detail, problems, **extra), "application/problem+json"
        return Response(body, status, dict(headers), content_type=content_type)

    @app.errorhandler(TaskTrackerError)
    def domain_error(error: TaskTrackerError) -> Response:
        extra = {"items": _refused_items(error)} if isinstance(error, BulkRefusedError) else {}
        return answer(
            _status_of(error), error.code, _shortened(error.detail), error.problems, _headers_of(error), **extra
        )

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        if error.response is not None:
            return error.response  # type: ignore[return-value]
        status = error.code or 500
        own_headers = dict(error.get_headers())
        headers = {name: own_headers[name] for name in FORWARDED_HEADERS if name in own_headers}
        code, detail = FRAMEWORK_ERRORS.get(status, ("error", HTTPStatus(status).phrase))
        if error.description and error.description != type(error).description:
            detail = error.description
        problems = tuple(_schema_problems(error))
        return answer(status, code, _summary(problems) or _shortened(detail), problems, headers)

    @app.errorhandler(Exception)
    def unexpected_error(error: Exception) -> Response:
        logger.error("unexpected error in %s %s", request.method, request.path, exc_info=error)
        return http_error(InternalServerError())


def _headers_of(error: TaskTrackerError) -> dict[str, str]:
    match error:
        case RetryLaterError():
            return {"Retry-After": str(error.retry_after_seconds)}
        case UnauthenticatedError():
            return {"WWW-Authenticate": CHALLENGE}
        case InsufficientScopeError():
            return {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope"'}
    return {}


def refused_item(named: Mapping[str, object], error: TaskTrackerError | None) -> dict[str, object]:
    """An item of a request with many: what names it, and why it was refused. None means that others are the reason."""
    if error is None:
        return {**named, "status": int(HTTPStatus.FAILED_DEPENDENCY)}
    problem: dict[str, object] = {"code": error.code, "detail": _shortened(error.detail)}
    if error.problems:
        problem["errors"] = _listed(error.problems)
    return {**named, "status": int(_status_of(error)), "problem": problem}


def _refused_items(error: BulkRefusedError) -> list[dict[str, object]]:
    return [refused_item(item.named, item.error) for item in error.items]


def _status_of(error: TaskTrackerError) -> HTTPStatus:
    return next(STATUS_OF[base] for base in type(error).__mro__ if base in STATUS_OF)


def _listed(problems: Sequence[FieldProblem]) -> list[dict[str, str]]:
    return [
        {"pointer": _shortened(problem.pointer), "detail": _shortened(problem.detail)}
        for problem in problems[:MAX_LISTED_PROBLEMS]
    ]


def _problem(status: int, code: str, detail: str, problems: Sequence[FieldProblem], **extra: object) -> bytes:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "request_id": current_request_id(),
        **extra,
    }
    if problems:
        body["errors"] = _listed(problems)
        body["error_count"] = len(problems)
    return orjson.dumps(body)


def _summary(problems: Sequence[FieldProblem], names: Mapping[str, str] | None = None) -> str:
    """The first few problems and the number of the others, in one line. `names` renames the fields."""
    shown = problems[:MAX_PROBLEMS_IN_DETAIL]
    details = [(_shortened(problem.pointer).strip("/"), _shortened(problem.detail)) for problem in shown]
    phrases = [f"{(names or {}).get(name, name)}: {detail}" if name else detail for name, detail in details]
    if len(problems) > len(shown):
        phrases.append(f"… and {len(problems) - len(shown):,} more")
    return "; ".join(phrases)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_QUOTED_CHARACTERS else text[:MAX_QUOTED_CHARACTERS] + "…"


def _schema_problems(error: HTTPException) -> Iterator[FieldProblem]:
    """The problems that marshmallow found. webargs passes them as {location: {field: [messages] or nested}}."""
    details = getattr(error, "data", None) or {}
    for messages in (details.get("messages") or {}).values():
        yield from _flattened("", messages)


def _flattened(pointer: str, messages: Any) -> Iterator[FieldProblem]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            step = "" if key == "_schema" else "/" + str(key).replace("~", "~0").replace("/", "~1")
            yield from _flattened(pointer + step, inner)
    else:
        details = messages if isinstance(messages, list) else [messages]
        yield from (FieldProblem(pointer, str(detail)) for detail in details)
