import pytest
from sqlalchemy import select

from app.models.imports.task_import import DuplicatePolicy, ImportMode
from app.models.tasks.task import Task
from app.services.imports.runs import LEASE, SLICE
from tests.services.imports.runs.steps import NOON, take_one_step


class TestImportsOfOneProject:
    @pytest.mark.parametrize("policy", [DuplicatePolicy.SKIP, DuplicatePolicy.UPDATE])
    def test_imports_that_look_for_duplicates_run_one_at_a_time(self, runs, stage, policy):
        first, second = (stage("task_name", f"Of file {n}", on_duplicate=policy) for n in range(2))

        claim = runs.claim()

        assert claim.import_id == first
        assert runs.claim() is None
        assert runs.claim(second) is None
        runs.work_on(claim, until=NOON + SLICE)
        assert runs.claim().import_id == second

    def test_the_next_import_takes_over_from_a_dead_one(self, runs, stage, clock):
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        _first, second = (stage("task_name", f"Of file {n}", **options) for n in range(2))
        runs.claim()

        clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim().import_id == second

    def test_imports_that_do_not_look_for_duplicates_run_side_by_side(self, runs, stage):
        ids = [stage("task_name", f"Of file {n}") for n in range(2)]

        assert [runs.claim().import_id for _ in range(2)] == ids

    def test_an_import_that_looks_for_duplicates_waits_for_one_that_does_not(self, runs, stage):
        stage("task_name", "One")
        waiting = stage("task_name", "Two", on_duplicate=DuplicatePolicy.SKIP)
        runs.claim()

        assert runs.claim(waiting) is None

    def test_no_import_waits_for_another_project(self, runs, stage, factories, admin, acting_as):
        factories.Project(key="OPS")
        options = {"on_duplicate": DuplicatePolicy.SKIP, "actor": acting_as(admin)}
        ids = [stage("task_name", "One", **options, project=key) for key in ("GEN", "OPS")]

        assert [runs.claim().import_id for _ in range(2)] == ids

    def test_no_import_waits_for_an_unfinished_upload(self, runs, stage, staging):
        import_id = stage("task_name", "One", on_duplicate=DuplicatePolicy.SKIP)

        assert runs.claim().import_id == import_id

    def test_no_import_waits_for_one_between_two_slices(self, runs, stage, clock):
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        first = stage("task_name", *map(str, range(10)), **options)
        take_one_step(runs, first, clock)
        second = stage("task_name", "Small", **options)

        assert runs.claim().import_id == second

    def test_an_import_waits_until_the_end_of_an_all_or_nothing_one(self, runs, stage, clock, show_import):
        """The one transaction may take long; its tasks are still seen by a later import that looks for duplicates."""
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        first = stage("task_name", "One", **options, mode=ImportMode.ALL_OR_NOTHING)
        take_one_step(runs, first, clock)
        assert show_import(first)["state"] == "loading"
        second = stage("task_name", "One", "Two", **options)
        runs.claim(first)

        clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim(second) is None
        runs.run_waiting()
        runs.run_waiting()
        assert (show_import(first)["created_count"], show_import(second)["created_count"]) == (1, 1)

    def test_two_files_with_the_same_task_make_it_once(self, runs, stage, session):
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        for extra in ("First", "Second"):
            stage("task_name", "Same", extra, **options)

        runs.run_waiting()

        assert session.scalars(select(Task.title).order_by(Task.number)).all() == ["Same", "First", "Second"]
