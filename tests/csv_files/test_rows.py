import csv
import io
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.csv_files.ahead import ReadAhead
from app.csv_files.blocks import BLOCK_ROWS
from app.csv_files.encodings import Encoding
from app.csv_files.rows import MAX_REMEMBERED_CELLS, ReadRow, RefusedRow
from app.errors import TooLargeError, UnreadableCsvError
from app.models.imports.task_import import DateFormat, ImportBlock
from app.models.tasks.fields import TaskPriority, TaskStatus
from tests.csv_files.reading_rows import good, opened, read, read_bytes, reader_of, refused
from tests.unhurried import UNHURRIED

CLASSIC_HEADER = "task_name,description,status,priority,created_at,assigned_user"


class TestGoodRow:
    def test_every_column_of_the_classic_api_is_read(self):
        row = good(CLASSIC_HEADER, "Paint the shed,Green,in progress,urgent,3/9/2026,ada")

        assert row.row_number == 1
        assert (row.title, row.description) == ("Paint the shed", "Green")
        assert (row.status, row.priority) == (TaskStatus.IN_PROGRESS, TaskPriority.CRITICAL)
        assert row.created_at == datetime(2026, 3, 9, tzinfo=UTC)
        assert row.assignee == "ada"

    def test_our_own_columns_are_read(self):
        row = good(
            "title,due_at,labels,assignee,external_ref", "Paint,2026-03-09T17:30:00+01:00,red; green ;red,ada,OPS-42"
        )

        assert row.due_at == datetime(2026, 3, 9, 16, 30, tzinfo=UTC)
        assert (row.labels, row.assignee, row.external_ref) == (["red", "green"], "ada", "OPS-42")

    def test_a_title_is_enough(self):
        row = good("task_name", "Paint")

        assert (row.description, row.status, row.priority) == ("", TaskStatus.TODO, TaskPriority.MEDIUM)
        assert (row.created_at, row.due_at, row.labels, row.assignee, row.external_ref) == (None, None, [], None, None)

    def test_empty_cells_count_as_absent(self):
        row = good(CLASSIC_HEADER + ",due_at,labels,external_ref", "Paint,,,,,,,,")

        assert row == good("task_name", "Paint")

    def test_spaces_around_a_cell_are_removed(self):
        row = good("task_name,status", "  Paint  ,\tdone ")

        assert (row.title, row.status) == ("Paint", TaskStatus.DONE)

    @pytest.mark.parametrize("title", ["=1+1", "+49 89", "-5", "@ada", '=HYPERLINK("http://x")', "'quoted"])
    def test_a_formula_is_text(self, title):
        cell = '"' + title.replace('"', '""') + '"'

        row = good("task_name,description", f"{cell},{cell}")

        assert (row.title, row.description) == (title, title)

    def test_a_defused_formula_is_restored(self):
        row = good("title,labels,assignee", "'=1+1,\"'=a, b\",'@ada")

        assert (row.title, row.labels, row.assignee) == ("=1+1", ["=a", "b"], "@ada")

    def test_unknown_columns_are_skipped(self):
        row = good("colour,task_name,shape,status", "red,Paint,round,done")

        assert (row.title, row.status) == ("Paint", TaskStatus.DONE)

    def test_its_cells_are_kept_for_a_later_refusal(self):
        (row,) = read("colour,task_name", " red , Paint ")

        assert (row.line_number, row.cells) == (2, [" red ", " Paint "])

    def test_an_apostrophe_of_the_text_stays(self):
        assert good("task_name", "'quoted'").title == "'quoted'"


