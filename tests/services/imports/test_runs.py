import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from app.composition.services import serving
from app.job_queue import JobName
from app.models.imports.task_import import (
    DuplicatePolicy,
    ImportBlock,
    ImportDraft,
    ImportMode,
    ImportState,
    TaskImport,
)
from app.models.people.user import Role
from app.models.tasks.task import Task
from app.services.imports.imports import ImportOptions
from app.services.imports.runs import LEASE, MAX_FAILED_ATTEMPTS, SLICE
from app.services.imports.uploads import UPLOAD_LEASE
from tests.factories import general_project
from tests.fakes import FixedClock

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
OPTIONS = [
    {},
    {"is_dry_run": True},
    {"mode": ImportMode.ALL_OR_NOTHING},
    {"on_duplicate": DuplicatePolicy.SKIP},
    {"on_duplicate": DuplicatePolicy.UPDATE},
    {"mode": ImportMode.ALL_OR_NOTHING, "on_duplicate": DuplicatePolicy.UPDATE},
    {"is_dry_run": True, "on_duplicate": DuplicatePolicy.SKIP},
]


class TestClaim:
    def test_the_oldest_comes_first(self, runs, stage):
        ids = [stage("task_name", f"Of file {n}") for n in range(3)]

        assert [runs.claim().import_id for _ in range(3)] == ids

    def test_with_nothing_to_do_there_is_none(self, runs):
        assert runs.claim() is None

    def test_what_was_worked_on_least_often_comes_first(self, runs, stage, clock):
        first = stage("task_name", *map(str, range(10)))
        take_one_step(runs, first, clock)
        second = stage("task_name", "Small")

        assert [runs.claim().import_id for _ in range(2)] == [second, first]

    def test_one_that_is_held_is_not_given_again(self, runs, stage, clock):
        stage("task_name", "One")
        runs.claim()

        clock.advance(seconds=LEASE.total_seconds())

        assert runs.claim() is None

    def test_one_that_is_held_too_long_is_given_again_with_another_number(self, runs, stage, clock):
        import_id = stage("task_name", "One")
        first = runs.claim()

        clock.advance(seconds=LEASE.total_seconds() + 1)
        second = runs.claim()

        assert (first.import_id, second.import_id) == (import_id, import_id)
        assert second.number > first.number

    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_one_that_was_claimed_before_the_clock_was_set_back_is_given_again(self, runs, stage, clock, policy):
        claimed, other = (stage("task_name", f"Of file {n}", on_duplicate=policy) for n in range(2))
        runs.claim(claimed)

        clock.advance(hours=-2)

        assert runs.claim(other) is not None
        clock.advance(seconds=LEASE.total_seconds() + 1)
        assert runs.claim(claimed) is not None

    def test_one_may_be_asked_for(self, runs, stage):
        _first, second = (stage("task_name", f"Of file {n}") for n in range(2))

        assert runs.claim(second).import_id == second
        assert runs.claim(second) is None

    def test_one_that_is_still_coming_in_is_not_given(self, runs, staging):
        assert runs.claim() is None
        assert runs.claim(staging.id) is None

    def test_one_that_is_finished_is_not_given(self, runs, stage):
        import_id = stage("task_name", "One")
        runs.run_waiting()

        assert runs.claim() is None
        assert runs.claim(import_id) is None

    def test_one_that_is_not_there_is_not_given(self, runs):
        assert runs.claim(999_999) is None


