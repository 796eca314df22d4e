import csv
import io
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.csv_files.blocks import CsvFile
from app.csv_files.columns import FIELD_OF
from app.csv_files.rows import RefusedRow, RowReader
from app.csv_files.writing import (
    ReportedRow,
    report_header,
    report_rows,
    value_file,
    value_header,
    value_rows,
)
from app.models.imports.task_import import DateFormat
from app.models.tasks.fields import EXPORTED, MAX_LABEL_LENGTH, TaskPriority, TaskStatus
from tests.settings import CSV_LIMITS
from tests.unhurried import UNHURRIED

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
FORMULAS = ["=1+1", "+49 89", "-5", "@ada", '=cmd|" /C calc"!A0', "'=quoted"]
FIRST_MOMENT, LAST_MOMENT = (datetime.fromisoformat(text) for text in ("0002-01-01", "9998-12-31T23:59:59.999999"))


class TestExport:
    def test_the_header_names_the_columns(self):
        assert value_header(EXPORTED).content == ",".join(EXPORTED).encode() + b"\r\n"

    def test_each_task_is_a_line(self):
        line = value_rows([task()]).content

        assert (
            line
            == b"OPS-1,OPS,Paint,Green,in_progress,high,red,ada,,,3,,,2026-03-09T12:00:00.000000+00:00,,,JIRA-7\r\n"
        )

    def test_none_becomes_an_empty_cell(self):
        (cells,) = cells_of(value_rows([task(description="", assignee=None, labels=[], external_ref=None)]))

        by_name = dict(zip(EXPORTED, cells, strict=True))
        assert {name for name, cell in by_name.items() if not cell} == {
            "description",
            "assignee",
            "labels",
            "start_on",
            "due_at",
            "recurrence",
            "parent",
            "started_at",
            "completed_at",
            "external_ref",
        }

    def test_no_tasks_make_no_lines(self):
        assert value_rows([]).content == b""

    @pytest.mark.parametrize("formula", FORMULAS)
    @pytest.mark.parametrize("column", ["title", "description", "assignee", "external_ref"])
    def test_formulas_are_defused(self, column, formula):
        (cells,) = cells_of(value_rows([task(**{column: formula})]))

        assert cells[EXPORTED.index(column)] == "'" + formula

    def test_numbers_and_days_stay_as_they_are(self):
        assert value_rows([[-5, 2.5, date(2026, 3, 9)]]).content == b"-5,2.5,2026-03-09\r\n"

    def test_a_file_of_a_few_rows_has_a_header_and_counts_its_rows(self):
        header, rows = value_file(["week", "task_count"], [[date(2026, 3, 9), 3]])

        assert header.content + rows.content == b"week,task_count\r\n2026-03-09,3\r\n"
        assert (header.row_count, rows.row_count) == (0, 1)

    def test_labels_are_defused_as_one_cell(self):
        (cells,) = cells_of(value_rows([task(labels=["=a", "=b", "c, d"])]))

        assert cells[EXPORTED.index("labels")] == '\'=a, =b, "c, d"'

    def test_quotes_newlines_and_delimiters_stay_in_their_cell(self):
        description = 'One, "two"\r\nthree;\tfour\nfive'

        (cells,) = cells_of(value_rows([task(description=description)]))

        assert cells[EXPORTED.index("description")] == description

    def test_the_text_is_utf_8(self):
        assert "Größe 😀".encode() in value_rows([task(title="Größe 😀")]).content

    def test_reads_back_without_an_ignored_column(self):
        file = opened(value_header(EXPORTED).content + value_rows([task()]).content)

        assert file.layout.ignored == ()
        assert file.layout.fields == set(FIELD_OF.values())

    @given(
        title=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=60)
        .map(str.strip)
        .filter(bool),
        description=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60).map(
            str.strip
        ),
        labels=st.lists(
            st.text(st.sampled_from("ab,;'\"=-@ \n"), min_size=1, max_size=MAX_LABEL_LENGTH)
            .map(str.strip)
            .filter(bool),
            max_size=5,
            unique=True,
        ),
        status=st.sampled_from(TaskStatus),
        priority=st.sampled_from(TaskPriority),
        due_at=st.none() | st.datetimes(FIRST_MOMENT, LAST_MOMENT, timezones=st.just(UTC)),
    )
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_any_task_reads_back_the_same(self, **fields):
        exported = task(**fields)

        (read,) = read_back(value_header(EXPORTED).content + value_rows([exported]).content)

        assert {name: getattr(read.row, name) for name in fields} == fields
        assert (read.row.created_at, read.row.assignee, read.row.external_ref) == (NOON, "ada", "JIRA-7")


