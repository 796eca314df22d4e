import csv
import io
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.errors import UnreadableCsvError
from app.models.task import TaskPriority, TaskStatus
from app.services.csv_reading import ReadRow, read_rows

# How long an example takes is the machine's affair.
UNHURRIED = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TABLE_HEADER = "task_name,description,status,priority,created_at,assigned_user"


class TestGoodRow:
    def test_every_column_of_the_table_is_read(self):
        row = staged(TABLE_HEADER, "Paint the shed,Green,in progress,urgent,3/9/2026,ada")

        assert row.row_number == 1
        assert (row.title, row.description) == ("Paint the shed", "Green")
        assert (row.status, row.priority) == (TaskStatus.IN_PROGRESS, TaskPriority.CRITICAL)
        assert row.created_at == datetime(2026, 3, 9, tzinfo=UTC)
        assert row.assignee == "ada"

    def test_our_own_columns_are_read(self):
        row = staged("title,due_at,labels,assignee", "Paint,2026-03-09T17:30:00+01:00,red; green ;red,ada")

        assert row.due_at == datetime(2026, 3, 9, 16, 30, tzinfo=UTC)
        assert row.labels == ("red", "green")

    def test_a_title_is_enough(self):
        row = staged("task_name", "Paint")

        assert (row.description, row.status, row.priority) == ("", TaskStatus.TODO, TaskPriority.MEDIUM)
        assert (row.created_at, row.due_at, row.labels, row.assignee) == (None, None, (), None)

    def test_empty_cells_are_what_is_absent(self):
        row = staged(TABLE_HEADER + ",due_at,labels", "Paint,,,,,,,")

        assert (row.description, row.status, row.priority) == ("", TaskStatus.TODO, TaskPriority.MEDIUM)
        assert (row.created_at, row.due_at, row.labels, row.assignee) == (None, None, (), None)

    def test_space_around_a_cell_does_not_count(self):
        assert staged("task_name,status", "  Paint  ,\tdone ").title == "Paint"

    @pytest.mark.parametrize("title", ["=1+1", "+49 89", "-5", "@ada", '=HYPERLINK("http://x")', "'quoted"])
    def test_what_a_spreadsheet_would_reckon_with_is_text(self, title):
        cell = '"' + title.replace('"', '""') + '"'

        assert staged("task_name,description", f"{cell},{cell}").title == title

    @pytest.mark.parametrize(
        "header",
        ["Task Name", "TASK-NAME", "task_name", "Title", " summary ", '"task_name"', "Subject", "name", "task"],
    )
    def test_the_title_column_has_many_names(self, header):
        assert staged(header, "Paint").title == "Paint"

    @pytest.mark.parametrize("header", ["assigned_user", "Assignee", "Assigned To"])
    def test_the_assignees_column_has_many_names(self, header):
        assert staged(f"title,{header}", "Paint,ada").assignee == "ada"


