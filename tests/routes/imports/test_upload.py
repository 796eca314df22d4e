import io
import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from app.job_queue import JobName
from app.models.imports.task_import import ImportBlock, TaskImport
from app.models.people.user import Role
from app.models.tasks.task import Task
from app.schemas.imports.imports import MAX_IDEMPOTENCY_KEY_LENGTH
from app.settings import CsvLimits, RateLimit
from tests.routes.imports.uploads import CSV, DETAILS, IMPORTS, upload
from tests.stored import count


class TestCreate:
    def test_a_small_file_is_finished_before_the_answer(self, as_manager, manager, session):
        response = upload(as_manager, CSV)

        assert response.status_code == 201
        assert response.content_type == "application/json"
        assert set(response.json) == DETAILS
        assert response.json == {
            **response.json,
            "filename": "tasks.csv",
            "project": "GEN",
            "creator": manager.username,
            "is_dry_run": False,
            "mode": "skip_bad",
            "on_duplicate": "create",
            "create_users": True,
            "ignored_columns": [],
            "state": "finished",
            "read_count": 3,
            "created_count": 2,
            "updated_count": 0,
            "skipped_count": 0,
            "refused_count": 1,
            "error_count": 1,
            "failure": None,
        }
        assert titles(session) == ["One", "Three"]

    def test_location_is_the_url_of_the_import(self, as_manager):
        response = upload(as_manager, CSV)

        shown = as_manager.get(response.headers["Location"])

        assert response.headers["Location"] == f"{IMPORTS}/{response.json['id']}"
        assert (shown.status_code, shown.json) == (200, response.json)

    def test_accepts_every_option(self, as_manager, session, factories, manager):
        factories.ProjectMember(project_id=factories.Project(key="OPS").id, user_id=manager.id)
        content = "title;due_at;assignee\nZoë;3.9.2026;nobody known\nOne;3.9.2026;\n".encode("cp1252")

        response = upload(
            as_manager,
            content,
            project="ops",
            dry_run="true",
            mode="all_or_nothing",
            on_duplicate="update",
            create_users="false",
            encoding="cp1252",
            delimiter=";",
            day_first="true",
        )

        assert response.status_code == 201
        assert response.json == {
            **response.json,
            "project": "OPS",
            "is_dry_run": True,
            "mode": "all_or_nothing",
            "on_duplicate": "update",
            "create_users": False,
            "refused_count": 1,
        }
        (problem,) = as_manager.get(f"{response.headers['Location']}/errors").json["items"]
        assert (problem["column"], problem["value"]) == ("assignee", "nobody known")
        assert titles(session) == []

    def test_the_delimiter_may_be_the_word_tab(self, as_manager, session):
        assert upload(as_manager, b"task_name\tstatus\nOne, or two\tdone\n", delimiter="tab").status_code == 201
        assert titles(session) == ["One, or two"]

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("project", "NONE"),
            ("project", "not a key"),
            ("dry_run", "perhaps"),
            ("mode", "some"),
            ("mode", ""),
            ("on_duplicate", "delete"),
            ("create_users", "perhaps"),
            ("encoding", "ebcdic"),
            ("delimiter", ",,"),
            ("delimiter", "x"),
            ("day_first", "2"),
            ("date_format", "european"),
            ("status_map", "{"),
            ("status_map", "[]"),
            ("status_map", "null"),
            ("status_map", '{"This week": "sometime"}'),
            ("status_map", '{"This week": null}'),
            ("status_map", '{"": "done"}'),
            ("status_map", '{"This week": "todo", "THIS  week": "done"}'),
            ("status_map", "[" * 5000),
            ("priority_map", '{"P1": 7}'),
            ("people_map", '{"Ada": ""}'),
            ("people_map", '{"Ada": "a\\u0000"}'),
            ("people_map", '{"Ada": "' + "x" * 255 + '"}'),
            ("people_map", "{" + ",".join(f'"{n}":"a"' for n in range(501)) + "}"),
            ("colour", "red"),
        ],
    )
    def test_an_invalid_option_is_refused_by_name(self, as_manager, session, option, value):
        response = upload(as_manager, CSV, **{option: value})

        assert (response.status_code, response.json["code"]) == (422, "invalid")
        (problem,) = response.json["errors"]
        assert re.match(rf"/{option}(/|$)", problem["pointer"])
        assert count(session, TaskImport) == 0

    def test_two_options_may_not_name_different_date_formats(self, as_manager):
        response = upload(as_manager, CSV, date_format="us", day_first="true")

        assert response.status_code == 422
        assert response.json["errors"] == [{"pointer": "/day_first", "detail": "Contradicts date_format=us."}]

    @pytest.mark.parametrize("options", [{"date_format": "day_first"}, {"day_first": "true"}])
    def test_a_date_format_has_a_name(self, as_manager, session, options):
        response = upload(as_manager, b"task_name,due_at\nOne,3.9.2026\n", **options)

        assert (response.json["date_format"], response.json["created_count"]) == ("day_first", 1)

    def test_a_file_may_have_words_of_its_own(self, as_manager, factories):
        factories.User(username="ada", email="ada@example.org")
        content = b"task_name,status,priority,assignee\nOne,THIS week,P1,Ada L.\nTwo,todo,low,Somebody\n"

        response = upload(
            as_manager,
            content,
            status_map='{"This week": "doing"}',
            priority_map='{"p1": "urgent"}',
            people_map='{"Ada L.": "ADA@example.org", "somebody": null}',
        )

        assert (response.status_code, response.json["created_count"]) == (201, 2)
        assert response.json["status_map"] == {"this week": "in_progress"}
        assert response.json["priority_map"] == {"p1": "critical"}
        assert response.json["people_map"] == {"ada l.": "ADA@example.org", "somebody": None}
        one, two = as_manager.get("/api/v1/tasks?sort=id").json["items"]
        assert (one["status"], one["priority"], one["assignee"]) == ("in_progress", "critical", "ada")
        assert (two["status"], two["priority"], two["assignee"]) == ("todo", "low", None)

    def test_another_project_counts_as_unknown(self, as_manager, factories):
        factories.Project(key="SECRET")

        invisible, missing = (upload(as_manager, CSV, project=key) for key in ("SECRET", "NONE"))

        assert (invisible.status_code, missing.status_code) == (422, 422)
        assert invisible.json["detail"].replace("SECRET", "NONE") == missing.json["detail"]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "empty"),
            (b"colour\nred\n", "task_name"),
            (b"task_name,priorty\nOne,high\n", "did you mean priority"),
            (b'task_name\n"never closed\n', "a quote is opened and never closed"),
            (b"\x1f\x8b\x08\x00", "compressed"),
            (b"PK\x03\x04", "Excel"),
        ],
    )
    def test_an_unreadable_file_is_a_422_and_leaves_nothing(self, as_manager, session, content, reason):
        response = upload(as_manager, content)

        assert (response.status_code, response.json["code"]) == (422, "unreadable_csv")
        assert response.content_type == "application/problem+json"
        assert reason in response.json["detail"]
        assert count(session, TaskImport) == count(session, ImportBlock) == 0

    def test_a_file_that_is_refused_completely_has_its_failure_in_the_answer(self, as_manager, session):
        response = upload(as_manager, CSV, mode="all_or_nothing")

        assert response.status_code == 201
        assert (response.json["state"], response.json["created_count"]) == ("failed", 0)
        assert response.json["failure"] == "1 row was refused, so nothing was imported"
        assert titles(session) == []

    def test_a_missing_file_is_a_422(self, as_manager):
        as_text = as_manager.request("POST", IMPORTS, data={"file": "task_name"}, content_type="multipart/form-data")
        under_another_name = as_manager.request("POST", IMPORTS, data={"csv": (io.BytesIO(CSV), "tasks.csv")})

        for response in (as_text, under_another_name):
            assert (response.status_code, response.json["code"]) == (422, "invalid")

    @pytest.mark.parametrize("part", ["project", "file"])
    def test_a_field_after_the_file_is_refused(self, as_manager, session, part):
        """The upload is read as it arrives, so an option after the file would come too late."""
        name = f'name="{part}"' + ('; filename="b.csv"' if part == "file" else "")
        body = multipart(('name="file"; filename="a.csv"', CSV), (name, b"GEN"))

        response = as_manager.request("POST", IMPORTS, data=body, content_type="multipart/form-data; boundary=b")

        assert (response.status_code, response.json["code"]) == (422, "invalid")
        assert [problem["pointer"] for problem in response.json["errors"]] == [f"/{part}"]
        assert "before the file" in response.json["detail"]
        assert count(session, TaskImport) == 0

    @pytest.mark.parametrize("kept", [0.3, 0.6, 0.99])
    def test_an_incomplete_upload_leaves_nothing(self, as_manager, session, kept):
        body = multipart(('name="file"; filename="a.csv"', CSV * 100))
        start = body[: int(len(body) * kept)]

        response = as_manager.request("POST", IMPORTS, data=start, content_type="multipart/form-data; boundary=b")

        assert (response.status_code, response.json["code"]) == (400, "bad_request")
        assert count(session, TaskImport) == count(session, ImportBlock) == 0
        assert titles(session) == []

    @pytest.mark.parametrize("content_type", ["text/csv", "application/json", "multipart/form-data", ""])
    def test_a_body_that_is_not_a_form_is_a_415(self, as_manager, content_type):
        response = as_manager.request("POST", IMPORTS, data=CSV, content_type=content_type)

        assert (response.status_code, response.json["code"]) == (415, "unsupported_media_type")

    def test_a_compressed_body_is_a_415(self, as_manager):
        response = upload(as_manager, CSV, headers={"Content-Encoding": "gzip"})

        assert (response.status_code, response.json["code"]) == (415, "unsupported_media_type")

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
    def test_a_user_may_not(self, client, factories, session, role):
        response = upload(client.acting_as(factories.User(role=role)), CSV)

        assert (response.status_code, response.json["code"]) == (403, "forbidden")
        assert count(session, TaskImport) == 0

    def test_a_token_is_required(self, client):
        assert upload(client, CSV).status_code == 401


