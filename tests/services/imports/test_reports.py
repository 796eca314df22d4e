import csv
import io

import pytest

from app.errors import NotFoundError
from app.models.tasks.fields import TaskPriority, TaskStatus
from tests.services.imports.uploading import counts_of, report, upload
from tests.stored import list_tasks


class TestReport:
    def test_has_the_order_and_the_line_numbers_of_the_file(self, service, manager):
        outcome = upload(
            service,
            manager,
            "task_name,description,status,priority",
            '"One","over\ntwo lines",maybe,asap',
            "",
            "Good,,,",
            "Three,x",
            '"Four","a\nb\nc",todo,high',
            ",,,never",
        )

        assert report(service, manager, outcome) == [
            (1, 2, "status", "maybe"),
            (1, 2, "priority", "asap"),
            (3, 6, None, None),
            (5, 10, "task_name", ""),
            (5, 10, "priority", "never"),
        ]

    @pytest.mark.parametrize("block_rows", [1, 2, 3])
    def test_line_numbers_continue_across_blocks(self, service, manager, monkeypatch, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        rows = [
            "One,maybe",
            '"over\ntwo",',
            '"over\r\ntwo",maybe',
            "",
            "Three,x,y",
            ",,",
            '"a\n\nb",maybe',
            "Five,maybe",
        ]

        outcome = upload(service, manager, "task_name,status", *rows)

        assert [(row, line) for row, line, *_ in report(service, manager, outcome)] == [
            (1, 2),
            (3, 5),
            (4, 8),
            (5, 10),
            (6, 13),
        ]

    def test_pages_join_without_gaps_or_duplicates(self, service, manager):
        outcome = upload(service, manager, "task_name,status,priority", *(f"T{n},maybe,asap" for n in range(5)))

        single_page = report(service, manager, outcome)
        by_threes = report(service, manager, outcome, limit=3)

        assert len(single_page) == 10
        assert by_threes == single_page

    def test_is_empty_for_a_good_file(self, service, manager):
        assert report(service, manager, upload(service, manager, "task_name", "One")) == []

    def test_contains_only_printable_text(self, service, manager):
        lines = ["task_name,description", *(f"T{n}," + "x" * 400 for n in range(1000)), "T,a\x00b", "T," + "y" * 20_001]

        outcome = upload(service, manager, *lines)

        page = service.list_errors(manager, outcome.import_id, cursor=None, limit=10)
        values = [item["value"] for item in page.items]
        assert values == ["a\N{REPLACEMENT CHARACTER}b", "y" * 200]

    def test_describes_each_problem_in_one_sentence(self, service, manager):
        outcome = upload(service, manager, "task_name,Status", "One,maybe", "Two")

        page = service.list_errors(manager, outcome.import_id, cursor=None, limit=10)
        assert [item["message"] for item in page.items] == [
            f"line 2 (row 2 of the sheet), column Status: 'maybe' is not a status; say one of {', '.join(TaskStatus)}",
            "line 3 (row 3 of the sheet): has 1 cell, the header has 2",
        ]

    @pytest.mark.parametrize("block_rows", [3, 100])
    def test_keeps_a_limited_number_of_problems_and_counts_all(self, service, manager, monkeypatch, block_rows):
        monkeypatch.setattr("app.services.imports.report.MAX_STORED_ERRORS", 5)
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        outcome = upload(service, manager, "task_name,status,priority", *["One,maybe,asap"] * 10)

        assert (outcome.refused_count, counts_of(outcome)["error_count"]) == (10, 20)
        assert [row for row, *_ in report(service, manager, outcome)] == [1, 1, 2, 2, 3]


class TestReportAsCsv:
    def test_each_row_keeps_its_cells_and_gets_all_of_its_errors(self, service, manager):
        outcome = upload(
            service, manager, "task_name;Colour;status;priority", '"One;1";red;maybe;asap', "Good;;;", '"T""wo";;never;'
        )

        header, one, two = csv.reader(
            io.StringIO(csv_report(service, manager, outcome).decode(), newline=""), delimiter=";"
        )
        assert header == ["task_name", "Colour", "status", "priority", "error"]
        assert (one[:-1], two[:-1]) == (["One;1", "red", "maybe", "asap"], ['T"wo', "", "never", ""])
        of_status, of_priority = one[-1].split("; line")
        assert of_status.startswith("line 2 (row 2 of the sheet), column status: 'maybe' is not a status")
        assert of_priority.startswith(" 2 (row 2 of the sheet), column priority: 'asap' is not a priority")
        assert two[-1].startswith("line 4 (row 4 of the sheet), column status: 'never'")

    def test_pages_join(self, service, manager, monkeypatch):
        monkeypatch.setattr("app.services.imports.imports.REPORT_PAGE_ROWS", 2)

        outcome = upload(service, manager, "task_name,status", *(f"T{n},maybe" for n in range(5)))

        lines = csv_report(service, manager, outcome).decode().splitlines()
        assert [line.partition(",")[0] for line in lines] == ["task_name", "T0", "T1", "T2", "T3", "T4"]

    def test_a_corrected_report_imports_the_missing_rows(self, service, manager, session):
        header = "task_name,description,status,assignee,labels,created_at"
        outcome = upload(
            service,
            manager,
            header,
            'One,"=1+1, or\nmore",maybe,Grace,"a,b",2026-01-15',
            "Good,,,,,",
            "'=quoted,'',maybe,-ada,=x,",
        )
        corrected = csv_report(service, manager, outcome).replace(b"maybe", b"done")

        again = service.import_csv(manager, io.BytesIO(corrected), filename="mended.csv")

        assert (again.created_count, again.refused_count) == (2, 0)
        assert again.row.values["ignored_columns"] == []
        _good, one, quoted = list_tasks(session)
        assert (one.description, one.status, one.labels) == ("=1+1, or\nmore", TaskStatus.DONE, ["a", "b"])
        assert (quoted.title, quoted.description, quoted.labels) == ("=quoted", "''", ["=x"])

    @pytest.mark.parametrize(
        ("cells", "expected"),
        [
            ('"\tOne",,maybe', ("One", "", TaskPriority.MEDIUM)),
            ('"\n=One","\r\n+Said",maybe', ("=One", "+Said", TaskPriority.MEDIUM)),
            ('One,,maybe,"\thigh"', ("One", "", TaskPriority.HIGH)),
        ],
    )
    def test_a_space_before_a_cell_is_removed_the_second_time_too(self, service, manager, session, cells, expected):
        row = cells if cells.count(",") == 3 else cells + ","
        outcome = upload(service, manager, "task_name,description,status,priority", row)
        corrected = csv_report(service, manager, outcome).replace(b"maybe", b"done")

        again = service.import_csv(manager, io.BytesIO(corrected), filename="mended.csv")

        assert again.refused_count == 0
        (task,) = list_tasks(session)
        assert (task.title, task.description, task.priority) == expected

    def test_a_wrongly_corrected_report_gets_one_column_of_errors_again(self, service, manager):
        first = upload(service, manager, "task_name,status", "One,maybe", "Two,")
        report_of_first = csv_report(service, manager, first)

        second = service.import_csv(manager, io.BytesIO(report_of_first), filename="again.csv")

        assert csv_report(service, manager, second) == report_of_first

    def test_rows_of_another_width_are_reported(self, service, manager):
        outcome = upload(service, manager, "task_name,status,priority", "One", "Two,,,,")

        _header, short, long = csv_report(service, manager, outcome).decode().splitlines()
        assert short == 'One,,,"line 2 (row 2 of the sheet): has 1 cell, the header has 3"'
        assert long == 'Two,,,,,"line 3 (row 3 of the sheet): has 5 cells, the header has 3"'

    @pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@x", "\t=1", "'=1"])
    def test_its_rows_contain_no_formula(self, service, manager, formula):
        outcome = upload(service, manager, "task_name,status,Colour", f'"{formula}",maybe,"{formula}"')

        assert formulas_in(csv_report(service, manager, outcome)) == []

    @pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@x", "\t=1", "'=1"])
    def test_its_header_contains_no_formula(self, service, manager, formula):
        outcome = upload(service, manager, f'task_name,status,"{formula}"', "One,maybe,red")

        assert formulas_in(csv_report(service, manager, outcome)) == []

    def test_a_good_file_has_only_a_header(self, service, manager):
        outcome = upload(service, manager, "task_name,Colour", "One,red")

        assert csv_report(service, manager, outcome) == b"task_name,Colour,error\r\n"

    def test_a_report_of_another_project_is_not_found(self, service, manager, acting_as, admin, factories):
        factories.Project(key="SECRET")
        outcome = upload(service, acting_as(admin), "task_name,status", "One,maybe", project="SECRET")

        with pytest.raises(NotFoundError):
            service.write_errors(manager, outcome.import_id)


def csv_report(service, actor, outcome):
    return b"".join(lines.content for lines in service.write_errors(actor, outcome.import_id)[0])


def formulas_in(content):
    rows = csv.reader(io.StringIO(content.decode(), newline=""))
    return [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
