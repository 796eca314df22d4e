"""When is a task of Todoist due? Its files hold dates as people typed them, such as `May 15` or `every monday`."""

from datetime import date

from app.csv_files.moments import formats_of, next_day_called, parse_date
from app.models.imports.task_import import DateFormat

_LINE = "Date in Todoist: "


def planned_date(text: str, date_format: DateFormat, uploaded_on: date) -> date | None:
    """Parse a date with or without a time. A day without a year is the next such day from the day of the upload on.

    None for other text, such as a repetition.
    """
    return (
        parse_date(text, date_format)
        or parse_date(text, DateFormat.MONTH_NAME)
        or next_day_called(text, from_day=uploaded_on)
    )


def is_a_plan(text: str) -> bool:
    """True for text that is a date in no format, such as a repetition."""
    return bool(text) and not formats_of(text)


def with_plan(description: str, plan: str) -> str:
    """Keep a plan that is no date as the last line of the description."""
    return "\n\n".join(filter(None, (description, _LINE + plan)))