class TestLimits:
    def test_too_many_rows_are_a_413_and_leave_nothing(self, as_manager, session):
        response = upload(as_manager, b"task_name\n" + b"One\n" * 11)

        assert (response.status_code, response.json["code"]) == (413, "too_large")
        assert "10 rows" in response.json["detail"]
        assert count(session, TaskImport) == 0

    def test_too_many_columns_are_a_413(self, as_manager):
        assert upload(as_manager, b"task_name,a,b,c,d\n").status_code == 413

    def test_a_file_over_the_limit_is_a_413(self, as_manager, session, settings):
        response = upload(as_manager, b"task_name\n" + b"x" * settings.max_upload_bytes)

        assert (response.status_code, response.json["code"]) == (413, "too_large")
        assert count(session, TaskImport) == 0

    def test_a_cell_over_the_limit_refuses_its_row(self, as_manager):
        response = upload(as_manager, b"task_name\nOne\n" + b"x" * 31 + b"\n")

        assert (response.json["created_count"], response.json["refused_count"]) == (1, 1)

    def test_one_upload_too_many_is_refused_before_it_is_read(self, as_manager):
        for _ in range(3):
            assert upload(as_manager, CSV).status_code == 201

        response = upload(as_manager, CSV)

        assert (response.status_code, response.json["code"]) == (429, "too_many_requests")
        assert response.json["detail"] == "too many requests; the next is possible in 60 minutes"
        assert 3590 < int(response.headers["Retry-After"]) <= 3601
        assert response.headers["RateLimit-Policy"] == '"default";q=3;w=3600'

    def test_dry_runs_do_not_count(self, as_manager):
        for _ in range(4):
            response = upload(as_manager, CSV, dry_run="true")
            assert response.status_code == 201
            assert response.headers["RateLimit-Policy"].endswith(";w=60")

        left = [upload(as_manager, CSV).headers["X-RateLimit-Remaining"] for _ in range(3)]

        assert left == ["2", "1", "0"]
        assert upload(as_manager, CSV).status_code == 429
        assert upload(as_manager, CSV, dry_run="true").status_code == 201

    def test_an_unreadable_file_counts(self, as_manager):
        for _ in range(3):
            assert upload(as_manager, b"").status_code == 422

        assert upload(as_manager, CSV).status_code == 429

    @pytest.fixture
    def settings(self, base_settings):
        return replace(
            base_settings,
            max_upload_bytes=100_000,
            csv_limits=CsvLimits(rows=10, columns=4, cell_characters=30),
            rate_limits=replace(base_settings.rate_limits, upload=RateLimit(3, 3600)),
        )


