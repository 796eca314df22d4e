"""The format of a log line: one JSON object, with the id of the request that it belongs to."""

import json
import logging
import re
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
import structlog

from app.output import STANDARD_OUTPUT, Output

# The extra fields of our own log calls. A library may attach anything, so the rest is left out.
FIELDS = (
    *("method", "path", "route", "status", "duration_ms", "outcome", "username", "address"),
    *("user_id", "token_id", "request_id"),
)
# The logger that reports when a process is ready. It writes at every log level, because the supervisor waits for it.
LIFECYCLE = "tasktrackerpro.lifecycle"
# The SQLSTATE class "data exception": even the first line of PostgreSQL's message quotes a value there.
QUOTING_CLASS = "22"
QUOTED = re.compile(r'".*"', flags=re.DOTALL)


def init_logging(level: str, *, write_line: Callable[[str], None] | None = None) -> None:
    """Log one JSON object a line. Passwords and tokens must never be passed to a logger.

    Logging never blocks the caller: while nobody reads the output, lines are dropped.
    """
    shared: list[Any] = [
        structlog.stdlib.ExtraAdder(allow=FIELDS),
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_traceback,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(_to_json),
        ],
    )
    handler = _LineHandler(write_line or _standard_output().write_line)
    handler.setFormatter(formatter)
    # No line contains the thread or the process, and finding them out takes system calls.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger(LIFECYCLE).setLevel(logging.INFO)
    # Alembic logs two lines whenever it looks at the schema.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").addFilter(_shorten_failed_job)
    if root.level == logging.INFO:
        # Celery's three lines for each tick would bury what the jobs log themselves.
        logging.getLogger("celery").setLevel(logging.WARNING)


class _LineHandler(logging.Handler):
    def __init__(self, write_line: Callable[[str], None]) -> None:
        super().__init__()
        self._write_line = write_line

    def emit(self, record: logging.LogRecord) -> None:
        self._write_line(self.format(record))


@cache
def _standard_output() -> Output:
    """The only output of the process, however often logging is set up."""
    return Output(STANDARD_OUTPUT, describe_dropped=_describe_dropped)


def _describe_dropped(count: int) -> str:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    event = f"{count} lines were dropped: nobody read them, or the disk was full"
    return _to_json({"event": event, "level": "warning", "logger": __name__, "timestamp": now})


def _shorten_failed_job(record: logging.LogRecord) -> bool:
    """Celery's line on a failed job quotes the error and the job's arguments; the traceback says enough."""
    job = getattr(record, "data", None)
    if record.exc_info and isinstance(job, dict):
        record.msg, record.args = "%s failed", (job.get("name"),)
    return True


def _add_traceback(_logger: Any, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Add the traceback without the rows and statements that PostgreSQL quotes: they may hold password hashes."""
    exc_info = line.pop("exc_info", None)
    _type, error, _traceback = sys.exc_info() if exc_info is True else exc_info or (None, None, None)
    if error is not None:
        line["exception"] = "".join(traceback.format_exception(_without_quotes(error))).rstrip()
    return line


def _without_quotes(error: BaseException) -> BaseException:
    """A copy of the error and its chain for the traceback, in which database errors have short messages."""
    copies: dict[int, BaseException] = {}
    unlinked: list[BaseException] = []

    def copy_of(original: BaseException) -> BaseException:
        if id(original) not in copies:
            copies[id(original)] = _copy(original, copy_of)
            unlinked.append(original)
        return copies[id(original)]

    copy = copy_of(error)
    while unlinked:
        original = unlinked.pop()
        linked = copies[id(original)].with_traceback(original.__traceback__)
        linked.__cause__ = original.__cause__ and copy_of(original.__cause__)
        linked.__context__ = original.__context__ and copy_of(original.__context__)
        linked.__suppress_context__ = original.__suppress_context__
        for note in getattr(original, "__notes__", ()):
            linked.add_note(str(note))
    return copy


def _copy(original: BaseException, copy_of: Callable[[BaseException], BaseException]) -> BaseException:
    """An error that shows the original's type and message, or a short message in place of a database error's."""
    kind, message = type(original), _short_message(original)
    shown_as = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__str__": lambda _self: str(original) if message is None else message,
    }
    copy: BaseException
    if isinstance(original, BaseExceptionGroup):
        members = [copy_of(member) for member in original.exceptions]
        copy = type(kind.__name__, (BaseExceptionGroup,), shown_as)(original.message, members)
    else:
        copy = type(kind.__name__, (BaseException,), shown_as)()
    return copy


def _short_message(error: BaseException) -> str | None:
    """The first line of a database error, which names the constraint; None for any other error."""
    driver_error = getattr(error, "orig", None) or error
    code, diagnostics = getattr(driver_error, "pgcode", None), getattr(driver_error, "diag", None)
    if code is None or diagnostics is None:
        return None
    kind = type(driver_error)
    prefix = "" if driver_error is error else f"({kind.__module__}.{kind.__qualname__}) "
    message = diagnostics.message_primary or ""
    if code.startswith(QUOTING_CLASS):
        message = QUOTED.sub('"…"', message)
    return f"{prefix}{message} (SQLSTATE {code})"


def _to_json(line: Any, **_options: Any) -> str:
    try:
        return orjson.dumps(line, default=str).decode()
    except TypeError:
        # orjson refuses some strings, such as half a surrogate pair; the standard library takes them.
        return json.dumps(line, default=str)
