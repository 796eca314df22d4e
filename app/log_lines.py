"""The format of a log line: one JSON object, with the id of the request that it is about."""

import json
import logging
import re
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from app.output import STANDARD_OUTPUT, Output

# What our own lines tell beside their words; a library's may hold anything.
FIELDS = ("method", "path", "route", "status", "duration_ms", "outcome", "username", "address", "user_id", "request_id")
# The SQLSTATE class "data exception": there, the first line of PostgreSQL's words quotes a value too.
QUOTING_CLASS = "22"
QUOTED = re.compile(r'".*"', flags=re.DOTALL)


def init_logging(level: str, *, write_line: Callable[[str], None] | None = None) -> None:
    """One JSON object a line, with the request's id. No password or token is ever given to a logger.

    A line never holds up who logs it: where nobody reads the output, it is dropped.
    """
    shared: list[Any] = [
        structlog.stdlib.ExtraAdder(allow=FIELDS),
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _tell_exception,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(_in_json),
        ],
    )
    handler = _LineHandler(write_line or _output.write_line)
    handler.setFormatter(formatter)
    # No line tells of them, and to know them takes system calls.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Says at every look at the schema how it looks.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_brief_on_failed_job)
    if root.level == logging.INFO:
        # Three lines for each tick would bury what the jobs themselves have to say.
        logging.getLogger("celery").setLevel(logging.WARNING)


class _LineHandler(logging.Handler):
    def __init__(self, write_line: Callable[[str], None]) -> None:
        super().__init__()
        self._write_line = write_line

    def emit(self, record: logging.LogRecord) -> None:
        self._write_line(self.format(record))


def _describe_dropped(count: int) -> str:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    words = f"{count} lines were dropped: nobody read them, or there was no room for them"
    return _in_json({"event": words, "level": "warning", "logger": __name__, "timestamp": now})


_output = Output(STANDARD_OUTPUT, describe_dropped=_describe_dropped)


def _brief_on_failed_job(record: logging.LogRecord) -> bool:
    """Celery puts an error's words and its job's arguments into the line; who did not foresee it has the traceback."""
    job = getattr(record, "data", None)
    if record.exc_info and isinstance(job, dict):
        record.msg, record.args = "%s failed", (job.get("name"),)
    return True


def _tell_exception(_logger: Any, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The traceback, without what PostgreSQL quotes of rows and statements: passwords' hashes may be among it."""
    given = line.pop("exc_info", None)
    _kind, error, _traceback = exc_info = sys.exc_info() if given is True else given or (None, None, None)
    if error is not None:
        told = traceback.TracebackException(*exc_info, compact=True)
        _shorten(told, error)
        line["exception"] = "".join(told.format()).rstrip()
    return line


def _shorten(told: traceback.TracebackException | None, error: BaseException | None) -> None:
    """Shorten the messages of all errors that the traceback shows."""
    if told is None or error is None:
        return
    if (words := _briefly(error)) is not None:
        # What it was made of as it was made; there is no other way to tell it otherwise.
        told._str = words  # type: ignore[attr-defined]  # noqa: SLF001
    _shorten(told.__cause__, error.__cause__)
    _shorten(told.__context__, error.__context__)
    if isinstance(error, BaseExceptionGroup):
        for told_one, one in zip(told.exceptions or (), error.exceptions, strict=True):
            _shorten(told_one, one)


def _briefly(error: BaseException) -> str | None:
    """A database error in its first line of words, which names the constraint; None for any other."""
    refused = getattr(error, "orig", None) or error
    code, diagnostics = getattr(refused, "pgcode", None), getattr(refused, "diag", None)
    if code is None or diagnostics is None:
        return None
    kind = "" if refused is error else f"({type(refused).__module__}.{type(refused).__qualname__}) "
    words = diagnostics.message_primary or ""
    if code.startswith(QUOTING_CLASS):
        words = QUOTED.sub('"…"', words)
    return f"{kind}{words} (SQLSTATE {code})"


def _in_json(line: Any, **_options: Any) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:
        # Half a surrogate pair, say: a line that orjson refuses is told all the same.
        return json.dumps(line, default=str)
