import io
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from app.composition.services import serving
from app.csv_files.encodings import Encoding
from app.errors import ConflictError, TooLargeError, UnreadableCsvError
from app.models.imports.task_import import DateFormat, ImportBlock, ImportDraft, RowError, TaskImport
from app.models.tasks.fields import TaskStatus
from app.models.tasks.task import Task
from app.services.imports.imports import ImportOptions
from app.services.imports.uploads import UPLOAD_LEASE
from tests.services.imports.uploading import InterruptedStream, last_number, titles, upload, users_called
from tests.stored import count, list_tasks


class TestFormat:
    @pytest.mark.parametrize(("date_format", "month"), [(DateFormat.US, 3), (DateFormat.DAY_FIRST, 9)])
    def test_an_option_decides_which_number_is_the_month(self, service, manager, session, date_format, month):
        upload(service, manager, "task_name,due_at", "One,3/9/2026", date_format=date_format)

        assert session.scalar(select(Task.due_at)).month == month

    def test_dots_are_accepted_with_the_day_first(self, service, manager):
        lines = ("task_name,due_at", "One,3.9.2026")

        assert upload(service, manager, *lines).refused_count == 1
        assert upload(service, manager, *lines, date_format=DateFormat.DAY_FIRST).created_count == 1

    @pytest.mark.parametrize(
        ("date_format", "month"), [(DateFormat.US, 3), (DateFormat.DAY_FIRST, 9)], ids=["us", "day first"]
    )
    def test_a_file_that_the_release_before_accepted_is_read_as_that_would(
        self, service, services, manager, session, date_format, month
    ):
        lines = ("task_name,due_at,status", "One,3/9/2026,", "Two,,maybe")
        outcome = upload(service, manager, *lines, date_format=date_format, wait_seconds=0)
        session.execute(update(TaskImport).values(date_format=None))
        session.execute(update(ImportBlock).values(first_sheet_row=None))
        session.commit()

        services.import_runs.run_waiting()

        assert session.scalar(select(Task.due_at)).month == month
        (problem,) = service.list_errors(manager, outcome.import_id, cursor=None, limit=10).items
        assert problem["sheet_row"] is None
        assert problem["message"].startswith("line 3, column status: 'maybe'")

    @pytest.mark.parametrize("encoding", Encoding)
    def test_the_declared_encoding_is_used(self, service, manager, session, encoding):
        stream = io.BytesIO("task_name\nZoë\n".encode(encoding))

        service.import_csv(manager, stream, filename="tasks.csv", options=ImportOptions(encoding=encoding))

        assert titles(session) == ["Zoë"]

    @pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_the_encoding_is_detected_when_none_is_declared(self, service, manager, session, codec):
        service.import_csv(manager, io.BytesIO("task_name\nZoë\n".encode(codec)), filename="tasks.csv")

        assert titles(session) == ["Zoë"]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("is_declared", [True, False])
    def test_the_delimiter_is_declared_or_detected(self, service, manager, session, delimiter, is_declared):
        lines = [delimiter.join(row) for row in (("task_name", "status"), ("One", "done"))]

        upload(service, manager, *lines, delimiter=delimiter if is_declared else None)

        assert [(task.title, task.status) for task in list_tasks(session)] == [("One", TaskStatus.DONE)]

    def test_a_declared_delimiter_is_the_only_one(self, service, manager, session):
        upload(service, manager, "task_name", "One;Two,Three", delimiter="|")

        assert titles(session) == ["One;Two,Three"]

    def test_unknown_columns_are_reported_as_in_the_file(self, service, manager, session):
        lines = ["Colour,task_name,shirt size,Colour,ref,", "red,One,5,green,OPS-1,x"]

        outcome = upload(service, manager, *lines)

        assert outcome.row.values["ignored_columns"] == ["Colour", "shirt size", "(no name)"]
        assert titles(session) == ["One"]

    def test_a_nearly_known_column_is_a_typing_error(self, service, manager, session):
        with pytest.raises(UnreadableCsvError, match="did you mean priority"):
            upload(service, manager, "task_name,priorty", "One,high")

        assert count(session, TaskImport) == 0

    def test_too_many_rows_leave_nothing(self, resources, settings, manager, session):
        resources.settings = replace(settings, csv_limits=replace(settings.csv_limits, rows=5))

        with serving(resources) as services, pytest.raises(TooLargeError, match="more than 5 rows"):
            upload(services.imports, manager, "task_name", *"123456")

        assert titles(session) == []
        assert count(session, TaskImport) == count(session, ImportBlock) == 0

    def test_a_cell_that_is_too_long_refuses_its_row(self, resources, settings, manager, session):
        resources.settings = replace(settings, csv_limits=replace(settings.csv_limits, cell_characters=10))

        with serving(resources) as services:
            outcome = upload(services.imports, manager, "task_name,ignored", "One,x", "Two," + "x" * 11, "Three,")

        assert (outcome.created_count, outcome.refused_count) == (2, 1)
        assert titles(session) == ["One", "Three"]