class TestReport:
    def test_has_the_header_of_the_file_and_a_column_of_errors(self):
        assert report_header(["Summary", " State "]).content == b"Summary, State ,error\r\n"

    def test_a_row_keeps_its_cells_and_gets_its_errors(self):
        rows = [ReportedRow(3, [" Paint ", "maybe"], "line 4, column State: 'maybe' is not a status")]

        assert cells_of(report_rows(["Summary", "State"], rows)) == [
            [" Paint ", "maybe", "line 4, column State: 'maybe' is not a status"]
        ]

    def test_ignored_columns_are_included(self):
        rows = [ReportedRow(1, ["red", "", "x"], "bad")]

        assert cells_of(report_rows(["colour", "title", "colour"], rows)) == [["red", "", "x", "bad"]]

    def test_a_row_with_too_few_cells_has_its_errors_in_the_column_of_errors(self):
        assert cells_of(report_rows(["title", "status"], [ReportedRow(1, ["Paint"], "bad")])) == [["Paint", "", "bad"]]

    def test_a_row_with_too_many_cells_keeps_them_all(self):
        rows = [ReportedRow(1, ["Paint", "todo", "more"], "bad")]

        assert cells_of(report_rows(["title", "status"], rows)) == [["Paint", "todo", "more", "bad"]]

    @pytest.mark.parametrize("name", ["error", "Error", " ERROR "])
    def test_the_errors_of_an_earlier_report_are_left_out(self, name):
        rows = [ReportedRow(1, ["Paint", "line 2: old", "maybe"], "new")]

        assert report_header(["title", name, "status"]).content == b"title,status,error\r\n"
        assert cells_of(report_rows(["title", name, "status"], rows)) == [["Paint", "maybe", "new"]]

    @pytest.mark.parametrize("formula", FORMULAS)
    def test_formulas_in_cells_are_defused_once(self, formula):
        (cells,) = cells_of(report_rows(["title"], [ReportedRow(1, [formula], "bad")]))
        (again,) = cells_of(report_rows(["title"], [ReportedRow(1, cells[:1], "bad")]))

        assert again[0] == cells[0]
        assert cells[0].startswith("'")

    @pytest.mark.parametrize("name", FORMULAS)
    def test_column_names_are_defused(self, name):
        """The reader of the report may be someone other than the sender of the file."""
        (header,) = cells_of(report_header(["title", name]))

        assert header[-1] == "error"
        assert not header[1].startswith(("=", "+", "-", "@"))

    def test_an_error_is_never_a_formula(self):
        (cells,) = cells_of(report_rows(["=A1"], [ReportedRow(1, ["x"], "line 2, column =A1: bad")]))

        assert cells[-1] == "line 2, column =A1: bad"

    def test_no_rows_make_no_lines(self):
        assert report_rows(["title"], []).content == b""

    def test_is_refused_for_the_same_reasons_until_it_is_corrected(self):
        content = b'task_name,status,colour\n=1+1,maybe,red\n"Two\nlines",never,\n'

        (first, second) = read_back(reported(content))
        assert [problem.reason.split(" ")[0] for problem in first.problems] == ["'maybe'"]
        assert [problem.reason.split(" ")[0] for problem in second.problems] == ["'never'"]

        (first, second) = read_back(reported(content).replace(b"maybe", b"todo").replace(b",never,", b",done,"))
        assert [(read.row.title, read.row.status) for read in (first, second)] == [
            ("=1+1", TaskStatus.TODO),
            ("Two\nlines", TaskStatus.DONE),
        ]

    def test_a_report_on_a_report_is_the_same(self):
        content = b"task_name,status\n=1+1,maybe\n'=1+1,never\n"

        once = reported(content)

        assert reported(once) == once

    @given(
        cells=st.lists(
            st.lists(
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
                min_size=2,
                max_size=2,
            ),
            min_size=1,
            max_size=4,
        )
    )
    @hypothesis_settings(UNHURRIED, max_examples=200)
    def test_any_cells_read_back_the_same(self, cells):
        rows = [ReportedRow(number, each, "bad") for number, each in enumerate(cells, 1)]

        written = cells_of(report_rows(["title", "description"], rows))

        assert all(cell[:1] not in set("=+-@\t\r\n") for each in written for cell in each if cell)
        assert [[cell.strip().lstrip("'") for cell in each[:2]] for each in written] == [
            [cell.strip().lstrip("'") for cell in each] for each in cells
        ]


def task(**fields):
    values = {
        "ref": "OPS-1",
        "project": "OPS",
        "title": "Paint",
        "description": "Green",
        "status": TaskStatus.IN_PROGRESS,
        "priority": TaskPriority.HIGH,
        "labels": ["red"],
        "assignee": "ada",
        "start_on": None,
        "due_at": None,
        "estimate": 3.0,
        "recurrence": None,
        "parent": None,
        "created_at": NOON,
        "started_at": None,
        "completed_at": None,
        "external_ref": "JIRA-7",
        **fields,
    }
    return [values[name] for name in EXPORTED]


def cells_of(lines):
    return list(csv.reader(io.StringIO(lines.content.decode(), newline=""), strict=True))


def opened(content):
    return CsvFile(io.BytesIO(content), CSV_LIMITS)


def read_back(content):
    file = opened(content)
    reader = RowReader(
        file.layout,
        file.delimiter,
        ZoneInfo("UTC"),
        date_format=DateFormat.US,
        cell_characters=CSV_LIMITS.cell_characters,
        uploaded_on=date(2026, 3, 1),
    )
    return [
        row
        for block in file.blocks()
        for row in reader.read(
            block.text, first_row=block.first_row, first_line=block.first_line, first_sheet_row=block.first_sheet_row
        )
    ]


def reported(content):
    """Write the report on the refused rows of a file."""
    refused = [row for row in read_back(content) if isinstance(row, RefusedRow)]
    rows = [ReportedRow(row.row_number, row.cells, row.problems[0].reason) for row in refused]
    header = opened(content).header
    return report_header(header).content + report_rows(header, rows).content