class TestDeadClaims:
    def test_so_many_at_one_block_and_it_fails_with_the_reason(self, runs, stage, clock, session, shown):
        import_id = stage("task_name", *map(str, range(10)))
        take_one_step(runs, import_id, clock)

        for _ in range(MAX_FAILED_ATTEMPTS):
            assert runs.claim(import_id) is not None
            clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim() is None
        found = shown(import_id)
        assert (found["state"], found["failure"]) == ("failed", "5 attempts to go on from row 4 broke off")
        assert (found["created_count"], found["finished_at"]) == (3, clock().isoformat())
        assert count(session, ImportBlock) == count(session, ImportDraft) == 0
        # What was committed before stays, and the report says how much that is.
        assert count(session, Task) == 3

    def test_the_claim_that_came_to_the_block_by_way_of_others_counts_too(self, runs, resources, stage, clock, shown):
        import_id = stage("task_name", *map(str, range(10)))
        resources.clock = BreakingClock(clock(), look=4)
        with serving(resources) as services, pytest.raises(LookupError):
            services.import_runs.work_on(runs.claim(import_id), until=clock() + SLICE)
        assert shown(import_id)["created_count"] == 3

        clock.advance(seconds=LEASE.total_seconds() + 1)
        for _ in range(MAX_FAILED_ATTEMPTS - 1):
            assert runs.claim(import_id) is not None
            clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim() is None
        assert shown(import_id)["failure"] == "5 attempts to go on from row 4 broke off"

    def test_the_next_one_in_line_is_given_instead(self, runs, stage, clock, shown):
        first = stage("task_name", "One")
        for _ in range(MAX_FAILED_ATTEMPTS):
            runs.claim(first)
            clock.advance(seconds=LEASE.total_seconds() + 1)
        second = stage("task_name", "Two")
        runs.claim(second)
        clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim(first) is None
        assert runs.claim().import_id == second
        assert shown(first)["state"] == "failed"

    def test_one_fewer_and_it_goes_on(self, runs, stage, clock, shown):
        import_id = stage("task_name", "One")
        for _ in range(MAX_FAILED_ATTEMPTS - 1):
            runs.claim()
            clock.advance(seconds=LEASE.total_seconds() + 1)

        runs.run_waiting()

        assert shown(import_id)["state"] == "finished"

    def test_a_block_that_is_done_starts_the_count_again(self, runs, stage, clock, shown):
        import_id = stage("task_name", *map(str, range(30)))

        for _ in range(3):
            for _ in range(MAX_FAILED_ATTEMPTS - 1):
                runs.claim()
                clock.advance(seconds=LEASE.total_seconds() + 1)
            take_one_step(runs, import_id, clock)
        runs.run_waiting()

        assert (shown(import_id)["state"], shown(import_id)["created_count"]) == ("finished", 30)

    @pytest.mark.parametrize("options", OPTIONS)
    def test_wherever_one_breaks_off_the_next_one_makes_up_for_it(
        self, runs, stage, resources, clock, shown, session, options
    ):
        """Whatever the broken step had written is gone with its transaction, and is written once by the next."""
        broke_off = True
        look = 0
        while broke_off:
            look += 1
            rows = [f"{n} of {look},Grace" for n in range(8)]
            import_id = stage("task_name,assignee", *rows, **options)
            resources.clock = BreakingClock(clock.now, look=look)
            with serving(resources) as dying:
                broke_off = breaks_off(dying.import_runs)
            clock.advance(seconds=LEASE.total_seconds() + 1)
            runs.run_waiting()

            found = shown(import_id)
            assert (found["state"], found["read_count"], found["created_count"]) == ("finished", 8, 8)
            expected = [] if options.get("is_dry_run") else [row.partition(",")[0] for row in rows]
            written = select(Task.title).where(Task.title.endswith(f" of {look}")).order_by(Task.number)
            assert session.scalars(written).all() == expected

        assert look > 5


