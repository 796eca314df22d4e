import pytest
from sqlalchemy import select

from app.composition.services import serving
from app.models.imports.task_import import DuplicatePolicy, ImportBlock, ImportDraft
from app.models.tasks.task import Task
from app.services.imports.runs import LEASE, MAX_FAILED_ATTEMPTS, SLICE
from tests.fakes import FixedClock
from tests.services.imports.runs.steps import OPTIONS, take_one_step
from tests.stored import count


class TestClaim:
    def test_takes_the_oldest_import_first(self, runs, stage):
        ids = [stage("task_name", f"Of file {n}") for n in range(3)]

        assert [runs.claim().import_id for _ in range(3)] == ids

    def test_is_none_when_nothing_waits(self, runs):
        assert runs.claim() is None

    def test_takes_the_import_with_the_fewest_claims_first(self, runs, stage, clock):
        first = stage("task_name", *map(str, range(10)))
        take_one_step(runs, first, clock)
        second = stage("task_name", "Small")

        assert [runs.claim().import_id for _ in range(2)] == [second, first]

    def test_a_claimed_import_is_not_claimed_again(self, runs, stage, clock):
        stage("task_name", "One")
        runs.claim()

        clock.advance(seconds=LEASE.total_seconds())

        assert runs.claim() is None

    def test_an_expired_claim_is_replaced_by_one_with_another_number(self, runs, stage, clock):
        import_id = stage("task_name", "One")
        first = runs.claim()

        clock.advance(seconds=LEASE.total_seconds() + 1)
        second = runs.claim()

        assert (first.import_id, second.import_id) == (import_id, import_id)
        assert second.number > first.number

    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_a_claim_from_before_the_clock_was_set_back_is_replaced(self, runs, stage, clock, policy):
        claimed, other = (stage("task_name", f"Of file {n}", on_duplicate=policy) for n in range(2))
        runs.claim(claimed)

        clock.advance(hours=-2)

        assert runs.claim(other) is not None
        clock.advance(seconds=LEASE.total_seconds() + 1)
        assert runs.claim(claimed) is not None

    def test_a_certain_import_may_be_claimed(self, runs, stage):
        _first, second = (stage("task_name", f"Of file {n}") for n in range(2))

        assert runs.claim(second).import_id == second
        assert runs.claim(second) is None

    def test_an_unfinished_upload_is_not_claimed(self, runs, staging):
        assert runs.claim() is None
        assert runs.claim(staging.id) is None

    def test_a_finished_import_is_not_claimed(self, runs, stage):
        import_id = stage("task_name", "One")
        runs.run_waiting()

        assert runs.claim() is None
        assert runs.claim(import_id) is None

    def test_a_missing_import_is_not_claimed(self, runs):
        assert runs.claim(999_999) is None