class TestOtherTrackers:
    def test_jiras_labels_come_from_all_columns(self):
        row = good("Summary,Labels,Issue key,Labels,Labels", "Paint,red,OPS-1,,green")

        assert (row.title, row.labels, row.external_ref) == ("Paint", ["red", "green"], "OPS-1")

    def test_too_many_labels_over_all_columns_are_refused(self):
        many = ",".join(f"label{n}" for n in range(11))

        (problem,) = refused("Summary,Labels,Labels", f'Paint,"{many}","{many.upper()}"').problems

        assert problem.reason == "holds 22 labels; 20 are the most"

    def test_a_defused_label_is_restored_in_every_column(self):
        row = good("Summary,Labels,Labels", "Paint,'=a,'=b")

        assert row.labels == ["=a", "=b"]

    def test_several_members_of_trello_are_refused(self):
        header = "Card ID,Card Name,List Name,Members"

        assert good(header, "1,Paint,Doing,ada").assignee == "ada"
        (problem,) = refused(header, '1,Paint,Doing,"ada, bob"').problems
        assert (problem.column, problem.value) == ("Members", "ada, bob")

    def test_todoists_rows_of_an_unknown_type_are_refused(self):
        header = "TYPE,CONTENT,PRIORITY,INDENT,RESPONSIBLE"

        row = good(header, "task,Paint,1,1,Ada (123)")
        assert (row.title, row.priority, row.assignee) == ("Paint", TaskPriority.CRITICAL, "Ada")
        (problem,) = refused(header, "habit,Outside,,,").problems
        assert (problem.column, problem.value, problem.reason) == (
            "TYPE",
            "habit",
            "'habit' is neither task, section, note nor meta",
        )

    def test_vikunjas_done_is_a_status(self):
        first, second = read("title,done", "One,true", "Two,false")

        assert (first.row.status, second.row.status) == (TaskStatus.DONE, TaskStatus.TODO)

    def test_kanboards_rows_are_read(self):
        row = good(
            "Task Id,Swimlane,Status,Title,Due date,Assignee Username,Tags,Priority",
            '7,Default,Open,Paint,03/09/2026 17:05,ada,"red, green",0',
        )

        assert (row.external_ref, row.status, row.priority) == ("7", TaskStatus.TODO, TaskPriority.MEDIUM)
        assert (row.due_at, row.labels) == (datetime(2026, 3, 9, 17, 5, tzinfo=UTC), ["red", "green"])


