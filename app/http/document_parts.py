"""The parts of the OpenAPI document that its operations share: headers, parameters, and the answers about errors."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from app.http.idempotency import MAX_KEY_LENGTH

JSON = "application/json"
PROBLEM = "application/problem+json"


def _text_header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _number_header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "integer"}}


HEADERS = {
    "X-Request-ID": _text_header("the request's id, which the log lines of the server name"),
    "X-RateLimit-Limit": _number_header("the requests of the limit's window"),
    "X-RateLimit-Remaining": _number_header("how many of them are left"),
    "X-RateLimit-Reset": _number_header("when the window ends, in seconds since 1970"),
    # draft-ietf-httpapi-ratelimit-headers
    "RateLimit": _text_header("what is left of the limit, and for how many seconds"),
    "RateLimit-Policy": _text_header("the limit and its window in seconds"),
    "Retry-After": _number_header("the seconds to wait before the next try"),
    "WWW-Authenticate": _text_header("how to prove who you are (RFC 6750)"),
    "ETag": _text_header("the version; send it as If-Match or If-None-Match"),
    "Link": _text_header('the next page, with `rel="next"` (RFC 8288); absent on the last page'),
    "Location": _text_header("the path of what was made"),
    "Idempotency-Replayed": _text_header("`true` if an earlier request with this Idempotency-Key got this answer"),
    "X-Cache": _text_header("`hit` for a page from the cache, else `miss`"),
}
LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy")
# What an error means, and its headers beside those of all responses.
ERRORS: Mapping[HTTPStatus, tuple[str, tuple[str, ...]]] = {
    HTTPStatus.BAD_REQUEST: ("The request cannot be read.", ()),
    HTTPStatus.UNAUTHORIZED: ("There is no valid proof of who you are.", ("WWW-Authenticate",)),
    HTTPStatus.FORBIDDEN: ("Your role does not allow this.", ()),
    HTTPStatus.NOT_FOUND: ("There is no such thing, or you may not see it.", ()),
    HTTPStatus.CONFLICT: (
        "The present state does not allow this. With Retry-After, it may do so soon.",
        ("Retry-After",),
    ),
    HTTPStatus.GONE: ("It was there once, and does not come back.", ()),
    HTTPStatus.PRECONDITION_FAILED: ("The version is not the one that If-Match names.", ()),
    HTTPStatus.PRECONDITION_REQUIRED: ("This tracker requires If-Match (the setting REQUIRE_IF_MATCH).", ()),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("The body is too large.", ()),
    HTTPStatus.REQUEST_URI_TOO_LONG: ("The path and the query are too long.", ()),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("The body has another format than this operation reads.", ()),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("Some values are not valid. `errors` names them.", ()),
    HTTPStatus.TOO_MANY_REQUESTS: ("You have reached a limit.", ("Retry-After",)),
    HTTPStatus.SERVICE_UNAVAILABLE: ("The server is busy, or the database does not answer.", ("Retry-After",)),
}
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "description": "the `ETag` that you have read: if the version is another one now, nothing changes (412)",
    "schema": {"type": "string"},
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "a word of your choice: the same request with the same key is done once, and gets the same answer "
    "for 24 hours",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH},
}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "description": "the `ETag` that you have: if the version is still the same, the answer is 304 without a body",
    "schema": {"type": "string"},
}


def error_name(status: HTTPStatus, is_classic: bool) -> str:
    words = re.findall(r"[A-Za-z]+", status.phrase)
    return ("Classic" if is_classic else "") + "".join(word.capitalize() for word in words)


def error_response(status: HTTPStatus, is_classic: bool) -> dict[str, Any]:
    description, headers = ERRORS[status]
    media_type, schema = (JSON, "ClassicError") if is_classic else (PROBLEM, "Problem")
    return {
        "description": description,
        "headers": headers_of("X-Request-ID", *headers),
        "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def headers_of(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