class TestDeadClaims:
    def test_too_many_at_one_block_fail_the_import_with_the_reason(self, runs, stage, clock, session, show_import):
        import_id = stage("task_name", *map(str, range(10)))
        take_one_step(runs, import_id, clock)

        for _ in range(MAX_FAILED_ATTEMPTS):
            assert runs.claim(import_id) is not None
            clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim() is None
        report = show_import(import_id)
        assert (report["state"], report["failure"]) == ("failed", "5 attempts to go on from row 4 broke off")
        assert (report["created_count"], report["finished_at"]) == (3, clock().isoformat(timespec="microseconds"))
        assert count(session, ImportBlock) == count(session, ImportDraft) == 0
        # The rows committed before stay, and the report counts them.
        assert count(session, Task) == 3

    def test_a_claim_that_reached_the_block_after_others_counts(self, runs, resources, stage, clock, show_import):
        import_id = stage("task_name", *map(str, range(10)))
        resources.clock = BreakingClock(clock(), look=4)
        with serving(resources) as services, pytest.raises(LookupError):
            services.import_runs.work_on(runs.claim(import_id), until=clock() + SLICE)
        assert show_import(import_id)["created_count"] == 3

        clock.advance(seconds=LEASE.total_seconds() + 1)
        for _ in range(MAX_FAILED_ATTEMPTS - 1):
            assert runs.claim(import_id) is not None
            clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim() is None
        assert show_import(import_id)["failure"] == "5 attempts to go on from row 4 broke off"

    def test_the_next_import_is_claimed_instead(self, runs, stage, clock, show_import):
        first = stage("task_name", "One")
        for _ in range(MAX_FAILED_ATTEMPTS):
            runs.claim(first)
            clock.advance(seconds=LEASE.total_seconds() + 1)
        second = stage("task_name", "Two")
        runs.claim(second)
        clock.advance(seconds=LEASE.total_seconds() + 1)

        assert runs.claim(first) is None
        assert runs.claim().import_id == second
        assert show_import(first)["state"] == "failed"

    def test_one_fewer_lets_the_import_go_on(self, runs, stage, clock, show_import):
        import_id = stage("task_name", "One")
        for _ in range(MAX_FAILED_ATTEMPTS - 1):
            runs.claim()
            clock.advance(seconds=LEASE.total_seconds() + 1)

        runs.run_waiting()

        assert show_import(import_id)["state"] == "finished"

    def test_a_finished_block_restarts_the_count(self, runs, stage, clock, show_import):
        import_id = stage("task_name", *map(str, range(30)))

        for _ in range(3):
            for _ in range(MAX_FAILED_ATTEMPTS - 1):
                runs.claim()
                clock.advance(seconds=LEASE.total_seconds() + 1)
            take_one_step(runs, import_id, clock)
        runs.run_waiting()

        assert (show_import(import_id)["state"], show_import(import_id)["created_count"]) == ("finished", 30)

    @pytest.mark.parametrize("options", OPTIONS)
    def test_the_next_claim_makes_up_for_one_that_broke_off_anywhere(
        self, runs, stage, resources, clock, show_import, session, options
    ):
        """The rows of the broken step vanish with its transaction, and the next step writes them once."""
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

            report = show_import(import_id)
            assert (report["state"], report["read_count"], report["created_count"]) == ("finished", 8, 8)
            expected = [] if options.get("is_dry_run") else [row.partition(",")[0] for row in rows]
            written = select(Task.title).where(Task.title.endswith(f" of {look}")).order_by(Task.number)
            assert session.scalars(written).all() == expected

        assert look > 5


class TestOldClaim:
    def test_changes_nothing_once_another_claim_exists(self, runs, stage, clock, show_import, session):
        import_id = stage("task_name", *map(str, range(10)))
        old = runs.claim()
        clock.advance(seconds=LEASE.total_seconds() + 1)
        runs.claim()

        runs.work_on(old, until=clock() + SLICE)

        assert show_import(import_id)["created_count"] == 0
        assert count(session, Task) == 0

    def test_changes_nothing_after_another_claim_has_gone_on(self, runs, stage, clock, show_import, session):
        import_id = stage("task_name", *map(str, range(10)))
        old = runs.claim()
        runs.work_on(old, until=clock())
        take_one_step(runs, import_id, clock)

        runs.work_on(old, until=clock() + SLICE)

        assert show_import(import_id)["created_count"] == 6
        assert count(session, Task) == 6

    def test_changes_nothing_after_the_end_of_the_import(self, runs, stage, clock, show_import, session):
        import_id = stage("task_name", "One")
        old = runs.claim()
        clock.advance(seconds=LEASE.total_seconds() + 1)
        runs.run_waiting()
        finished = show_import(import_id)

        runs.work_on(old, until=clock() + SLICE)

        assert show_import(import_id) == finished
        assert count(session, Task) == 1

    def test_may_go_on_late_if_no_other_claim_exists(self, runs, stage, clock, show_import):
        import_id = stage("task_name", "One")
        claim = runs.claim()
        clock.advance(hours=1)

        runs.work_on(claim, until=clock() + SLICE)

        assert show_import(import_id)["state"] == "finished"


class BreakingClock(FixedClock):
    """A clock that breaks when it is read for the `look`th time."""

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