class TestBadCell:
    @pytest.mark.parametrize(
        ("column", "cell", "reason"),
        [
            ("task_name", "", "is empty; a task needs a title"),
            ("task_name", "   ", "is empty; a task needs a title"),
            ("task_name", "x" * 256, "has 256 characters; 255 are the most"),
            ("description", "x" * 20_001, "has 20001 characters; 20000 are the most"),
            ("status", "maybe", "'maybe' is not a status; say one of todo, in_progress, blocked, done, cancelled"),
            ("priority", "asap", "'asap' is not a priority; say one of low, medium, high, critical"),
            ("created_at", "soon", "'soon' is not a date; write YYYY-MM-DD or M/D/YYYY"),
            ("due_at", "2/30/2026", "'2/30/2026' is not a date; write YYYY-MM-DD or M/D/YYYY"),
            ("assigned_user", "Me", "'Me' is nobody's name; leave the cell empty for nobody"),
            ("assigned_user", "x" * 65, "has 65 characters; 64 are the most"),
            ("assigned_user", '"ada\nlovelace"', "holds characters that a name cannot have"),
            ("labels", '"' + ",".join(f"label{n}" for n in range(21)) + '"', "holds 21 labels; 20 are the most"),
            ("labels", "x" * 51, "has 51 characters; 50 are the most"),
            ("external_ref", "x" * 256, "has 256 characters; 255 are the most"),
        ],
        ids=lambda value: value[:20],
    )
    def test_is_reported_with_column_value_and_reason(self, column, cell, reason):
        other = "status" if column == "task_name" else "task_name"

        row = refused(f"{other},{column}", f"{'todo' if other == 'status' else 'Paint'},{cell}")

        (problem,) = row.problems
        assert (row.row_number, row.line_number) == (1, 2)
        assert (problem.column, problem.reason) == (column, reason)
        assert problem.value == cell.strip('"')[:200]

    @pytest.mark.parametrize(
        ("column", "length"),
        [("task_name", 255), ("description", 20_000), ("assigned_user", 64), ("labels", 50), ("external_ref", 255)],
    )
    def test_the_longest_allowed_is_accepted(self, column, length):
        header = "task_name" if column == "task_name" else f"task_name,{column}"
        cells = "x" * length if column == "task_name" else "Paint," + "x" * length

        assert good(header, cells)

    def test_every_problem_of_a_row_is_reported(self):
        row = refused("due_at,task_name,status,priority", "soon,,maybe,asap")

        assert {problem.column for problem in row.problems} == {"task_name", "status", "priority", "due_at"}
        assert len(row.problems) == 4

    def test_the_column_has_the_name_from_the_file(self):
        (problem,) = refused("Summary, State ", "Paint,maybe").problems

        assert problem.column == "State"

    def test_the_row_keeps_all_of_its_cells(self):
        assert refused("task_name,status,colour", " Paint ,maybe, red").cells == [" Paint ", "maybe", " red"]

    def test_the_rows_around_it_are_accepted(self):
        first, second, third = read("task_name,status", "One,todo", "Two,maybe", "Three,done")

        assert (first.row.title, third.row.title) == ("One", "Three")
        assert isinstance(second, RefusedRow)
        assert third.row.row_number == 3

    def test_a_repeated_bad_cell_is_refused_each_time(self):
        rows = read("task_name,status", *["Paint,maybe"] * 5)

        assert [row.problems[0].reason.split(" ")[0] for row in rows] == ["'maybe'"] * 5

    def test_more_different_cells_than_the_memory_holds_are_read(self):
        numbers = range(MAX_REMEMBERED_CELLS + 10)

        rows = read("task_name,external_ref,assignee", *(f"T,r{n},a{n}" for n in numbers), f"T,,a{numbers[-1]}")

        assert [row.row.assignee for row in rows] == [*(f"a{n}" for n in numbers), f"a{numbers[-1]}"]


class TestWrongCells:
    @pytest.mark.parametrize(
        ("cells", "count"), [("Paint", "1 cell"), ("Paint,todo,high", "3 cells"), ("Paint,todo,", "3 cells")]
    )
    def test_too_many_or_too_few_are_reported_for_the_row(self, cells, count):
        (problem,) = refused("task_name,status", cells).problems

        assert (problem.column, problem.value) == (None, None)
        assert problem.reason == f"has {count}, the header has 2"

    def test_many_empty_cells_make_a_blank_line(self):
        assert read("task_name,status", ",,,,") == []

    def test_ignored_columns_count(self):
        assert refused("task_name,colour", "Paint").problems[0].reason == "has 1 cell, the header has 2"

    @pytest.mark.parametrize("column", ["description", "colour"])
    def test_a_cell_that_is_too_long_is_reported_for_the_row_and_cut(self, column):
        row = refused(f"task_name,{column}", "Paint," + "x" * 50_001)

        (problem,) = row.problems
        assert (problem.column, problem.value) == (None, None)
        assert problem.reason == "has a cell of 50001 characters; 50000 are the most"
        assert row.cells == ["Paint", "x" * 50_000]

    def test_the_longest_allowed_is_accepted(self):
        assert good("task_name,colour", "Paint," + "x" * 50_000)


