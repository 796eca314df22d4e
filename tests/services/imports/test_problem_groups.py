"""The most frequent problems of a file, and the form in which its refused rows come back."""

import codecs
import csv
import io

import pytest

from app.csv_files.encodings import Encoding
from tests.services.imports.uploading import upload
from tests.stored import list_tasks


class TestProblemGroups:
    def test_count_equal_problems_together_the_most_frequent_first(self, service, manager, small_blocks, show_import):
        rows = [f"T{n},This week,asap" if n % 2 else f"T{n},This week," for n in range(10)]

        outcome = upload(service, manager, "task_name,status,priority", *rows, "Short")

        first, second, third = show_import(outcome.import_id)["problem_groups"]
        assert (first["count"], first["column"], first["value"]) == (10, "status", "This week")
        assert first["reason"].startswith("'This week' is not a status")
        assert [group["message"] for group in (first, second, third)] == [
            "10 \N{MULTIPLICATION SIGN} status 'This week'",
            "5 \N{MULTIPLICATION SIGN} priority 'asap'",
            "1 \N{MULTIPLICATION SIGN} has 1 cell, the header has 3",
        ]

    def test_their_number_is_bounded_and_a_frequent_problem_stays(self, service, manager, monkeypatch, show_import):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 300)
        rare = [f"T{n},word {n}" for n in range(900)]
        rows = [line for row in rare for line in (row, "Often,This week")]

        outcome = upload(service, manager, "task_name,status", *rows)

        groups = show_import(outcome.import_id)["problem_groups"]
        assert len(groups) == 20
        assert (groups[0]["count"], groups[0]["value"]) == (900, "This week")
        assert groups[0]["message"] == "900 \N{MULTIPLICATION SIGN} status 'This week'"

    def test_are_counted_beyond_the_problems_that_are_kept(self, service, manager, monkeypatch, show_import):
        monkeypatch.setattr("app.services.imports.report.MAX_STORED_ERRORS", 5)

        outcome = upload(service, manager, "task_name,status", *["One,maybe"] * 1171)

        (group,) = show_import(outcome.import_id)["problem_groups"]
        assert group["message"] == "1,171 \N{MULTIPLICATION SIGN} status 'maybe'"

    def test_a_cell_that_cannot_be_stored_is_counted(self, service, manager, show_import):
        outcome = upload(service, manager, "task_name", "a\x00b", "a\x00b", encoding=Encoding.UTF_8)

        (group,) = show_import(outcome.import_id)["problem_groups"]
        assert (group["count"], group["value"]) == (2, "a\N{REPLACEMENT CHARACTER}b")

    def test_a_dry_run_has_them_too(self, service, manager, show_import):
        outcome = upload(service, manager, "task_name,status", "One,maybe", "Two,maybe", is_dry_run=True)

        assert [group["count"] for group in show_import(outcome.import_id)["problem_groups"]] == [2]


class TestFormOfTheReport:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize(
        ("codec", "mark"),
        [
            ("utf-8", b""),
            ("utf-8", codecs.BOM_UTF8),
            ("cp1252", b""),
            ("utf-16-le", codecs.BOM_UTF16_LE),
            ("utf-16-be", codecs.BOM_UTF16_BE),
        ],
    )
    def test_is_that_of_the_uploaded_file(self, service, manager, delimiter, codec, mark):
        lines = [
            delimiter.join(row) for row in (("task_name", "status"), ("Größe", "maybe"), ("Good", ""), ("Zoë", "x"))
        ]
        content = mark + "\n".join([*lines, ""]).encode(codec)
        outcome = service.import_csv(manager, io.BytesIO(content), filename="tasks.csv")

        pieces, named_codec = service.write_errors(manager, outcome.import_id)
        report = b"".join(piece.content for piece in pieces)

        assert named_codec == codec
        assert report.startswith(mark)
        assert report.count(mark) == 1 or not mark
        text = report.removeprefix(mark).decode(codec)
        header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        assert header == ["task_name", "status", "error"]
        assert [row[:2] for row in rows] == [["Größe", "maybe"], ["Zoë", "x"]]

    def test_it_is_read_back_with_its_own_form(self, service, manager, session):
        content = codecs.BOM_UTF16_LE + "task_name;status\nGröße;maybe\n".encode("utf-16-le")
        outcome = service.import_csv(manager, io.BytesIO(content), filename="tasks.csv")
        report = b"".join(piece.content for piece in service.write_errors(manager, outcome.import_id)[0])

        again = service.import_csv(
            manager,
            io.BytesIO(report.replace("maybe".encode("utf-16-le"), "done".encode("utf-16-le"))),
            filename="tasks.csv",
        )

        assert (again.created_count, again.refused_count) == (1, 0)
        assert [task.title for task in list_tasks(session)] == ["Größe"]