class TestOldClaim:
    def test_that_wakes_up_after_another_was_given_changes_nothing(self, runs, stage, clock, shown, session):
        import_id = stage("task_name", *map(str, range(10)))
        old = runs.claim()
        clock.advance(seconds=LEASE.total_seconds() + 1)
        runs.claim()

        runs.work_on(old, until=clock() + SLICE)

        assert shown(import_id)["created_count"] == 0
        assert count(session, Task) == 0

    def test_that_wakes_up_after_another_went_on_changes_nothing_more(self, runs, stage, clock, shown, session):
        import_id = stage("task_name", *map(str, range(10)))
        old = runs.claim()
        runs.work_on(old, until=clock())
        take_one_step(runs, import_id, clock)

        runs.work_on(old, until=clock() + SLICE)

        assert shown(import_id)["created_count"] == 6
        assert count(session, Task) == 6

    def test_that_wakes_up_after_the_end_changes_nothing(self, runs, stage, clock, shown, session):
        import_id = stage("task_name", "One")
        old = runs.claim()
        clock.advance(seconds=LEASE.total_seconds() + 1)
        runs.run_waiting()
        finished = shown(import_id)

        runs.work_on(old, until=clock() + SLICE)

        assert shown(import_id) == finished
        assert count(session, Task) == 1

    def test_that_nobody_has_taken_over_may_go_on_however_late(self, runs, stage, clock, shown):
        import_id = stage("task_name", "One")
        claim = runs.claim()
        clock.advance(hours=1)

        runs.work_on(claim, until=clock() + SLICE)

        assert shown(import_id)["state"] == "finished"


class TestImportsOfOneProject:
    @pytest.mark.parametrize("policy", [DuplicatePolicy.SKIP, DuplicatePolicy.UPDATE])
    def test_that_look_for_duplicates_run_one_at_a_time(self, runs, stage, policy):
        first, second = (stage("task_name", f"Of file {n}", on_duplicate=policy) for n in range(2))

        claim = runs.claim()

        assert claim.import_id == first
        assert runs.claim() is None
        assert runs.claim(second) is None
        runs.work_on(claim, until=NOON + SLICE)
        assert runs.claim().import_id == second

    def test_the_next_one_takes_over_from_a_dead_one(self, runs, stage, clock):
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        _first, second = (stage("task_name", f"Of file {n}", **options) for n in range(2))
        runs.claim()

        clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim().import_id == second

    def test_that_do_not_run_side_by_side(self, runs, stage):
        ids = [stage("task_name", f"Of file {n}") for n in range(2)]

        assert [runs.claim().import_id for _ in range(2)] == ids

    def test_one_that_looks_for_duplicates_waits_for_one_that_does_not(self, runs, stage):
        stage("task_name", "One")
        waiting = stage("task_name", "Two", on_duplicate=DuplicatePolicy.SKIP)
        runs.claim()

        assert runs.claim(waiting) is None

    def test_those_of_other_projects_are_not_waited_for(self, runs, stage, factories, admin, acting_as):
        factories.Project(key="OPS")
        options = {"on_duplicate": DuplicatePolicy.SKIP, "actor": acting_as(admin)}
        ids = [stage("task_name", "One", **options, project=key) for key in ("GEN", "OPS")]

        assert [runs.claim().import_id for _ in range(2)] == ids

    def test_one_that_is_still_coming_in_is_not_waited_for(self, runs, stage, staging):
        import_id = stage("task_name", "One", on_duplicate=DuplicatePolicy.SKIP)

        assert runs.claim().import_id == import_id

    def test_one_that_rests_between_two_slices_is_not_waited_for(self, runs, stage, clock):
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        first = stage("task_name", *map(str, range(10)), **options)
        take_one_step(runs, first, clock)
        second = stage("task_name", "Small", **options)

        assert runs.claim().import_id == second

    def test_one_that_is_loaded_whole_is_waited_for_until_its_end(self, runs, stage, clock, shown):
        """However long its one transaction takes, what it makes is seen by who looks for duplicates after it."""
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        whole = stage("task_name", "One", **options, mode=ImportMode.ALL_OR_NOTHING)
        take_one_step(runs, whole, clock)
        assert shown(whole)["state"] == "loading"
        second = stage("task_name", "One", "Two", **options)
        runs.claim(whole)

        clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim(second) is None
        runs.run_waiting()
        runs.run_waiting()
        assert (shown(whole)["created_count"], shown(second)["created_count"]) == (1, 1)

    def test_two_files_with_the_same_task_make_it_once(self, runs, stage, session):
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        for extra in ("First", "Second"):
            stage("task_name", "Same", extra, **options)

        runs.run_waiting()

        assert session.scalars(select(Task.title).order_by(Task.number)).all() == ["Same", "First", "Second"]