class TestNul:
    def test_after_the_first_piece_of_the_file_is_reported_for_its_cell(self):
        filler = "x" * 200
        lines = ["task_name,description", *[f"Task {n},{filler}" for n in range(2000)], "Bad \x00 one,", "Last,"]

        *_, bad, last = read(*lines)

        assert [problem.reason for problem in bad.problems] == ["holds a NUL character"]
        assert last.row.title == "Last"

    @pytest.mark.parametrize("column", ["task_name", "description", "status", "due_at", "assigned_user", "labels"])
    def test_in_utf_16_is_refused_in_every_column(self, column):
        header = "task_name,description,status,due_at,assigned_user,labels"
        cells = {"task_name": "Paint", column: "a\x00b"}
        line = ",".join(cells.get(name, "") for name in header.split(","))

        (row,) = read_bytes(f"{header}\n{line}\n".encode("utf-16"))

        (problem,) = row.problems
        assert problem.column == column
        assert "\x00" not in problem.reason

    def test_in_an_ignored_column_does_no_harm(self):
        (row,) = read_bytes("task_name,colour\nPaint,a\x00b\n".encode("utf-16"))

        assert row.row.title == "Paint"


class TestLineNumber:
    def test_counts_quoted_newlines(self):
        _, second, third = read("task_name,status", '"One\nover\nthree",todo', "Two,maybe", '"Thr\r\nee",maybe')

        assert second.line_number == 5
        assert (third.row_number, third.line_number) == (3, 6)

    def test_is_the_first_line_of_a_row_of_several_lines(self):
        row = refused("task_name,status", '"One\nover\nthree",maybe')

        assert row.line_number == 2

    def test_counts_both_lines_of_a_header(self):
        (row,) = read_bytes(b'task_name," status\n"\nPaint,maybe\n')

        assert row.line_number == 3

    def test_counts_blank_lines_which_are_not_rows(self):
        first, second = read("task_name,status", "", "One,maybe", "   ", ",", "Two,maybe", "")

        assert [row.row_number for row in (first, second)] == [1, 2]
        assert [row.line_number for row in (first, second)] == [3, 6]

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_is_the_same_for_every_line_end(self, newline):
        (row,) = read_bytes(newline.join(["task_name,status", "", '"One', 'two",maybe', ""]).encode())

        assert row.line_number == 3

    def test_continues_across_blocks(self):
        good_row = '"One\ntwo",todo'

        rows = read("task_name,status", *[good_row] * (BLOCK_ROWS + 5), "Bad,maybe")

        assert (rows[-1].row_number, rows[-1].line_number) == (BLOCK_ROWS + 6, 2 + 2 * (BLOCK_ROWS + 5))
        assert [row.row.row_number for row in rows[:-1]] == [*range(1, BLOCK_ROWS + 6)]


class TestReader:
    def test_lists_the_fields_of_the_files_columns(self):
        assert reader_of(opened(b"Summary,State,colour,Labels,Labels\n")).fields == {"title", "status", "labels"}

    def test_knows_the_files_name_for_the_assignee(self):
        assert reader_of(opened(b"title, Assigned To \n")).column_of("assignee") == "Assigned To"

    def test_reads_the_same_block_twice_with_the_same_result(self):
        file = opened(b"title,status,labels\nOne,todo,red\nTwo,maybe,red\n")
        reader, (block,) = reader_of(file), file.blocks()

        first, second = (
            list(
                reader.read(
                    block.text,
                    first_row=block.first_row,
                    first_line=block.first_line,
                    first_sheet_row=block.first_sheet_row,
                )
            )
            for _ in range(2)
        )

        assert first == second


class TestReadAhead:
    def test_returns_the_rows_of_the_block_that_was_started(self):
        file = opened(b"title,status\nOne,todo\nTwo,maybe\n")
        (block,) = file.blocks()

        with ReadAhead(reader_of(file)) as ahead:
            ahead.begin(staged(block, number=3))

            assert ahead.is_at(3)
            assert not ahead.is_at(0)
            assert [type(row) for row in ahead.rows()] == [ReadRow, RefusedRow]

    def test_has_to_be_started(self):
        with ReadAhead(reader_of(opened(b"title\n"))) as ahead:
            assert not ahead.is_at(0)
            with pytest.raises(RuntimeError):
                ahead.rows()