class TestWaiting:
    @pytest.mark.parametrize(
        "prefer", ["respond-async", "wait=0", "Respond-Async, wait=10", "handling=lenient, wait=0"]
    )
    def test_a_client_that_does_not_wait_gets_the_location(self, as_manager, services, session, job_queue, prefer):
        response = upload(as_manager, CSV, headers={"Prefer": prefer})

        assert response.status_code == 202
        assert set(response.json) == DETAILS
        assert (response.json["state"], response.json["read_count"]) == ("loading", 3)
        assert (response.json["created_count"], response.json["finished_at"]) == (0, None)
        assert job_queue.enqueued == [JobName.RUN_IMPORTS]
        assert titles(session) == []

        services.import_runs.run_waiting()

        shown = as_manager.get(response.headers["Location"]).json
        assert (shown["state"], shown["created_count"]) == ("finished", 2)

    def test_the_answer_does_not_wait_for_a_large_file(self, as_manager, monkeypatch):
        monkeypatch.setattr("app.services.imports.imports.BLOCK_ROWS", 2)

        response = upload(as_manager, CSV)

        assert response.status_code == 202
        assert response.headers["Location"] == f"{IMPORTS}/{response.json['id']}"

    @pytest.mark.parametrize("prefer", ["wait=1", "WAIT=30", "wait=999999999", "respond-later, wait=5"])
    def test_the_answer_waits_if_the_client_asks_for_it(self, as_manager, monkeypatch, prefer):
        monkeypatch.setattr("app.services.imports.imports.BLOCK_ROWS", 2)

        assert upload(as_manager, CSV, headers={"Prefer": prefer}).status_code == 201

    @pytest.mark.parametrize(
        "prefer", ["", "wait", "wait=", "wait=soon", "wait=-1", "wait=9999999999", "return=minimal"]
    )
    def test_another_preference_changes_nothing(self, as_manager, prefer):
        """A preference that the server does not understand is not an error (RFC 7240)."""
        assert upload(as_manager, CSV, headers={"Prefer": prefer}).status_code == 201