class TestSlice:
    def test_that_is_over_leaves_the_rest_to_the_next(self, runs, stage, clock, shown, session, job_queue):
        import_id = stage("task_name", *map(str, range(10)))
        job_queue.enqueued.clear()

        take_one_step(runs, import_id, clock)

        found = shown(import_id)
        assert (found["state"], found["created_count"], found["finished_at"]) == ("loading", 3, None)
        assert job_queue.enqueued == [JobName.RUN_IMPORTS]
        # Nobody has to wait for a lease to be over.
        assert runs.claim().import_id == import_id

    def test_each_goes_on_where_the_last_one_ended(self, runs, stage, clock, shown, session):
        import_id = stage("task_name", *map(str, range(10)))

        counts = []
        while shown(import_id)["finished_at"] is None:
            take_one_step(runs, import_id, clock)
            counts.append(shown(import_id)["created_count"])

        assert counts == [3, 6, 9, 10]
        assert session.scalars(select(Task.title).order_by(Task.number)).all() == [str(n) for n in range(10)]

    @pytest.mark.parametrize("options", OPTIONS)
    def test_in_steps_it_becomes_what_it_becomes_at_once(
        self, runs, stage, clock, shown, factories, admin, acting_as, options
    ):
        factories.Project(key="OPS", includes_everyone=True)
        rows = [*(f"{n % 6},Grace" for n in range(9)), "5,Zoë"]
        if "mode" not in options:
            rows.insert(4, "Bad,maybe,too")
        at_once, in_steps = (
            stage("task_name,assignee", *rows, **options, actor=acting_as(admin), project=key) for key in ("GEN", "OPS")
        )

        while shown(at_once)["finished_at"] is None:
            runs.work_on(runs.claim(at_once), until=clock() + SLICE)
        while shown(in_steps)["finished_at"] is None:
            take_one_step(runs, in_steps, clock)

        assert comparable(shown(in_steps)) == comparable(shown(at_once))
        assert shown(in_steps)["state"] == "finished"

    def test_large_imports_take_turns(self, runs, stage, clock, shown, monkeypatch):
        """A slice ends after each step here, and so nobody waits for the end of somebody else's file."""
        ids = [stage("task_name", *(f"{n} of {name}" for n in range(9))) for name in ("first", "second")]

        counts = []
        for _ in range(4):
            claim = runs.claim()
            runs.work_on(claim, until=clock())
            counts.append([shown(import_id)["created_count"] for import_id in ids])

        assert counts == [[3, 0], [3, 3], [6, 3], [6, 6]]

    def test_what_waits_is_worked_on_until_the_slice_is_over(self, stage, resources, clock, shown):
        ids = [stage("task_name", *(f"{n} of {name}" for n in range(6))) for name in range(10)]
        resources.clock = TickingClock(clock, seconds=1)

        with serving(resources) as slow:
            began_at = clock()
            slow.import_runs.run_waiting()

        finished = [import_id for import_id in ids if shown(import_id)["finished_at"] is not None]
        assert 0 < len(finished) < len(ids)
        assert finished == ids[: len(finished)]
        assert clock() - began_at < 2 * SLICE

    def test_with_each_block_the_claim_lasts_longer(self, stage, runs, resources, clock, shown):
        """Nobody else gets it meanwhile, though all of it takes longer than a claim lasts."""
        import_id = stage("task_name", *map(str, range(30)))
        claim = runs.claim()
        others = []
        resources.clock = TickingClock(clock, seconds=1, watch=lambda: others.append(runs.claim()))
        began_at = clock()

        with serving(resources) as slow:
            slow.import_runs.work_on(claim, until=clock() + timedelta(hours=1))

        assert shown(import_id)["created_count"] == 30
        assert clock() - began_at > LEASE
        assert set(others) == {None}