class TestDate:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("3/9/2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("12/31/2026", datetime(2026, 12, 31, tzinfo=UTC)),
            ("03/09/2026", datetime(2026, 3, 9, tzinfo=UTC)),
            ("2/29/2028", datetime(2028, 2, 29, tzinfo=UTC)),
            ("3/9/2026 9:05", datetime(2026, 3, 9, 9, 5, tzinfo=UTC)),
            ("3/9/2026 17:05:30", datetime(2026, 3, 9, 17, 5, 30, tzinfo=UTC)),
            ("2026-03-09", datetime(2026, 3, 9, tzinfo=UTC)),
            ("2026-03-09 17:05", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09T17:05:00Z", datetime(2026, 3, 9, 17, 5, tzinfo=UTC)),
            ("2026-03-09T17:05:00-05:00", datetime(2026, 3, 9, 22, 5, tzinfo=UTC)),
        ],
    )
    def test_is_read_as_people_write_it(self, words, expected):
        assert staged("task_name,created_at", f"Paint,{words}").created_at == expected

    def test_without_a_time_it_is_midnight_in_the_workspaces_zone(self):
        row = staged("task_name,due_at", "Paint,7/1/2026", zone="Europe/Berlin")

        assert row.due_at == datetime(2026, 6, 30, 22, tzinfo=UTC)

    def test_an_offset_of_its_own_counts(self):
        row = staged("task_name,due_at", "Paint,2026-07-01T00:00:00Z", zone="Europe/Berlin")

        assert row.due_at == datetime(2026, 7, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        "words",
        [
            "2/30/2026",
            "2/29/2026",
            "13/1/2026",
            "0/1/2026",
            "1/0/2026",
            "31/12/2026",
            "3/9/26",
            "3/9",
            "3/9/02026",
            "2026-02-30",
            "2026-13-01",
            "yesterday",
            "45000",
            "3/9/2026 25:00",
            "3/9/2026 5 pm",
            "-3/9/2026",
            "٣/٩/٢٠٢٦",
            "9" * 6000 + "/1/2026",
        ],
        ids=lambda words: ascii(words)[:30],
    )
    def test_one_that_does_not_exist_is_refused(self, words):
        (problem,) = problems("task_name,created_at", f"Paint,{words}")

        assert problem.column == "created_at"
        assert problem.reason == f"{words[:200]!r} is not a date; write YYYY-MM-DD or M/D/YYYY"

    @pytest.mark.parametrize("column", ["created_at", "due_at"])
    @pytest.mark.parametrize("words", ["0001-01-01", "1/1/0001", "9999-12-31", "12/31/9999", "0001-01-01T00:00+14:00"])
    def test_a_year_that_cannot_be_kept_is_refused(self, column, words):
        """What PostgreSQL writes back of the first and the last year is no date that Python reads."""
        (problem,) = problems(f"task_name,{column}", f"Paint,{words}")

        assert problem.column == column

    def test_an_offset_behind_an_american_time_is_not_passed_over(self):
        (row,) = read("task_name,due_at", "Paint,3/9/2026 17:05+05:00")

        assert row.problems or row.staged.due_at == datetime(2026, 3, 9, 12, 5, tzinfo=UTC)

    @given(day=st.dates(date(2, 1, 1), date(9998, 12, 31)))
    @UNHURRIED
    def test_every_day_reads_in_either_writing(self, day):
        american = f"{day.month}/{day.day}/{day.year:04}"

        first, second = (row.staged for row in read("task_name,due_at", f"A,{day.isoformat()}", f"B,{american}"))

        assert first.due_at == second.due_at == datetime(day.year, day.month, day.day, tzinfo=UTC)