class TestIdempotencyKey:
    def test_the_same_upload_again_is_the_same_import(self, as_manager, session):
        first, second = (upload(as_manager, CSV, headers={"Idempotency-Key": "once"}) for _ in range(2))

        assert (first.status_code, second.status_code) == (201, 201)
        assert second.json == first.json
        assert second.headers["Location"] == first.headers["Location"]
        assert titles(session) == ["One", "Three"]

    def test_another_file_may_not_use_the_key(self, as_manager, session):
        upload(as_manager, CSV, headers={"Idempotency-Key": "once"})

        response = upload(as_manager, b"task_name\nOther\n", headers={"Idempotency-Key": "once"})

        assert (response.status_code, response.json["code"]) == (422, "idempotency_key_reused")
        assert titles(session) == ["One", "Three"]

    def test_another_user_may_use_the_key(self, as_manager, as_admin, session):
        ids = {upload(client, CSV, headers={"Idempotency-Key": "once"}).json["id"] for client in (as_manager, as_admin)}

        assert len(ids) == 2

    def test_without_a_key_the_same_file_is_another_import(self, as_manager, clock):
        first = upload(as_manager, CSV)
        clock.advance(seconds=1)

        assert upload(as_manager, CSV).json["id"] != first.json["id"]

    @pytest.mark.parametrize("key", ["", "k" * (MAX_IDEMPOTENCY_KEY_LENGTH + 1)])
    def test_a_key_that_is_too_short_or_long_is_refused(self, as_manager, session, key):
        response = upload(as_manager, CSV, headers={"Idempotency-Key": key})

        assert (response.status_code, response.json["code"]) == (422, "invalid")
        assert [problem["pointer"] for problem in response.json["errors"]] == ["/Idempotency-Key"]
        assert count(session, TaskImport) == 0


def multipart(*resources):
    """A form with its fields in this order."""
    body = b"".join(
        b"--b\r\nContent-Disposition: form-data; " + name.encode() + b"\r\n\r\n" + content + b"\r\n"
        for name, content in resources
    )
    return body + b"--b--\r\n"


def titles(session):
    return session.scalars(select(Task.title).order_by(Task.number)).all()
