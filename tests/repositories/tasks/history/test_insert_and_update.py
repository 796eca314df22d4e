"""The triggers write each version of a task, whichever statement changes it."""

import io
from datetime import timedelta

import pytest

from tests.repositories.tasks.history.march import EVENING, FOREVER, INSTANT, MORNING, NOON, STATE

pytestmark = pytest.mark.usefixtures("clock")


class TestInsert:
    def test_a_task_begins_its_history(self, run, versions, task):
        [version] = versions(task)

        assert (version.revision, version.title) == (1, "One")
        assert (version.valid_from, version.valid_to) == (NOON, FOREVER)

    def test_each_of_several_rows_begins_its_history(self, run, versions, values_of):
        tasks = run(f"INSERT INTO tasks {values_of(1, 2, 3)} RETURNING id").scalars().all()

        assert [(version.task_id, version.revision, version.valid_from) for version in versions(*tasks)] == [
            (task, 1, NOON) for task in tasks
        ]

    def test_each_row_of_a_copy_begins_its_history(self, run, versions, connection, creator_id, project_id):
        lines = "".join(f"{project_id}\t{number}\tCopied\ttodo\tlow\t{creator_id}\t0\n" for number in range(1, 101))
        columns = ("project_id", "number", "title", "status", "priority", "creator_id", "position")

        with connection.connection.cursor() as cursor:
            cursor.copy_from(io.StringIO(lines), "tasks", columns=columns)

        tasks = run("SELECT id FROM tasks WHERE title = 'Copied'").scalars().all()
        versions_found = versions(*tasks)
        assert len(tasks) == len(versions_found) == 100
        assert {(version.revision, version.valid_from) for version in versions_found} == {(1, NOON)}

    def test_each_row_of_a_select_begins_its_history(self, run, versions, task):
        copies = run(f"""
            INSERT INTO tasks ({STATE}) SELECT {STATE.replace("number", "number + 100")} FROM tasks RETURNING id
        """).scalars()

        assert [version.title for version in versions(*copies)] == ["One"]

    def test_an_insert_without_rows_makes_no_version(self, run, versions, values_of):
        run(f"INSERT INTO tasks {values_of(1)} ON CONFLICT DO NOTHING")
        run(f"INSERT INTO tasks {values_of(1)} ON CONFLICT DO NOTHING")

        assert len(versions()) == 1

    def test_a_task_may_be_created_in_the_past(self, run, versions, values_of):
        run(f"INSERT INTO tasks {values_of(1)}")
        run("DELETE FROM tasks")
        task = run(
            "INSERT INTO tasks (project_id, number, title, status, priority, creator_id, position, revised_at)"
            " SELECT project_id, 2, title, status, priority, creator_id, position, :past FROM task_history"
            " RETURNING id",
            past=NOON - timedelta(days=30),
        ).scalar_one()

        [version] = versions(task)
        assert version.valid_from == NOON - timedelta(days=30)