class TestBadCell:
    @pytest.mark.parametrize(
        ("column", "cell", "reason"),
        [
            ("task_name", "", "is empty; a task needs a title"),
            ("task_name", "   ", "is empty; a task needs a title"),
            ("task_name", "x" * 256, "has 256 characters; 255 are the most"),
            ("description", "x" * 20_001, "has 20001 characters; 20000 are the most"),
            (
                "status",
                "maybe",
                "'maybe' is not a status; say one of todo, in_progress, blocked, done, cancelled",
            ),
            ("priority", "asap", "'asap' is not a priority; say one of low, medium, high, critical"),
            ("created_at", "soon", "'soon' is not a date; write YYYY-MM-DD or M/D/YYYY"),
            ("due_at", "2/30/2026", "'2/30/2026' is not a date; write YYYY-MM-DD or M/D/YYYY"),
            ("assigned_user", "Me", "'Me' is nobody's name; leave the cell empty for nobody"),
            ("assigned_user", "none", "'none' is nobody's name; leave the cell empty for nobody"),
            ("assigned_user", "x" * 65, "has 65 characters; 64 are the most"),
            ("assigned_user", '"ada\nlovelace"', "holds characters that a name cannot have"),
            ("labels", '"' + ",".join(f"label{n}" for n in range(21)) + '"', "holds 21 labels; 20 are the most"),
            ("labels", "x" * 51, "has 51 characters; 50 are the most"),
        ],
    )
    def test_is_told_by_column_value_and_reason(self, column, cell, reason):
        other = "status" if column == "task_name" else "task_name"
        (problem,) = problems(f"{other},{column}", f"{'todo' if other == 'status' else 'Paint'},{cell}")

        assert (problem.row_number, problem.line_number) == (1, 2)
        assert problem.column == column
        assert problem.reason == reason
        assert problem.value == cell.strip('"')[:200]

    @pytest.mark.parametrize(
        ("column", "length"), [("task_name", 255), ("description", 20_000), ("assigned_user", 64), ("labels", 50)]
    )
    def test_the_longest_is_still_good(self, column, length):
        header = "task_name" if column == "task_name" else f"task_name,{column}"
        cells = "x" * length if column == "task_name" else "Paint," + "x" * length

        assert staged(header, cells)

    def test_every_problem_of_a_row_is_told(self):
        found = problems("task_name,status,priority,due_at", ",maybe,asap,soon")

        assert [problem.column for problem in found] == ["task_name", "status", "priority", "due_at"]

    def test_the_column_is_called_what_the_file_calls_it(self):
        (problem,) = problems("Summary, State ", "Paint,maybe")

        assert problem.column == "State"

    def test_the_rows_around_it_are_good(self):
        first, second, third = read("task_name,status", "One,todo", "Two,maybe", "Three,done")

        assert (first.staged.title, third.staged.title) == ("One", "Three")
        assert second.staged is None
        assert third.staged.row_number == 3

    @pytest.mark.parametrize(("cells", "count"), [("Paint", 1), ("Paint,todo,high", 3), ("Paint,todo,", 3)])
    def test_too_many_or_too_few_cells_are_told_of_the_row(self, cells, count):
        (problem,) = problems("task_name,status", cells)

        assert (problem.column, problem.value) == (None, None)
        assert problem.reason == f"has {count} cells, the header has 2"

    def test_nul_behind_the_beginning_of_the_file_is_told_of_its_cell(self):
        filler = "x" * 200
        lines = ["task_name,description", *[f"Task {n},{filler}" for n in range(400)], "Bad \x00 one,", "Last,"]

        *_, bad, last = read(*lines)

        assert [problem.reason for problem in bad.problems] == ["holds a NUL character"]
        assert "\x00" not in bad.problems[0].value
        assert last.staged.title == "Last"

    @pytest.mark.parametrize("column", ["task_name", "description", "status", "due_at", "assigned_user", "labels"])
    def test_nul_in_wide_text_is_refused_in_every_column(self, column):
        header = "task_name,description,status,due_at,assigned_user,labels"
        cells = {"task_name": "Paint", column: "a\x00b"}
        line = ",".join(cells.get(name, "") for name in header.split(","))

        (row,) = read_bytes(f"{header}\n{line}\n".encode("utf-16"))

        (problem,) = row.problems
        assert problem.column == column
        assert "\x00" not in problem.value + problem.reason


class TestLineNumber:
    def test_quoted_newlines_count(self):
        _, second, third = read("task_name,status", '"One\nover\nthree",todo', "Two,maybe", '"Thr\r\nee",maybe')

        assert second.problems[0].line_number == 5
        assert (third.problems[0].row_number, third.problems[0].line_number) == (3, 6)

    def test_a_header_over_two_lines_counts(self):
        (row,) = read_bytes(b'task_name," status\n"\nPaint,maybe\n')

        assert row.problems[0].line_number == 3

    def test_blank_lines_count_and_are_no_rows(self):
        first, second = read("task_name,status", "", "One,maybe", "   ", ",", "Two,maybe", "")

        assert [each.problems[0].row_number for each in (first, second)] == [1, 2]
        assert [each.problems[0].line_number for each in (first, second)] == [3, 6]