class TestBrokenUploads:
    def test_are_discarded_after_their_lease(self, runs, staging, clock, session):
        clock.advance(seconds=UPLOAD_LEASE.total_seconds() + 1)

        runs.run_waiting()

        assert count(session, TaskImport) == count(session, ImportBlock) == 0

    def test_are_left_alone_before(self, runs, staging, clock, session):
        clock.advance(seconds=UPLOAD_LEASE.total_seconds())

        runs.run_waiting()

        assert count(session, TaskImport) == count(session, ImportBlock) == 1

    def test_are_all_that_is_discarded(self, runs, stage, staging, clock, shown):
        waiting = stage("task_name", *map(str, range(10)))
        claimed = stage("task_name", "Two")
        take_one_step(runs, waiting, clock)
        runs.claim(claimed)
        finished = stage("task_name", "Three")
        runs.work_on(runs.claim(finished), until=clock() + SLICE)

        clock.advance(seconds=UPLOAD_LEASE.total_seconds() + 1)
        runs.run_waiting()

        assert [shown(import_id)["state"] for import_id in (waiting, claimed, finished)] == ["finished"] * 3


class TestRunWaiting:
    def test_all_that_waits_is_finished(self, runs, stage, shown):
        ids = [stage("task_name", f"Of file {n}", **options) for n, options in enumerate(OPTIONS)]

        runs.run_waiting()

        assert [shown(import_id)["state"] for import_id in ids] == ["finished"] * len(ids)

    def test_with_nothing_to_do_it_does_nothing(self, runs, job_queue):
        runs.run_waiting()

        assert job_queue.enqueued == []


class TickingClock(FixedClock):
    """Each look at it takes time; what watches it does so with each look."""

    def __init__(self, clock, *, seconds, watch=None):
        self._clock = clock
        self._seconds = seconds
        self._watch = watch

    def __call__(self):
        self._clock.advance(seconds=self._seconds)
        if self._watch is not None:
            self._watch()
        return self._clock()


class BreakingClock(FixedClock):
    """Breaks with the look at it that has this number."""

    def __init__(self, now, *, look):
        super().__init__(now)
        self._left = look

    def __call__(self):
        self._left -= 1
        if self._left == 0:
            raise LookupError("broken on purpose")
        return super().__call__()


def breaks_off(import_runs):
    try:
        import_runs.run_waiting()
    except LookupError:
        return True
    return False


def take_one_step(runs, import_id, clock):
    """A claim whose time is over after one step."""
    runs.work_on(runs.claim(import_id), until=clock())


def comparable(found):
    """What an import has become, without what each has of its own."""
    return {name: value for name, value in found.items() if name not in {"id", "project", "created_at", "finished_at"}}


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


@pytest.fixture
def clock():
    return FixedClock(NOON)


@pytest.fixture
def runs(services):
    return services.import_runs


@pytest.fixture
def manager(factories, acting_as):
    return acting_as(factories.User(role=Role.MANAGER))


@pytest.fixture
def stage(services, manager, monkeypatch):
    """Send a file that nobody waits for; its blocks are of three rows."""
    monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 3)

    def send(*lines, actor=manager, **options):
        stream = io.BytesIO("\n".join([*lines, ""]).encode())
        outcome = services.imports.import_csv(
            actor, stream, filename="tasks.csv", options=ImportOptions(**options), wait_seconds=0
        )
        return outcome.import_id

    return send


@pytest.fixture
def staging(session, manager, clock):
    """An import whose file is still coming in, or was when its process died."""
    task_import = TaskImport(
        creator_id=manager.user_id,
        project_id=general_project(session).id,
        filename="tasks.csv",
        header=["task_name"],
        state=ImportState.STAGING,
        claimed_until=clock() + UPLOAD_LEASE,
        block_count=1,
    )
    session.add(task_import)
    session.flush()
    session.add(ImportBlock(import_id=task_import.id, number=0, first_row=1, first_line=2, body=b"One\n"))
    session.flush()
    return task_import


@pytest.fixture
def shown(services, admin, acting_as):
    """An import as its report shows it."""
    actor = acting_as(admin)
    return lambda import_id: services.imports.get(actor, import_id).values
