from dataclasses import replace

import pytest
from sqlalchemy import func, select

from app.http.uploads import PIECE_BYTES
from app.models.imports.task_import import ImportBlock, ImportDraft, RowError, TaskImport
from app.models.people.user import Role, User
from app.models.projects.project import Project
from app.models.tasks.task import Task
from tests.routes.imports.hostile.misposted import END, MISPOSTED, MULTIPART, Misposted, part
from tests.routes.imports.hostile.read import MAX_STORED_ERRORS, READ, Read
from tests.routes.imports.hostile.refused import NUL_IN_THE_HEADER, REFUSED, Refused
from tests.routes.imports.hostile.rows import MAX_ROWS

# The request waits for a file of several blocks only if the client asks it to.
WAIT_FOR_RESULT = {"Prefer": "wait=30"}
# A file of this many bytes is partly staged before its end has arrived.
LONG = 50_000
# These files have a bad cell in each bad row; the report would correct a wrong number of cells.
CORRECTABLE = [
    case
    for case in READ
    if case.refused < 100
    and ", column " in (case.message or "")
    and "nul" not in case.name
    and set(case.form) <= {"day_first"}
]


def by_name(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


class TestRefusedFile:
    @by_name(REFUSED)
    def test_is_answered_with_the_reason_and_leaves_nothing(self, manager, session, case: Refused):
        before = everything_in(session)

        response = upload(manager, case.content, case.form)

        assert (response.status_code, response.json["code"]) == (case.status, case.code)
        assert response.json["detail"].startswith(case.detail)
        assert response.content_type == "application/problem+json"
        assert everything_in(session) == before

    @by_name([case for case in REFUSED if not case.form])
    def test_gets_the_same_reason_from_the_classic_api(self, manager, session, case: Refused):
        before = everything_in(session)

        response = upload(manager, case.content, {}, path="/upload-csv")

        assert response.status_code == case.status
        assert set(response.json) == {"error"}
        assert response.json["error"].startswith(case.detail)
        assert everything_in(session) == before

    @by_name([case for case in REFUSED if len(case.content) > LONG])
    def test_does_not_block_the_next_file(self, manager, session, case: Refused):
        upload(manager, case.content, case.form)

        assert upload(manager, b"task_name\nPaint\n", {}).json["created_count"] == 1


class TestReadFile:
    @by_name(READ)
    def test_good_rows_become_tasks_and_bad_rows_are_reported(self, manager, session, case: Read):
        response = upload(manager, case.content, case.form)

        assert (response.status_code, response.json.get("detail")) == (201, None)
        answer = response.json
        assert (answer["state"], answer["created_count"], answer["refused_count"]) == (
            "finished",
            case.created,
            case.refused,
        )
        assert tuple(answer["ignored_columns"]) == case.ignored
        assert first_message(manager, response) == case.message
        assert count(session, Task) == case.created
        if case.titles is not None:
            assert tuple(session.scalars(select(Task.title).order_by(Task.number))) == case.titles
        assert (count(session, ImportBlock), count(session, ImportDraft)) == (0, 0)

    @by_name(READ)
    def test_a_dry_run_reports_the_same(self, manager, session, case: Read):
        before = {**everything_in(session), TaskImport: 1}

        response = upload(manager, case.content, {**case.form, "dry_run": "true"})

        assert response.status_code == 201
        assert (response.json["created_count"], response.json["refused_count"]) == (case.created, case.refused)
        assert first_message(manager, response) == case.message
        assert {**everything_in(session), RowError: 0} == before

    @by_name([case for case in READ if case.refused])
    def test_all_or_nothing_makes_nothing_of_a_file_with_bad_rows(self, manager, session, case: Read):
        before = {**everything_in(session), TaskImport: 1}

        response = upload(manager, case.content, {**case.form, "mode": "all_or_nothing"})

        assert (response.status_code, response.json["state"]) == (201, "failed")
        assert (response.json["created_count"], response.json["refused_count"]) == (0, case.refused)
        assert "refused, so nothing was imported" in response.json["failure"]
        assert first_message(manager, response) == case.message
        assert {**everything_in(session), RowError: 0} == before

    @by_name(CORRECTABLE)
    def test_its_report_is_refused_for_the_same_reasons(self, manager, session, case: Read):
        response = upload(manager, case.content, case.form)
        report = manager.get(f"{response.headers['Location']}/errors?format=csv").data

        again = upload(manager, report, case.form)

        assert (again.json["created_count"], again.json["refused_count"]) == (0, case.refused)
        assert list_reasons(manager, again) == list_reasons(manager, response)


class TestMisposted:
    @by_name(MISPOSTED)
    def test_is_answered_with_the_expected_format_and_leaves_nothing(self, manager, session, case: Misposted):
        before = everything_in(session)

        response = manager.request(
            "POST", "/api/v1/imports", data=case.body, content_type=case.content_type, headers=case.headers
        )

        assert (response.status_code, response.json["code"]) == (case.status, case.code)
        assert response.json["detail"].startswith(case.detail)
        assert everything_in(session) == before


class TestCutAtTheEndOfAPiece:
    """The request comes in pieces; their ends must not matter to the file."""

    @pytest.mark.parametrize("in_the_first_piece", [0, 1, 2, 3, 4])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    def test_a_file_that_begins_at_the_cut_is_read(self, manager, session, encoding, in_the_first_piece):
        head = part("file", b"", "tasks.csv").removesuffix(b"\r\n")
        preamble = b"x" * (PIECE_BYTES - len(head) - 2 - in_the_first_piece) + b"\r\n"
        body = preamble + head + "task_name\nGröße\n".encode(encoding) + b"\r\n" + END

        response = manager.request("POST", "/api/v1/imports", data=body, content_type=MULTIPART)

        assert (response.status_code, response.json.get("detail")) == (201, None)
        assert session.scalars(select(Task.title)).all() == ["Größe"]


class TestNulInTheHeader:
    @pytest.mark.parametrize(("name", "form", "content"), NUL_IN_THE_HEADER, ids=[row[0] for row in NUL_IN_THE_HEADER])
    @pytest.mark.parametrize("path", ["/api/v1/imports", "/upload-csv"])
    def test_is_refused_with_a_planned_answer(self, manager, name, form, content, path):
        response = upload(manager, content, form, path=path)

        assert response.status_code in {200, 201, 422}


class TestKeptErrors:
    def test_the_first_ten_thousand_are_kept_and_all_are_counted(self, manager, session):
        content = b"task_name,status,priority\n" + b"Bad,maybe,asap\n" * (MAX_STORED_ERRORS // 2 + 5)

        answer = upload(manager, content, {}).json

        assert (answer["refused_count"], answer["error_count"]) == (MAX_STORED_ERRORS // 2 + 5, MAX_STORED_ERRORS + 10)
        assert count(session, RowError) == MAX_STORED_ERRORS
        assert session.scalar(select(func.max(RowError.row_number))) == MAX_STORED_ERRORS // 2

    def test_may_end_in_the_middle_of_a_row(self, manager, session):
        bad = b"Bad,maybe,asap,soon\n"

        upload(manager, b"task_name,status,priority,due_at\n" + bad * (MAX_STORED_ERRORS // 3 + 5), {})

        assert count(session, RowError) == MAX_STORED_ERRORS


class TestCorpus:
    def test_each_case_has_a_name_of_its_own(self):
        for cases in (REFUSED, READ, MISPOSTED):
            names = [case.name for case in cases]
            assert len(set(names)) == len(names)


def upload(client, content, form, *, path="/api/v1/imports"):
    fields = b"".join(part(name, value.encode()) for name, value in form.items())
    body = fields + part("file", content, "tasks.csv") + END
    return client.request("POST", path, data=body, content_type=MULTIPART, headers=WAIT_FOR_RESULT)


def first_message(client, response):
    items = client.get(f"{response.headers['Location']}/errors?limit=1").json["items"]
    return items[0]["message"] if items else None


def list_reasons(client, response):
    return [item["reason"] for item in client.get(f"{response.headers['Location']}/errors?limit=200").json["items"]]


def count(session, table):
    return session.scalar(select(func.count()).select_from(table))


def everything_in(session):
    """Count the rows that a refused file must not change."""
    session.expire_all()
    counts = {table: count(session, table) for table in (TaskImport, ImportBlock, ImportDraft, RowError, Task, User)}
    return {**counts, "last number": session.scalar(select(Project.last_task_number).where(Project.key == "GEN"))}


@pytest.fixture
def settings(base_settings):
    return replace(base_settings, csv_limits=replace(base_settings.csv_limits, rows=MAX_ROWS))


@pytest.fixture
def manager(client, factories):
    return client.acting_as(factories.User(role=Role.MANAGER))
