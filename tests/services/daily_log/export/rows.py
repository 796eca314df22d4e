"""Read the rows of a file, and those of the same list as JSON."""

import csv
import io
from dataclasses import replace

from app.queries.daily_log import TaskLogQuery


def csv_of(pieces):
    content = b"".join(lines.content for lines in pieces)
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def exported(service, actor, **filters):
    return csv_of(service.write_csv(actor, TaskLogQuery(**filters)))


def listed(services, actor, **filters):
    """All items of the list, page by page, as CSV shows their values."""
    items, query = [], TaskLogQuery(**filters)
    while True:
        page, _was_cached = services.task_logs.list_page(actor, query)
        items += page.items
        if page.next_cursor is None:
            return [{name: as_cell(value) for name, value in item.items()} for item in items]
        query = replace(query, cursor=page.next_cursor)


def as_cell(value):
    return "" if value is None else str(value)