class TestUpdate:
    @pytest.mark.parametrize(
        "change",
        [
            "title = 'Other'",
            "description = 'Other'",
            "status = 'blocked'",
            "priority = 'critical'",
            "labels = '{a,b}'",
            "assignee_id = creator_id",
            "due_at = '2027-01-01'",
            "external_ref = 'A-1'",
            "number = 77",
            "created_at = '2020-01-01'",
            "started_at = '2026-01-01'",
            "completed_at = '2026-01-01'",
            "deleted_at = '2026-01-01'",
        ],
    )
    def test_a_change_of_any_field_makes_a_version(self, run, versions, task, clock, change):
        clock.now = EVENING

        run(f"UPDATE tasks SET {change}")

        before, after = versions(task)
        assert (before.revision, before.valid_from, before.valid_to) == (1, NOON, EVENING)
        assert (after.revision, after.valid_from, after.valid_to) == (2, EVENING, FOREVER)
        now = run(f"SELECT {STATE} FROM tasks").one()
        assert run(f"SELECT {STATE} FROM task_history WHERE revision = 2").one() == now
        assert run(f"SELECT {STATE} FROM task_history WHERE revision = 1").one() != now
        assert run("SELECT revision, revised_at FROM tasks").one() == (2, EVENING)

    @pytest.mark.parametrize(
        "change",
        [
            "title = title",
            "title = 'One', status = 'todo', labels = '{}'",
            "due_at = NULL",
            "position = position + 1",
            "version = version + 1",
            "updated_at = now()",
        ],
    )
    def test_a_change_without_a_new_value_makes_no_version(self, run, versions, task, clock, change):
        before = versions(task)
        clock.now = EVENING

        run(f"UPDATE tasks SET {change}")

        assert versions(task) == before
        assert run("SELECT revision, revised_at FROM tasks").one() == (1, NOON)

    def test_a_change_without_a_new_value_does_not_touch_the_versions(self, run, task, clock):
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Two'")
        before = run("SELECT ctid, * FROM task_history ORDER BY revision").all()

        run("UPDATE tasks SET title = 'Two', position = 99")

        assert run("SELECT ctid, * FROM task_history ORDER BY revision").all() == before

    def test_a_change_without_a_version_is_in_the_next_one(self, run, versions, task, clock):
        run("UPDATE tasks SET position = 99")
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Two'")

        assert [version.position for version in versions(task)] == [1, 99]

    def test_only_the_changed_rows_of_many_get_a_version(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(*range(1, 101))}")
        clock.now = EVENING

        run("UPDATE tasks SET status = CASE WHEN number % 2 = 0 THEN 'blocked'::task_status ELSE status END")

        counts = run("SELECT number % 2, count(*), max(revision) FROM task_history GROUP BY 1 ORDER BY 1").all()
        assert [tuple(count) for count in counts] == [(0, 100, 2), (1, 50, 1)]
        ensure_contiguous(versions())

    def test_an_update_from_another_table_makes_a_version(self, run, versions, task, clock):
        clock.now = EVENING

        run("UPDATE tasks AS t SET title = w.title FROM (VALUES ('Joined'), ('Joined')) AS w (title)")

        assert [version.title for version in versions(task)] == ["One", "Joined"]

    def test_two_changes_in_one_transaction_keep_their_order(self, run, versions, task):
        for title in ("Two", "Three", "Four"):
            run("UPDATE tasks SET title = :title", title=title)

        versions_found = versions(task)
        assert [(version.revision, version.title) for version in versions_found] == [
            (1, "One"),
            (2, "Two"),
            (3, "Three"),
            (4, "Four"),
        ]
        assert [version.valid_from for version in versions_found] == [NOON + number * INSTANT for number in range(4)]
        ensure_contiguous(versions_found)

    def test_a_change_and_its_reversal_are_two_versions(self, run, versions, task, clock):
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Two'")
        run("UPDATE tasks SET title = 'One'")

        assert [version.title for version in versions(task)] == ["One", "Two", "One"]

    def test_a_clock_that_was_set_back_keeps_the_order(self, run, versions, task, clock):
        clock.now = MORNING
        run("UPDATE tasks SET title = 'Two'")
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Three'")

        versions_found = versions(task)
        assert [(version.title, version.valid_from) for version in versions_found] == [
            ("One", NOON),
            ("Two", NOON + INSTANT),
            ("Three", EVENING),
        ]
        ensure_contiguous(versions_found)

    def test_a_writer_cannot_choose_the_time_of_a_version(self, run, versions, task, clock):
        clock.now = EVENING

        run("UPDATE tasks SET title = 'Two', revision = 77, revised_at = '2020-01-01'")

        assert [(version.revision, version.valid_from) for version in versions(task)] == [(1, NOON), (2, EVENING)]


def ensure_contiguous(versions_found):
    """Each version lasts until the next one of its task begins, and the last one has no end."""
    for version, following in zip(versions_found, [*versions_found[1:], None], strict=True):
        is_last = following is None or following.task_id != version.task_id
        assert version.valid_to == (FOREVER if is_last else following.valid_from)
        assert version.valid_to == FOREVER or version.valid_from < version.valid_to