class TestEncoding:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
    def test_is_found_out(self, encoding):
        content = "task_name,assigned_user\nGrößer als 5 €,Zoë\n".encode(encoding)
        if encoding in {"utf-16-le", "utf-16-be"}:
            content = "\ufeff".encode(encoding) + content

        (row,) = read_bytes(content)

        assert (row.staged.title, row.staged.assignee) == ("Größer als 5 €", "Zoë")

    def test_utf_8_is_known_by_the_whole_file_and_not_by_its_beginning(self):
        content = "task_name\n" + "Plain\n" * 20_000 + "Größe\n"

        *_, last = read_bytes(content.encode())
        *_, last_of_other = read_bytes(content.encode("cp1252"))

        assert last.staged.title == last_of_other.staged.title == "Größe"

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_lines_end_as_any_machine_ends_them(self, newline):
        content = newline.join(["task_name,status", "One,todo", "Two,done"])

        assert [row.staged.title for row in read_bytes(content.encode())] == ["One", "Two"]

    def test_what_is_no_text_is_named_with_its_line_and_an_encoding_that_people_know(self):
        content = b"task_name\n" + b"Gr\xf6\xdfe\n" * 20_000 + b"\x81\n"

        with pytest.raises(UnreadableCsvError) as caught:
            read_bytes(content)

        assert "cp1252" in caught.value.detail or "Windows" in caught.value.detail
        assert "line" in caught.value.detail

    def test_half_a_wide_character_at_the_end_is_unreadable(self):
        with pytest.raises(UnreadableCsvError):
            read_bytes("task_name\nPaint\n".encode("utf-16")[:-1])


class TestDelimiter:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_is_found_out_from_the_header(self, delimiter):
        row = staged(delimiter.join(["task_name", "status", "labels"]), delimiter.join(["Paint", "done", "red"]))

        assert (row.title, row.status, row.labels) == ("Paint", TaskStatus.DONE, ("red",))

    def test_the_others_are_text_then(self):
        assert staged("task_name;status", "Paint, then dry | wait;done").title == "Paint, then dry | wait"

    def test_quoted_it_is_text(self):
        assert staged("task_name,status", '"Paint, ""then"" dry",done').title == 'Paint, "then" dry'


class TestUnreadable:
    @pytest.mark.parametrize("content", [b"", b"  \n \n", b"\n\n\n", b"\xef\xbb\xbf", b"\xff\xfe"])
    def test_an_empty_file(self, content):
        with pytest.raises(UnreadableCsvError, match="empty"):
            read_bytes(content)

    def test_an_empty_first_line(self):
        with pytest.raises(UnreadableCsvError, match="the first line is empty"):
            read("", "task_name", "Paint")

    @pytest.mark.parametrize(
        "content", [b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"PK\x03\x04\x14\x00\x00\x00", b"\x00"]
    )
    def test_a_binary_file(self, content):
        with pytest.raises(UnreadableCsvError, match="binary"):
            read_bytes(content)

    def test_a_header_without_a_title(self):
        with pytest.raises(UnreadableCsvError, match="names no task_name or title column"):
            read("status,priority", "todo,high")

    def test_an_unknown_column_is_named_with_the_known_ones(self):
        with pytest.raises(UnreadableCsvError, match=r"unknown columns: colour; known are: .*task_name"):
            read("task_name,colour", "Paint,red")

    def test_a_column_without_a_name(self):
        with pytest.raises(UnreadableCsvError, match=r"unknown columns: \(empty\)"):
            read("task_name,", "Paint,")

    @pytest.mark.parametrize("header", ["task_name,title", "title,status,State"])
    def test_two_columns_for_one_thing(self, header):
        with pytest.raises(UnreadableCsvError, match="more than one column for"):
            read(header, "Paint,Paint")

    def test_a_quote_that_is_never_closed(self):
        with pytest.raises(UnreadableCsvError, match="a quote is opened and never closed"):
            read("task_name", "One", '"Two', "Three")

    def test_a_cell_that_goes_on_after_its_closing_quote(self):
        with pytest.raises(UnreadableCsvError, match="line 3: a quoted cell goes on after its closing quote"):
            read("task_name,status", "One,todo", '"Two"x,todo')

    @pytest.mark.parametrize("line", ["One," + "x" * 200_000, '"' + "x" * 200_000 + '",todo'], ids=["plain", "quoted"])
    def test_a_cell_without_end(self, line):
        with pytest.raises(UnreadableCsvError, match=f"a cell is longer than {csv.field_size_limit()} characters"):
            read("task_name,description", line)

    @pytest.mark.parametrize("header", ["x" * 200_000, "task_name," + "x" * 200_000, '"' + "x" * 200_000])
    def test_a_header_without_end(self, header):
        with pytest.raises(UnreadableCsvError):
            read(header, "Paint")

    def test_good_rows_before_it_are_given(self):
        rows = read_rows(stream_of("task_name", "One", '"Two'), time_zone=ZoneInfo("UTC"))

        assert next(rows).staged.title == "One"
        with pytest.raises(UnreadableCsvError):
            next(rows)


