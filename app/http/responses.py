"""How a response is built: JSON as it comes from PostgreSQL, ETags from versions, links to the next page."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from flask import Flask, Response, current_app, request
from flask.json.provider import JSONProvider
from werkzeug.http import parse_etags

from app.errors import PreconditionRequiredError
from app.queries.pages import JsonRow, Page, Precondition, VersionedRow
from app.settings import Settings


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson, which refuses NaN and lone surrogates. The standard library accepts them."""

    def dumps(self, obj: Any, **_kwargs: Any) -> str:
        return orjson.dumps(obj).decode()

    def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
        return orjson.loads(s)


def init_json(app: Flask) -> None:
    app.json = OrjsonProvider(app)


def json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, content_type="application/json")


def value_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Serialise a value: dictionaries, lists, dataclasses, dates, enums."""
    return json_response(_printed(value), status, headers)


def row_response(row: JsonRow, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_response(row.json, status, headers)


def no_content() -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def versioned_response(row: VersionedRow, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A row with its version as a strong ETag, or a 304 if the client has that version already."""
    tag = ".".join(filter(None, (_tag(row.id, row.version), row.freshness)))
    if request.method == "GET" and request.if_none_match.contains_weak(tag):
        response = Response(status=304)
    else:
        response = row_response(row, status, headers)
    response.set_etag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def versioned_or_moved(row: VersionedRow, moved_to: str | None) -> Response:
    """The row, or a redirect if `moved_to` is the name by which it is found now, in place of the path's last part."""
    if moved_to is None:
        return versioned_response(row)
    path, query = quote(request.path.rpartition("/")[0]), request.query_string.decode("ascii", "replace")
    location = f"{path}/{quote(moved_to)}" + (f"?{query}" if query else "")
    # Only the caller may learn where it is, and they may lose sight of it.
    response = Response(status=301, headers={"Location": location, "Cache-Control": "private, no-cache"})
    del response.headers["Content-Type"]
    return response


def init_preconditions(app: Flask, settings: Settings) -> None:
    app.config["REQUIRE_IF_MATCH"] = settings.require_if_match


def precondition(*, may_be_required: bool = True) -> Precondition | None:
    """The condition that If-Match sets (RFC 9110 §13.1.1). None when the request sets none.

    Raises PreconditionRequiredError when it must set one (RFC 6585 §3).
    """
    if "If-Match" not in request.headers:
        if may_be_required and current_app.config["REQUIRE_IF_MATCH"]:
            raise PreconditionRequiredError("send If-Match with the ETag that you have read")
        return None
    return precondition_of(request.headers["If-Match"])


def precondition_of(header: str) -> Precondition:
    """The condition that this text sets as If-Match."""
    etags = parse_etags(header)
    # A tag may have a third part, which says how fresh the answer was beside the row's own version.
    versions = {".".join(tag.split(".")[:2]) for tag in etags.as_set() if tag}
    return lambda row_id, version: etags.star_tag or _tag(row_id, version) in versions


def envelope_of(page: Page, **extra: object) -> bytes:
    """A page as the client receives it, with the `extra` fields beside its items."""
    parts = [b'{"items":[', page.rows, b'],"next_cursor":', orjson.dumps(page.next_cursor)]
    if page.total is not None:
        parts.append(b',"total":%d,"total_is_capped":' % page.total.count)
        parts.append(orjson.dumps(page.total.is_capped))
    for name, value in extra.items():
        parts.append(b',"%s":%s' % (name.encode(), orjson.dumps(value)))
    return b"".join([*parts, b"}"])


def page_response(page: Page, *, was_cached: bool | None = None, **extra: object) -> Response:
    """A page with a link to the next one (RFC 8288), and `X-Cache` unless `was_cached` is None."""
    response = json_response(envelope_of(page, **extra))
    if page.next_cursor is not None:
        query = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
        url = f"{quote(request.path)}?{urlencode([*query, ('cursor', page.next_cursor)])}"
        response.headers["Link"] = f'<{url}>; rel="next"'
    if was_cached is not None:
        response.headers["X-Cache"] = cache_status(was_cached)
    return response


def items_response(items: Sequence[Mapping[str, object]], next_cursor: str | None) -> Response:
    """A page of items that are not serialised yet."""
    return page_response(Page(_printed(items)[1:-1], next_cursor))


def _printed(value: object) -> bytes:
    return orjson.dumps(value, _print_time, orjson.OPT_PASSTHROUGH_DATETIME)


def _print_time(value: object) -> str:
    """A time as all other answers print it: in UTC, and with six digits."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError


def cache_status(was_cached: bool) -> str:
    """The value of `X-Cache`."""
    return "hit" if was_cached else "miss"


def etag_of(row_id: int, version: int) -> str:
    """The ETag of a version as the header has it, with its quotation marks."""
    return f'"{_tag(row_id, version)}"'


def _tag(row_id: int, version: int) -> str:
    return f"{row_id}.{version}"
