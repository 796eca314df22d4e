from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from tests.repositories.tasks.history.march import EVENING, FOREVER, INSTANT, MORNING, NOON

pytestmark = pytest.mark.usefixtures("clock")


class TestDelete:
    def test_the_history_stays_and_ends(self, run, versions, task, clock):
        clock.now = EVENING

        run("DELETE FROM tasks")

        [version] = versions(task)
        assert (version.title, version.valid_from, version.valid_to) == ("One", NOON, EVENING)

    def test_only_the_last_version_is_ended(self, run, versions, task, clock):
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Two'")
        clock.advance(hours=1)

        run("DELETE FROM tasks")

        assert [(version.valid_from, version.valid_to) for version in versions(task)] == [
            (NOON, EVENING),
            (EVENING, EVENING + timedelta(hours=1)),
        ]

    def test_the_history_of_each_of_many_tasks_ends(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(*range(1, 51))}")
        clock.now = EVENING

        run("DELETE FROM tasks WHERE number <= 20")

        ends = [version.valid_to for version in versions()]
        assert (ends.count(EVENING), ends.count(FOREVER)) == (20, 30)

    @pytest.mark.parametrize("now", [NOON, MORNING], ids=["in the same instant", "with the clock set back"])
    def test_the_last_version_still_lasts_some_time(self, run, versions, task, clock, now):
        clock.now = now

        run("DELETE FROM tasks")

        [version] = versions(task)
        assert (version.valid_from, version.valid_to) == (NOON, NOON + INSTANT)


class TestRollback:
    def test_a_rollback_leaves_nothing(self, run, versions, connection, task, values_of, clock):
        before = versions()
        clock.now = EVENING

        with connection.begin_nested() as savepoint:
            run("UPDATE tasks SET title = 'Two'")
            run(f"INSERT INTO tasks {values_of(7)}")
            run("DELETE FROM tasks WHERE title = 'Two'")
            assert len(versions()) == 3
            savepoint.rollback()

        assert versions() == before

    def test_a_statement_that_fails_leaves_nothing(self, run, versions, connection, task):
        before = versions()

        with pytest.raises(IntegrityError), connection.begin_nested():
            run("UPDATE tasks SET title = ''")

        assert versions() == before


class TestClosed:
    def test_no_version_begins_before_the_end_of_the_closed_days(self, run, versions, task, clock, values_of):
        run("UPDATE record_boundary SET closed_until = :evening", evening=EVENING)

        run("UPDATE tasks SET title = 'Two'")
        run(f"INSERT INTO tasks {values_of(2)}")

        times = [(version.title, version.valid_from, version.valid_to) for version in versions()]
        assert times == [("One", NOON, EVENING), ("Two", EVENING, FOREVER), ("One", EVENING, FOREVER)]

    def test_no_version_ends_before_the_end_of_the_closed_days(self, run, versions, task):
        run("UPDATE record_boundary SET closed_until = :evening", evening=EVENING)

        run("DELETE FROM tasks")

        assert [version.valid_to for version in versions(task)] == [EVENING]

    def test_the_clock_counts_after_the_closed_days(self, run, versions, task, clock):
        run("UPDATE record_boundary SET closed_until = :evening", evening=EVENING)
        clock.now = EVENING + INSTANT

        run("UPDATE tasks SET title = 'Two'")

        assert versions(task)[1].valid_from == EVENING + INSTANT

    def test_there_is_one_boundary(self, run):
        with pytest.raises(IntegrityError):
            run("INSERT INTO record_boundary (closed_until) VALUES (now())")