class TestOnlyHeader:
    @pytest.mark.parametrize("content", [b"task_name,status", b"task_name,status\n", b"task_name,status\r\n\r\n\n"])
    def test_is_a_file_without_rows(self, content):
        assert read_bytes(content) == []


class TestAnyBytes:
    @given(content=st.binary(max_size=400))
    @example(b"\xff\xfe\x00\xd8")
    @example(b"\xff\xfe\x0a")
    @example(b"\xfe\xff")
    @example(b'"')
    @example(b"\r")
    @example(b"\x1c\n\x85")
    @hypothesis_settings(UNHURRIED, max_examples=500)
    def test_give_rows_or_the_reason(self, content):
        ensure_read_or_refused(content)

    @given(content=st.binary(max_size=400))
    @hypothesis_settings(UNHURRIED, max_examples=500)
    def test_behind_a_header_give_rows_or_the_reason(self, content):
        ensure_read_or_refused(TABLE_HEADER.encode() + b",due_at,labels\n" + content)

    @given(
        rows=st.lists(
            st.lists(
                st.text(max_size=30) | st.sampled_from(["", "1/1/2026", "\x00", "=1+1", '"', "\n"]),
                min_size=8,
                max_size=8,
            ),
            max_size=5,
        ),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        delimiter=st.sampled_from(",;\t|"),
    )
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_written_as_a_csv_give_rows_or_the_reason(self, rows, encoding, delimiter):
        written = io.StringIO(newline="")
        writer = csv.writer(written, delimiter=delimiter)
        writer.writerow([*TABLE_HEADER.split(","), "due_at", "labels"])
        writer.writerows(rows)

        ensure_read_or_refused(written.getvalue().encode(encoding, errors="replace"))

    @given(
        titles=st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(
                lambda title: title.strip() == title
            ),
            min_size=1,
            max_size=5,
        ),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    )
    @UNHURRIED
    def test_a_title_that_a_csv_writer_wrote_is_the_title_that_is_read(self, titles, encoding):
        written = io.StringIO(newline="")
        csv.writer(written).writerows([["task_name", "status"], *([title, "todo"] for title in titles)])

        rows = read_bytes(written.getvalue().encode(encoding))

        assert [row.staged.title for row in rows] == titles


def read(*lines, zone="UTC"):
    return list(read_rows(stream_of(*lines), time_zone=ZoneInfo(zone)))


def read_bytes(content):
    return list(read_rows(io.BytesIO(content), time_zone=ZoneInfo("UTC")))


def stream_of(*lines):
    return io.BytesIO("\n".join([*lines, ""]).encode())


def staged(*lines, zone="UTC"):
    (row,) = read(*lines, zone=zone)
    assert row.problems == ()
    return row.staged


def problems(*lines):
    (row,) = read(*lines)
    assert row.staged is None
    return row.problems


def ensure_read_or_refused(content):
    try:
        rows = read_bytes(content)
    except UnreadableCsvError:
        return
    for row in rows:
        assert isinstance(row, ReadRow)
        assert (row.staged is None) == bool(row.problems)
        assert "\x00" not in repr(row)
        if row.staged is not None:
            for moment in (row.staged.created_at, row.staged.due_at):
                assert moment is None or moment + timedelta(0) == moment
