"""How the arguments of a request are read: with schemas, from its query, headers, JSON or form."""

import re
from collections import Counter
from functools import cache
from itertools import islice
from typing import Any

import orjson
from marshmallow import Schema, ValidationError, missing
from webargs.flaskparser import FlaskParser
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from app.http.uploads import current_upload

# Commas, colons and opening brackets, one or two for each value. The largest sensible input has a few thousand.
MAX_JSON_SEPARATORS = 25_000
# A string that is not closed ends with the body.
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|(?P<separator>[,:\[])', re.DOTALL)


# The queries that a process keeps once it has read them, and the longest of them.
MAX_READ_QUERIES = 1024
MAX_READ_QUERY_BYTES = 512


class ArgumentsParser(FlaskParser):
    # A misspelt filter would otherwise silently list everything.
    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 - webargs declares it for instances
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": None,
        "form": None,
        "files": None,
    }

    def __init__(self) -> None:
        super().__init__()
        self._read_queries: dict[tuple[Schema, bytes], Any] = {}

    def parse(self, argmap: Any, req: Any = None, *, location: str | None = None, **options: Any) -> Any:
        """Load and validate the arguments. A query that this process has read before is not read again.

        Only hashable values are kept, because a view may change any other. A schema must not ask the clock: what it
        makes of a text must stay true.
        """
        req = req or self.get_default_request()
        if location != "query" or len(req.query_string) > MAX_READ_QUERY_BYTES:
            return super().parse(argmap, req, location=location, **options)
        key = (argmap, req.query_string)
        query = self._read_queries.get(key)
        if query is None:
            query = super().parse(argmap, req, location=location, **options)
            if _is_hashable(query):
                if len(self._read_queries) >= MAX_READ_QUERIES:
                    self._read_queries.clear()
                self._read_queries[key] = query
        return query

    def load_json(self, req: Any, schema: Any) -> Any:
        """Parse the body with orjson, which refuses NaN and lone surrogates. webargs itself would accept them."""
        body = req.get_data()
        if not body:
            if getattr(schema, "needs_body", True):
                raise ValidationError("A JSON body is needed.")
            return missing
        if not req.is_json:
            raise UnsupportedMediaType
        _ensure_few_values(body)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise BadRequest("the body is not JSON") from None

    def load_querystring(self, req: Any, schema: Any) -> Any:
        return self._without_repetition(req.args, schema)

    def load_form(self, _req: Any, schema: Any) -> Any:
        return self._without_repetition(MultiDict(current_upload().fields), schema)

    @staticmethod
    def _without_repetition(values: MultiDict[str, Any], schema: Any) -> Any:
        """Refuse a value that is given twice: one of the two would be ignored silently."""
        multiple = _multiple_keys(schema)
        repeated = [name for name, said in values.lists() if len(said) > 1 and name not in multiple]
        if repeated:
            raise ValidationError({name: ["Say it once."] for name in repeated})
        # The schema looks at each of its fields, and webargs' proxy takes longer to say that there is no value.
        return {name: values.getlist(name) if name in multiple else values[name] for name in values}

    def load_files(self, _req: Any, schema: Any) -> Any:
        file = current_upload().file
        return MultiDictProxy(MultiDict([] if file is None else [(file.name, file)]), schema)


@cache
def _multiple_keys(schema: Schema) -> set[str]:
    """The names of the values that may be given several times."""
    return MultiDictProxy(MultiDict(), schema).multiple_keys


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _ensure_few_values(body: bytes) -> None:
    """Raise RequestEntityTooLarge for a body with too many values.

    Call it before the body is parsed: a value of two bytes becomes an object of a hundred.
    """
    if sum(map(body.count, (b",", b":", b"["))) <= MAX_JSON_SEPARATORS:
        return
    # Separators within strings do not count. There are at most two strings for each separator outside of strings.
    tokens = islice(_JSON_TOKEN.finditer(body), 3 * MAX_JSON_SEPARATORS)
    kinds = Counter(token.lastgroup for token in tokens)
    if kinds["separator"] > MAX_JSON_SEPARATORS or kinds.total() == 3 * MAX_JSON_SEPARATORS:
        raise RequestEntityTooLarge("the body has too many values")
