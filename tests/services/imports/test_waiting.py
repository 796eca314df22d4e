import pytest

from app.composition.services import serving
from app.errors import UnreadableCsvError
from app.job_queue import JobName
from app.models.imports.task_import import ImportMode
from tests.fakes import TickingClock
from tests.services.imports.uploading import titles, upload


class TestWaiting:
    def test_an_import_without_a_wait_is_left_to_a_worker(self, service, services, manager, session, job_queue):
        outcome = upload(service, manager, "task_name", "One", wait_seconds=0)

        body = outcome.row.values
        assert (outcome.is_finished, body["state"], body["finished_at"]) == (False, "loading", None)
        assert (body["read_count"], body["created_count"]) == (1, 0)
        assert job_queue.enqueued == [JobName.RUN_IMPORTS]
        assert titles(session) == []

        services.import_runs.run_waiting()

        assert service.get(manager, outcome.import_id).values["state"] == "finished"
        assert titles(session) == ["One"]

    def test_a_small_file_is_finished_before_the_answer(self, service, manager, job_queue):
        assert upload(service, manager, "task_name", "One").is_finished
        # If the request dies, a worker goes on with the import.
        assert job_queue.enqueued == [JobName.RUN_IMPORTS]

    def test_the_answer_waits_for_a_large_file_only_on_request(self, service, manager, monkeypatch):
        monkeypatch.setattr("app.services.imports.imports.BLOCK_ROWS", 3)
        lines = ["task_name", "One", "Two", "Three"]

        assert upload(service, manager, *lines).is_finished
        assert not upload(service, manager, *lines, "Four").is_finished
        assert upload(service, manager, *lines, "Four", "Five", wait_seconds=1).is_finished

    @pytest.mark.parametrize(
        ("options", "state"),
        [
            ({}, "loading"),
            ({"is_dry_run": True}, "checking"),
            ({"mode": ImportMode.ALL_OR_NOTHING}, "checking"),
            ({"mode": ImportMode.ALL_OR_NOTHING, "is_dry_run": True}, "checking"),
        ],
    )
    def test_a_dry_run_and_an_all_or_nothing_import_wait_for_their_check(self, service, manager, options, state):
        outcome = upload(service, manager, "task_name", "One", wait_seconds=0, **options)

        assert outcome.row.values["state"] == state

    def test_a_refused_file_wakes_no_worker(self, service, manager, job_queue):
        with pytest.raises(UnreadableCsvError):
            upload(service, manager, "task_name", '"Open')

        assert job_queue.enqueued == []

    def test_the_answer_is_sent_when_the_wait_ends_and_a_worker_goes_on(
        self, service, services, manager, resources, clock, small_blocks, job_queue
    ):
        resources.clock = TickingClock(clock, seconds=0.2)

        with serving(resources) as slow:
            outcome = upload(slow.imports, manager, "task_name", *map(str, range(60)), wait_seconds=2)

        assert not outcome.is_finished
        assert 0 < outcome.created_count < 60
        assert job_queue.enqueued == [JobName.RUN_IMPORTS, JobName.RUN_IMPORTS]
        services.import_runs.run_waiting()
        assert service.get(manager, outcome.import_id).values["created_count"] == 60
