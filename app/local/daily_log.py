"""`python main.py logs`: prints a day of the daily log, or what changed between two days."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

from app.composition.services import Services
from app.local.errors import StartError
from app.local.operator import OPERATOR, serving_operator
from app.queries.daily_log import TaskLogQuery
from app.queries.pages import MAX_PAGE_SIZE, Page
from app.settings import LaunchSettings

DEFAULT_WIDTH = 120
GAP = "  "
LOG_COLUMNS = ("ref", "status", "priority", "assignee", "due_at", "title")
DIFF_COLUMNS = ("change", "ref", "status", "priority", "assignee", "title")


def print_logs(launch: LaunchSettings, log_date: date | None, diff_from: date | None) -> None:
    """Raises StartError when there is no database to read, or the day has not been logged."""
    try:
        with serving_operator(launch) as services:
            for line in _lines(services, log_date, diff_from):
                print(line, flush=True)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would complain about the pipe again as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _lines(services: Services, log_date: date | None, diff_from: date | None) -> Iterator[str]:
    run = _run_of(services, log_date)
    day = date.fromisoformat(run["log_date"])
    if diff_from is not None:
        yield f"From {diff_from} to {day}"
        yield from _table(DIFF_COLUMNS, list(_differences(services, diff_from, day)))
        return
    state = "closed" if run["is_final"] else "up to now"
    yield f"{day} ({run['time_zone']}, {state}, {run['source']}): {run['task_count']} tasks"
    (counts,) = services.daily_log_reports.count_by_day(OPERATOR, TaskLogQuery(on=day)).items
    if counts.by_status:
        yield ", ".join(f"{status} {task_count}" for status, task_count in sorted(counts.by_status.items()))
    rows = _items(
        lambda cursor: services.task_logs.list_page(OPERATOR, TaskLogQuery(on=day, cursor=cursor, limit=MAX_PAGE_SIZE))[
            0
        ]
    )
    yield from _table(LOG_COLUMNS, list(rows))


def _run_of(services: Services, log_date: date | None) -> dict[str, Any]:
    """The run of that day, or the newest run if `log_date` is None."""
    runs = _items(lambda cursor: services.task_logs.list_runs(cursor=cursor, limit=MAX_PAGE_SIZE))
    run = next((run for run in runs if log_date is None or run["log_date"] == str(log_date)), None)
    if run is None:
        raise StartError("no day has been logged" if log_date is None else f"{log_date} has not been logged")
    return run


def _differences(services: Services, since: date, until: date) -> Iterator[dict[str, Any]]:
    for item in _items(
        lambda cursor: services.daily_log_reports.diff(
            OPERATOR, since=since, until=until, project=None, cursor=cursor, limit=MAX_PAGE_SIZE
        )
    ):
        before, after = item["before"] or {}, item["after"] or {}
        row = {name: _change(before.get(name), after.get(name), item["change"]) for name in DIFF_COLUMNS[1:]}
        yield {"change": item["change"], **row}


def _change(before: object, after: object, change: str) -> object:
    if change == "changed" and before != after:
        return f"{before or 'nobody'} -> {after or 'nobody'}"
    return before if change == "left" else after


def _items(load: Callable[[str | None], Page]) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = load(cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Format the rows as a table. The last column is shortened so that the table fits the terminal."""
    cells = [[_shown(row[column]) for column in columns] for row in rows]
    widths = [max([len(column), *(len(row[index]) for row in cells)]) for index, column in enumerate(columns)]
    room = shutil.get_terminal_size((DEFAULT_WIDTH, 0)).columns - sum(widths[:-1]) - len(GAP) * (len(columns) - 1)
    widths[-1] = max(min(widths[-1], room), len(columns[-1]))
    for row in ([column.upper() for column in columns], ["-" * width for width in widths], *cells):
        yield GAP.join(_fitted(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _fitted(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else cell[: width - 1] + "…"


def _shown(value: object) -> str:
    """The value without control characters, which a terminal would obey rather than show."""
    return "".join(character for character in str(value if value is not None else "-") if character.isprintable())
