import io

import pytest

from app.errors import UnavailableError
from app.http.admission import MAX_DOWNLOADS, MAX_FILES_BEING_WRITTEN
from app.http.downloads import MAX_MEMORY_BYTES
from app.repositories.tasks.export import TaskExportRepository

EXPORT = "/api/v1/tasks/export"


class TestDownload:
    def test_states_its_length_and_its_number_of_rows(self, client, admin, factories):
        for _ in range(3):
            factories.Task(description="a line\nand another")

        answer = client.acting_as(admin).get(EXPORT)

        assert answer.headers["Content-Length"] == str(len(answer.get_data()))
        assert answer.headers["X-Row-Count"] == "3"

    def test_an_unfinished_download_is_an_error_and_not_a_file(self, client, admin, factories, monkeypatch):
        monkeypatch.setattr("app.services.tasks.export.PAGE_ROWS", 1)
        for _ in range(3):
            factories.Task()
        fail_after(monkeypatch, pages=2)

        answer = client.acting_as(admin).get(EXPORT)

        assert answer.status_code == 503
        assert answer.json["code"] == "unavailable"
        assert "Content-Disposition" not in answer.headers

    def test_a_large_download_is_complete(self, client, admin, factories):
        description = "x" * 20_000
        count = MAX_MEMORY_BYTES // len(description) + 2
        for _ in range(count):
            factories.Task(description=description)

        answer = client.acting_as(admin).get(EXPORT)

        assert answer.get_data().count(description.encode()) == count

    def test_a_download_of_errors_states_the_same(self, client, admin):
        client = client.acting_as(admin)
        file = io.BytesIO(b"title,status\nPaint,maybe\nSand,todo\n")
        created = client.request("POST", "/api/v1/imports", data={"file": (file, "tasks.csv")})

        answer = client.get(f"{created.headers['Location']}/errors?format=csv")

        assert answer.headers["X-Row-Count"] == "1"
        assert answer.headers["Content-Length"] == str(len(answer.get_data()))


class TestActiveTasks:
    @pytest.mark.parametrize("task_count", [0, 1, 3, 7])
    def test_are_one_array_over_any_number_of_pages(self, client, admin, factories, monkeypatch, task_count):
        monkeypatch.setattr("app.services.tasks.read.ACTIVE_PAGE_ROWS", 3)
        tasks = [factories.Task(title=f'T"{number}') for number in range(task_count)]
        factories.Task(status="done")

        answer = client.acting_as(admin).get("/activetasks")

        assert answer.json == [{"id": task.id, "task_name": task.title} for task in tasks]
        assert answer.content_type == "application/json"
        assert answer.headers["X-Row-Count"] == str(task_count)
        assert answer.headers["Content-Length"] == str(len(answer.data))


class TestBounds:
    def test_one_download_too_many_is_refused_with_a_time_to_retry(self, app, client, admin):
        for _ in range(MAX_DOWNLOADS):
            app.extensions["admission"].downloads.take()

        answer = client.acting_as(admin).get(EXPORT)

        assert answer.status_code == 503
        assert answer.json["code"] == "too_busy"

    def test_a_place_comes_back_after_success_and_failure(self, app, client, admin, factories, monkeypatch):
        client = client.acting_as(admin)
        for _ in range(MAX_DOWNLOADS):
            assert client.get(EXPORT).get_data()
            with client.request("HEAD", EXPORT) as answer:
                assert answer.headers["Content-Length"] != "0"
        fail_after(monkeypatch, pages=0)
        for _ in range(MAX_DOWNLOADS):
            assert client.get(EXPORT).status_code == 503

        admission = app.extensions["admission"]
        for _ in range(MAX_DOWNLOADS):
            admission.downloads.take()
        for _ in range(MAX_FILES_BEING_WRITTEN):
            admission.files_being_written.take()
        for _ in range(admission.permits):
            admission.gate.enter()

    def test_a_download_that_is_being_sent_holds_its_place_and_no_permit(self, app, client, admin):
        admission = app.extensions["admission"]
        answer = client.acting_as(admin).get(EXPORT, buffered=False)

        for _ in range(admission.permits):
            admission.gate.enter()
        for _ in range(MAX_DOWNLOADS - 1):
            admission.downloads.take()
        with pytest.raises(UnavailableError):
            admission.downloads.take()
        answer.close()
        admission.downloads.take()


def fail_after(monkeypatch, *, pages):
    """Make the database fail after this number of pages of the export."""
    list_page, left = TaskExportRepository.list_page, [pages]

    def fail(*args, **kwargs):
        if not left[0]:
            raise UnavailableError("the database does not answer", retry_after_seconds=2)
        left[0] -= 1
        return list_page(*args, **kwargs)

    monkeypatch.setattr(TaskExportRepository, "list_page", fail)
