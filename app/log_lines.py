"""What a line of the log looks like: one JSON object, with the request that it speaks of."""

import logging
import re
import sys
from typing import Any

import orjson
import structlog

# Where PostgreSQL's errors quote the rows and statements that they refuse, password hashes among them.
QUOTED = re.compile(r"^(?:DETAIL|CONTEXT|HINT|LINE \d+): .*$(?:\n +\^$)?", flags=re.MULTILINE)


def init_logging(level: str) -> None:
    """One JSON object a line, with the request's id. No password or token is ever given to a logger."""
    shared: list[Any] = [
        structlog.stdlib.ExtraAdder(),
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _leave_out_quoted,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(lambda line, **_kwargs: orjson.dumps(line, default=str).decode()),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    # No line tells of them, and to know them takes system calls.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Says at every look at the schema how it looks.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if root.level == logging.INFO:
        # Three lines for each tick would bury what the jobs themselves have to say.
        logging.getLogger("celery").setLevel(logging.WARNING)


def _leave_out_quoted(_logger: Any, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if "exception" in line:
        line["exception"] = QUOTED.sub("…", line["exception"])
    return line