class TestDates:
    @given(day=st.dates(date(2, 1, 1), date(9998, 12, 31)))
    @UNHURRIED
    def test_every_day_is_read_in_both_formats(self, day):
        american = f"{day.month}/{day.day}/{day.year:04}"

        first, second = (each.row for each in read("task_name,due_at", f"A,{day.isoformat()}", f"B,{american}"))

        assert first.due_at == second.due_at == datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)

    def test_the_day_comes_first_if_the_upload_says_so(self):
        first, second = read("task_name,due_at", "A,3.9.2026", "B,12/31/2026", date_format=DateFormat.DAY_FIRST)

        assert first.row.due_at == datetime(2026, 9, 3, 23, 59, 59, tzinfo=UTC)
        assert second.problems[0].reason.startswith("'12/31/2026' is not a date; set date_format=us, or write")

    def test_the_zone_of_the_workspace_is_the_default(self):
        (row,) = read("task_name,created_at,due_at", "Paint,7/1/2026,7/1/2026", zone="Europe/Berlin")

        assert row.row.created_at == datetime(2026, 6, 30, 22, tzinfo=UTC)
        assert row.row.due_at == datetime(2026, 7, 1, 21, 59, 59, tzinfo=UTC)


class TestAnyBytes:
    @given(content=st.binary(max_size=400))
    @example(b"\xff\xfe\x00\xd8")
    @example(b"\xff\xfe\x0a")
    @example(b"\xfe\xff")
    @example(b'"')
    @example(b"\r")
    @example(b"\x1c\n\x85")
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_are_read_or_refused(self, content):
        ensure_read_or_refused(content)

    @given(content=st.binary(max_size=400), encoding=st.sampled_from([None, Encoding.UTF_8, Encoding.CP1252]))
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_after_a_header_are_read_or_refused(self, content, encoding):
        ensure_read_or_refused(CLASSIC_HEADER.encode() + b",due_at,labels,labels\n" + content, encoding=encoding)

    @given(
        rows=st.lists(
            st.lists(
                st.text(max_size=30) | st.sampled_from(["", "1/1/2026", "\x00", "=1+1", "'=1", '"', "\n"]),
                min_size=9,
                max_size=9,
            ),
            max_size=5,
        ),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        delimiter=st.sampled_from(",;\t|"),
    )
    @hypothesis_settings(UNHURRIED, max_examples=300)
    def test_written_as_csv_are_read_or_refused(self, rows, encoding, delimiter):
        text = written([[*CLASSIC_HEADER.split(","), "due_at", "labels", "labels"], *rows], delimiter=delimiter)

        ensure_read_or_refused(text.encode(encoding, errors="replace"))

    @given(
        titles=st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(
                lambda title: title.strip() == title and not title.startswith("'")
            ),
            min_size=1,
            max_size=5,
        ),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    )
    @UNHURRIED
    def test_titles_read_back_as_a_csv_writer_wrote_them(self, titles, encoding):
        text = written([["task_name", "status"], *([title, "todo"] for title in titles)])

        rows = read_bytes(text.encode(encoding))

        assert [row.row.title for row in rows] == titles


def staged(block, *, number):
    return ImportBlock(
        number=number,
        first_row=block.first_row,
        first_line=block.first_line,
        first_sheet_row=block.first_sheet_row,
        body=block.text.encode(),
    )


def written(rows, *, delimiter=","):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def ensure_read_or_refused(content, *, encoding=None):
    with suppress(UnreadableCsvError, TooLargeError):
        for number, row in enumerate(read_bytes(content, encoding=encoding), 1):
            if isinstance(row, RefusedRow):
                assert row.row_number == number
                assert row.problems
                assert "\x00" not in "".join(problem.reason for problem in row.problems)
                continue
            assert row.row.row_number == number
            assert row.row.title
            assert "\x00" not in "".join(map(str, row.row))
            for moment in (row.row.created_at, row.row.due_at):
                assert moment is None or moment + timedelta(0) == moment
