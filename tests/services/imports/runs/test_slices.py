from datetime import timedelta

import pytest
from sqlalchemy import select

from app.composition.services import serving
from app.job_queue import JobName
from app.models.imports.task_import import ImportBlock, TaskImport
from app.models.tasks.task import Task
from app.services.imports.runs import LEASE, SLICE
from app.services.imports.uploads import UPLOAD_LEASE
from tests.fakes import TickingClock
from tests.services.imports.runs.steps import OPTIONS, take_one_step
from tests.stored import count


class TestSlice:
    def test_leaves_the_rest_to_the_next_slice(self, runs, stage, clock, show_import, session, job_queue):
        import_id = stage("task_name", *map(str, range(10)))
        job_queue.enqueued.clear()

        take_one_step(runs, import_id, clock)

        outcome = show_import(import_id)
        assert (outcome["state"], outcome["created_count"], outcome["finished_at"]) == ("loading", 3, None)
        assert job_queue.enqueued == [JobName.RUN_IMPORTS]
        # The next claim need not wait for a lease to end.
        assert runs.claim().import_id == import_id

    def test_goes_on_where_the_last_slice_ended(self, runs, stage, clock, show_import, session):
        import_id = stage("task_name", *map(str, range(10)))

        counts = []
        while show_import(import_id)["finished_at"] is None:
            take_one_step(runs, import_id, clock)
            counts.append(show_import(import_id)["created_count"])

        assert counts == [3, 6, 9, 10]
        assert session.scalars(select(Task.title).order_by(Task.number)).all() == [str(n) for n in range(10)]

    @pytest.mark.parametrize("options", OPTIONS)
    def test_an_import_in_steps_has_the_same_result_as_one_at_once(
        self, runs, stage, clock, show_import, factories, admin, acting_as, options
    ):
        factories.Project(key="OPS", includes_everyone=True)
        rows = [*(f"{n % 6},Grace" for n in range(9)), "5,Zoë"]
        if "mode" not in options:
            rows.insert(4, "Bad,maybe,too")
        at_once, in_steps = (
            stage("task_name,assignee", *rows, **options, actor=acting_as(admin), project=key) for key in ("GEN", "OPS")
        )

        while show_import(at_once)["finished_at"] is None:
            runs.work_on(runs.claim(at_once), until=clock() + SLICE)
        while show_import(in_steps)["finished_at"] is None:
            take_one_step(runs, in_steps, clock)

        assert comparable(show_import(in_steps)) == comparable(show_import(at_once))
        assert show_import(in_steps)["state"] == "finished"

    def test_large_imports_take_turns(self, runs, stage, clock, show_import, monkeypatch):
        """A slice ends after each step here, so no import waits for the end of another file."""
        ids = [stage("task_name", *(f"{n} of {name}" for n in range(9))) for name in ("first", "second")]

        counts = []
        for _ in range(4):
            claim = runs.claim()
            runs.work_on(claim, until=clock())
            counts.append([show_import(import_id)["created_count"] for import_id in ids])

        assert counts == [[3, 0], [3, 3], [6, 3], [6, 6]]

    def test_takes_waiting_imports_until_its_time_is_over(self, stage, resources, clock, show_import):
        ids = [stage("task_name", *(f"{n} of {name}" for n in range(6))) for name in range(10)]
        resources.clock = TickingClock(clock, seconds=1)

        with serving(resources) as slow:
            began_at = clock()
            slow.import_runs.run_waiting()

        finished = [import_id for import_id in ids if show_import(import_id)["finished_at"] is not None]
        assert 0 < len(finished) < len(ids)
        assert finished == ids[: len(finished)]
        assert clock() - began_at < 2 * SLICE

    def test_each_block_prolongs_the_claim(self, stage, runs, resources, clock, show_import):
        """No other worker can claim the import, although its slices together take longer than a claim lasts."""
        import_id = stage("task_name", *map(str, range(30)))
        claim = runs.claim()
        others = []
        resources.clock = TickingClock(clock, seconds=1, watch=lambda: others.append(runs.claim()))
        began_at = clock()

        with serving(resources) as slow:
            slow.import_runs.work_on(claim, until=clock() + timedelta(hours=1))

        assert show_import(import_id)["created_count"] == 30
        assert clock() - began_at > LEASE
        assert set(others) == {None}


class TestBrokenUploads:
    def test_are_discarded_after_their_lease(self, runs, staging, clock, session):
        clock.advance(seconds=UPLOAD_LEASE.total_seconds() + 1)

        runs.run_waiting()

        assert count(session, TaskImport) == count(session, ImportBlock) == 0

    def test_are_left_alone_during_their_lease(self, runs, staging, clock, session):
        clock.advance(seconds=UPLOAD_LEASE.total_seconds())

        runs.run_waiting()

        assert count(session, TaskImport) == count(session, ImportBlock) == 1

    def test_nothing_else_is_discarded(self, runs, stage, staging, clock, show_import):
        waiting = stage("task_name", *map(str, range(10)))
        claimed = stage("task_name", "Two")
        take_one_step(runs, waiting, clock)
        runs.claim(claimed)
        finished = stage("task_name", "Three")
        runs.work_on(runs.claim(finished), until=clock() + SLICE)

        clock.advance(seconds=UPLOAD_LEASE.total_seconds() + 1)
        runs.run_waiting()

        assert [show_import(import_id)["state"] for import_id in (waiting, claimed, finished)] == ["finished"] * 3


class TestRunWaiting:
    def test_every_waiting_import_is_finished(self, runs, stage, show_import):
        ids = [stage("task_name", f"Of file {n}", **options) for n, options in enumerate(OPTIONS)]

        runs.run_waiting()

        assert [show_import(import_id)["state"] for import_id in ids] == ["finished"] * len(ids)

    def test_does_nothing_when_nothing_waits(self, runs, job_queue):
        runs.run_waiting()

        assert job_queue.enqueued == []


def comparable(outcome):
    """Return the outcome of an import without its id and times."""
    return {
        name: value for name, value in outcome.items() if name not in {"id", "project", "created_at", "finished_at"}
    }