class TestUnreadableFile:
    @pytest.mark.parametrize("good_rows", [2, 20_000])
    def test_leaves_nothing_when_the_problem_is_late_in_the_file(self, service, manager, session, good_rows):
        before = last_number(session)

        with pytest.raises(UnreadableCsvError, match="a quote is opened and never closed"):
            upload(
                service, manager, "task_name,assigned_user", *(f"Task {n},Grace" for n in range(good_rows)), '"Open,x'
            )

        assert titles(session) == []
        assert last_number(session) == before
        for table in (TaskImport, ImportBlock, ImportDraft, RowError):
            assert count(session, table) == 0
        assert users_called(session, "grace") == 0

    def test_does_not_affect_the_next_file(self, service, manager, session):
        with pytest.raises(UnreadableCsvError):
            upload(service, manager, "task_name", "One", '"Open')

        assert upload(service, manager, "task_name", "Two").created_count == 1
        assert titles(session) == ["Two"]

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x89PNG\r\n\x1a\n\x00\x00",
            b"\x1f\x8b\x08\x00",
            b"PK\x03\x04",
            b"status\ntodo\n",
            b"title,summary\nx,y\n",
        ],
    )
    def test_leaves_nothing_when_the_problem_is_at_the_start(self, service, manager, session, content):
        with pytest.raises(UnreadableCsvError):
            service.import_csv(manager, io.BytesIO(content), filename="tasks.csv")

        assert count(session, TaskImport) == 0

    @pytest.mark.parametrize("encoding", [Encoding.UTF_8, Encoding.UTF_16, Encoding.CP1252])
    def test_a_header_that_cannot_be_stored_is_reported(self, service, manager, session, encoding):
        """A file whose encoding the client names is not checked for binary data."""
        stream = io.BytesIO("task_name,a\x00b\nOne,x\n".encode(encoding))

        with pytest.raises(UnreadableCsvError):
            service.import_csv(manager, stream, filename="tasks.csv", options=ImportOptions(encoding=encoding))

        assert count(session, TaskImport) == 0

    def test_a_broken_stream_leaves_nothing(self, service, manager, session):
        def break_off():
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            service.import_csv(manager, InterruptedStream(b"task_name\nOne\n", break_off), filename="tasks.csv")

        assert count(session, TaskImport) == count(session, ImportBlock) == 0

    @pytest.mark.parametrize(
        ("before", "after"),
        [(b"task_name\n", b"One\n"), (b"task_name\nOne\nTwo\nThree\n", b""), (b"task_name\n", b"")],
        ids=["before a block", "after its last block", "after its header"],
    )
    def test_a_stream_that_stood_still_for_too_long_is_refused(
        self, service, services, manager, session, clock, monkeypatch, small_blocks, before, after
    ):
        monkeypatch.setattr("app.csv_files.encodings.PIECE_BYTES", len(before))

        def give_up():
            clock.advance(seconds=UPLOAD_LEASE.total_seconds() + 1)
            services.import_runs.run_waiting()

        with pytest.raises(ConflictError, match="stood still"):
            service.import_csv(manager, InterruptedStream(before, give_up, after), filename="tasks.csv")

        assert count(session, TaskImport) == count(session, ImportBlock) == 0
