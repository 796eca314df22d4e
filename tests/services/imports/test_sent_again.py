import pytest

from app.errors import IdempotencyKeyReusedError, UnreadableCsvError
from app.models.imports.task_import import DateFormat, DuplicatePolicy, ImportBlock, ImportMode, TaskImport
from app.models.people.user import Role
from tests.services.imports.uploading import InterruptedStream, stream_of, titles, upload
from tests.stored import count


class TestIdempotencyKey:
    def test_the_same_upload_again_is_the_same_import(self, service, manager, session):
        first, second = (upload(service, manager, "task_name", "One", key="once") for _ in range(2))

        assert (second.import_id, second.is_finished, second.created_count) == (first.import_id, True, 1)
        assert second.row == first.row
        assert titles(session) == ["One"]

    def test_another_file_name_makes_no_difference(self, service, manager):
        ids = {
            service.import_csv(
                manager, stream_of("task_name", "One"), filename=filename, idempotency_key="once"
            ).import_id
            for filename in ("a.csv", "b.csv")
        }

        assert len(ids) == 1

    @pytest.mark.parametrize(
        ("lines", "options"),
        [
            (["task_name", "Two"], {}),
            (["task_name", "One", "Two"], {}),
            (["title", "One"], {}),
            (["task_name", "One"], {"is_dry_run": True}),
            (["task_name", "One"], {"mode": ImportMode.ALL_OR_NOTHING}),
            (["task_name", "One"], {"on_duplicate": DuplicatePolicy.SKIP}),
            (["task_name", "One"], {"creates_users": False}),
            (["task_name", "One"], {"date_format": DateFormat.DAY_FIRST}),
        ],
    )
    def test_another_file_or_other_options_may_not_use_the_key(self, service, manager, session, lines, options):
        upload(service, manager, "task_name", "One", key="once")

        with pytest.raises(IdempotencyKeyReusedError):
            upload(service, manager, *lines, key="once", **options)

        assert titles(session) == ["One"]
        assert count(session, TaskImport) == 1

    def test_another_user_may_use_the_same_key(self, service, manager, factories, acting_as, session):
        other = acting_as(factories.User(role=Role.MANAGER))

        first = upload(service, manager, "task_name", "One", key="once")
        second = upload(service, other, "task_name", "One", key="once")

        assert first.import_id != second.import_id
        assert titles(session) == ["One", "One"]

    def test_other_keys_make_other_imports_of_the_same_file(self, service, manager, session):
        first, second = (upload(service, manager, "task_name", "One", key=key) for key in ("one", "two"))

        assert first.import_id != second.import_id
        assert titles(session) == ["One", "One"]

    def test_other_keys_make_other_imports_while_the_first_is_unfinished(self, service, manager):
        first, second = (
            upload(service, manager, "task_name", "One", key=key, wait_seconds=0) for key in ("one", "two")
        )

        assert first.import_id != second.import_id

    def test_a_repeated_upload_waits_with_the_waiting_import(self, service, manager, session):
        first = upload(service, manager, "task_name", "One", key="once", wait_seconds=0)

        second = upload(service, manager, "task_name", "One", key="once")

        assert (second.import_id, first.is_finished, second.is_finished) == (first.import_id, False, True)
        assert titles(session) == ["One"]

    def test_a_failed_import_is_returned_as_failed(self, service, manager):
        options = {"mode": ImportMode.ALL_OR_NOTHING, "key": "once"}

        first, second = (upload(service, manager, "task_name", "One", "Two,", **options) for _ in range(2))

        assert second.row == first.row
        assert second.row.values["state"] == "failed"

    def test_an_unreadable_file_does_not_use_up_the_key(self, service, manager):
        with pytest.raises(UnreadableCsvError):
            upload(service, manager, "task_name", '"Open', key="once")

        assert upload(service, manager, "task_name", "One", key="once").created_count == 1


class TestTwin:
    def test_the_same_file_is_the_same_import_while_the_first_waits(self, service, manager, session):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        second = upload(service, manager, "task_name", "One", wait_seconds=0)

        assert (second.import_id, second.is_finished) == (first.import_id, False)
        assert count(session, TaskImport) == count(session, ImportBlock) == 1

    def test_the_same_file_is_the_same_import_while_the_first_runs(self, service, services, manager, session):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)
        services.import_runs.claim(first.import_id)

        assert upload(service, manager, "task_name", "One", wait_seconds=0).import_id == first.import_id

    def test_waiting_for_the_second_upload_waits_for_the_first(self, service, manager, session):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        second = upload(service, manager, "task_name", "One")

        assert (second.import_id, second.is_finished, second.created_count) == (first.import_id, True, 1)
        assert titles(session) == ["One"]

    def test_the_same_file_is_another_import_after_the_first_is_finished(self, service, manager, session, clock):
        first = upload(service, manager, "task_name", "One")
        clock.advance(seconds=1)

        second = upload(service, manager, "task_name", "One")

        assert first.import_id != second.import_id
        assert titles(session) == ["One", "One"]

    def test_an_upload_that_began_before_the_first_was_finished_is_the_same_import(
        self, service, services, manager, session, clock
    ):
        """A proxy sends the request again while the first is still being answered."""
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        def finish_the_first():
            clock.advance(seconds=1)
            services.import_runs.run_waiting()
            clock.advance(seconds=1)

        second = service.import_csv(
            manager, InterruptedStream(b"task_name\n", finish_the_first, b"One\n"), filename="tasks.csv"
        )

        assert (second.import_id, second.created_count) == (first.import_id, 1)
        assert titles(session) == ["One"]

    @pytest.mark.parametrize(
        ("lines", "options"),
        [
            (["task_name", "Two"], {}),
            (["task_name", "One"], {"is_dry_run": True}),
            (["task_name", "One"], {"mode": ImportMode.ALL_OR_NOTHING}),
        ],
    )
    def test_another_file_or_other_options_make_another(self, service, manager, lines, options):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        assert upload(service, manager, *lines, wait_seconds=0, **options).import_id != first.import_id

    def test_the_same_file_of_another_user_is_another_import(self, service, manager, factories, acting_as):
        first = upload(service, manager, "task_name", "One", wait_seconds=0)

        other = acting_as(factories.User(role=Role.MANAGER))
        assert upload(service, other, "task_name", "One", wait_seconds=0).import_id != first.import_id
