"""When a task of an import was created, started and completed: as the file says, as far as it can be true."""

from datetime import UTC, datetime, timedelta

import pytest

from app.models.imports.task_import import DuplicatePolicy
from app.models.tasks.fields import TaskStatus
from tests.services.imports.uploading import counts_of, upload
from tests.stored import list_tasks

HEADER = "task_name,status,created_at,started_at,completed_at,external_ref"
CREATED, STARTED, COMPLETED = (datetime(2026, 3, day, 12, tzinfo=UTC) for day in (1, 3, 5))


class TestNewTask:
    def test_has_the_times_of_the_file(self, service, manager, session):
        upload(service, manager, HEADER, f"One,done,{CREATED},{STARTED},{COMPLETED},")

        assert times(session) == [(CREATED, STARTED, COMPLETED)]

    def test_without_a_date_of_creation_is_as_old_as_its_first_time(self, service, manager, session):
        upload(service, manager, HEADER, f"One,done,,{STARTED},{COMPLETED},", f"Two,done,,,{COMPLETED},")

        assert times(session) == [(STARTED, STARTED, COMPLETED), (COMPLETED, None, COMPLETED)]

    def test_that_is_open_has_no_date_of_completion(self, service, manager, session, clock):
        upload(service, manager, HEADER, f"One,todo,{CREATED},,{COMPLETED},", f"Two,doing,,{STARTED},,")

        assert times(session) == [(CREATED, None, None), (STARTED, STARTED, None)]

    def test_without_times_has_those_of_the_import(self, service, manager, session, clock):
        upload(service, manager, HEADER, "One,done,,,,", "Two,doing,,,,", "Three,todo,,,,")

        now = clock()
        assert times(session) == [(now, None, now), (now, now, None), (now, None, None)]

    def test_is_not_completed_before_it_was_created_nor_in_the_future(self, service, manager, session, clock):
        future = clock() + timedelta(days=3)

        upload(
            service,
            manager,
            HEADER,
            f"One,done,{COMPLETED},,{CREATED},",
            f"Two,cancelled,{CREATED},{future},{future},",
            f"Three,doing,{CREATED},{future},,",
            f"Four,done,{CREATED},{COMPLETED},{STARTED},",
        )

        now = clock()
        assert times(session) == [
            (COMPLETED, None, COMPLETED),
            (CREATED, now, now),
            (CREATED, now, None),
            (CREATED, STARTED, STARTED),
        ]


class TestExistingTask:
    def test_gets_the_time_with_the_status(self, service, manager, session, factories):
        factories.Task(title="One", external_ref="A", created_at=CREATED)

        lines = [HEADER, f"One,done,,{STARTED},{COMPLETED},A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert times(session) == [(CREATED, STARTED, COMPLETED)]

    def test_is_not_completed_before_it_was_started(self, service, manager, session, factories):
        factories.Task(external_ref="A", created_at=CREATED, status=TaskStatus.IN_PROGRESS, started_at=COMPLETED)
        factories.Task(external_ref="B", created_at=CREATED)

        lines = [HEADER, f"One,done,,,{STARTED},A", f"Two,done,,{COMPLETED},{STARTED},B"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert times(session) == [(CREATED, COMPLETED, COMPLETED), (CREATED, STARTED, STARTED)]

    def test_that_has_ended_was_not_started_later(self, service, manager, session, factories):
        factories.Task(external_ref="A", created_at=CREATED, status=TaskStatus.DONE, completed_at=STARTED)

        lines = [HEADER, f"One,cancelled,,{COMPLETED},,A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert times(session) == [(CREATED, STARTED, STARTED)]

    def test_keeps_its_own_time(self, service, manager, session, factories):
        factories.Task(title="One", external_ref="A", created_at=CREATED, status=TaskStatus.DONE, completed_at=STARTED)

        lines = [HEADER, f"One,done,,,{COMPLETED},A"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome)["skipped_count"] == 1
        assert times(session) == [(CREATED, None, STARTED)]

    def test_that_is_opened_again_loses_it(self, service, manager, session, factories):
        factories.Task(title="One", external_ref="A", created_at=CREATED, status=TaskStatus.DONE, completed_at=STARTED)

        lines = [HEADER, f"One,todo,,,{COMPLETED},A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert times(session) == [(CREATED, None, None)]


class TestReports:
    def test_cycle_times_and_filters_know_when_a_task_was_done(self, service, services, manager):
        upload(service, manager, HEADER, f"One,done,{CREATED},{STARTED},{COMPLETED},", f"Two,done,,,{COMPLETED},")

        (week,) = services.reports.cycle_time(manager, since=CREATED.date(), until=COMPLETED.date(), project=None)

        # Nobody knows when the second task was started, so it has no cycle time.
        assert (week.week.isoformat(), week.task_count) == ("2026-03-02", 1)
        assert week.seconds["p50"] == pytest.approx((COMPLETED - STARTED).total_seconds())

    def test_the_flow_begins_with_the_import(self, service, services, manager, clock):
        upload(service, manager, HEADER, f"One,done,{CREATED},{STARTED},{COMPLETED},")
        today = clock().date()

        before, now = services.reports.flow(manager, since=today - timedelta(days=1), until=today, project=None)

        assert [sum(status.task_count for status in day.statuses) for day in (before, now)] == [0, 1]


def times(session):
    return [(task.created_at, task.started_at, task.completed_at) for task in list_tasks(session)]
