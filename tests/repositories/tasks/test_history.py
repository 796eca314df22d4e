"""Whatever writes tasks, and however: the triggers write down each version, and for how long it lasted."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.database.engine import violated_constraint
from app.database.unit_of_work import UnitOfWork

MORNING = datetime(2026, 3, 10, 6, tzinfo=UTC)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENING = datetime(2026, 3, 10, 18, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
# What the driver makes of infinity.
FOREVER = datetime.max.replace(tzinfo=UTC)
# Of a task, in the order of the table; what the history has beside them is about the version itself.
STATE = (
    "project_id, number, title, description, status, priority, labels, creator_id, assignee_id, due_at, external_ref, "
    "position, created_at, started_at, completed_at, deleted_at, version"
)

pytestmark = pytest.mark.usefixtures("clock")


class TestInsert:
    def test_a_task_begins_its_history(self, run, versions, task):
        [version] = versions(task)

        assert (version.revision, version.title) == (1, "One")
        assert (version.valid_from, version.valid_to) == (NOON, FOREVER)

    def test_of_several_rows_each_does(self, run, versions, values_of):
        tasks = run(f"INSERT INTO tasks {values_of(1, 2, 3)} RETURNING id").scalars().all()

        assert [(version.task_id, version.revision, version.valid_from) for version in versions(*tasks)] == [
            (task, 1, NOON) for task in tasks
        ]

    def test_of_a_copy_each_does(self, run, versions, connection, creator_id, project_id):
        lines = "".join(f"{project_id}\t{number}\tCopied\ttodo\tlow\t{creator_id}\t0\n" for number in range(1, 101))
        columns = ("project_id", "number", "title", "status", "priority", "creator_id", "position")

        with connection.connection.cursor() as cursor:
            cursor.copy_from(io.StringIO(lines), "tasks", columns=columns)

        tasks = run("SELECT id FROM tasks WHERE title = 'Copied'").scalars().all()
        found = versions(*tasks)
        assert len(tasks) == len(found) == 100
        assert {(version.revision, version.valid_from) for version in found} == {(1, NOON)}

    def test_of_a_select_each_does(self, run, versions, task):
        copies = run(f"""
            INSERT INTO tasks ({STATE}) SELECT {STATE.replace("number", "number + 100")} FROM tasks RETURNING id
        """).scalars()

        assert [version.title for version in versions(*copies)] == ["One"]

    def test_no_row_is_no_version(self, run, versions, values_of):
        run(f"INSERT INTO tasks {values_of(1)} ON CONFLICT DO NOTHING")
        run(f"INSERT INTO tasks {values_of(1)} ON CONFLICT DO NOTHING")

        assert len(versions()) == 1

    def test_a_task_may_be_put_into_the_past(self, run, versions, values_of):
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
    def test_each_thing_that_a_task_says_makes_a_version(self, run, versions, task, clock, change):
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
    def test_what_says_nothing_new_makes_none(self, run, versions, task, clock, change):
        before = versions(task)
        clock.now = EVENING

        run(f"UPDATE tasks SET {change}")

        assert versions(task) == before
        assert run("SELECT revision, revised_at FROM tasks").one() == (1, NOON)

    def test_what_says_nothing_new_does_not_even_touch_the_versions(self, run, task, clock):
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Two'")
        before = run("SELECT ctid, * FROM task_history ORDER BY revision").all()

        run("UPDATE tasks SET title = 'Two', position = 99")

        assert run("SELECT ctid, * FROM task_history ORDER BY revision").all() == before

    def test_what_said_nothing_new_is_in_the_next_version(self, run, versions, task, clock):
        run("UPDATE tasks SET position = 99")
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Two'")

        assert [version.position for version in versions(task)] == [1, 99]

    def test_of_many_rows_only_those_that_change_get_one(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(*range(1, 101))}")
        clock.now = EVENING

        run("UPDATE tasks SET status = CASE WHEN number % 2 = 0 THEN 'blocked'::task_status ELSE status END")

        counts = run("SELECT number % 2, count(*), max(revision) FROM task_history GROUP BY 1 ORDER BY 1").all()
        assert [tuple(count) for count in counts] == [(0, 100, 2), (1, 50, 1)]
        assert_contiguous(versions())

    def test_from_another_table(self, run, versions, task, clock):
        clock.now = EVENING

        run("UPDATE tasks AS t SET title = w.title FROM (VALUES ('Joined'), ('Joined')) AS w (title)")

        assert [version.title for version in versions(task)] == ["One", "Joined"]

    def test_two_in_one_transaction_keep_their_order(self, run, versions, task):
        for title in ("Two", "Three", "Four"):
            run("UPDATE tasks SET title = :title", title=title)

        found = versions(task)
        assert [(version.revision, version.title) for version in found] == [
            (1, "One"),
            (2, "Two"),
            (3, "Three"),
            (4, "Four"),
        ]
        assert [version.valid_from for version in found] == [NOON + number * INSTANT for number in range(4)]
        assert_contiguous(found)

    def test_there_and_back_is_two(self, run, versions, task, clock):
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Two'")
        run("UPDATE tasks SET title = 'One'")

        assert [version.title for version in versions(task)] == ["One", "Two", "One"]

    def test_a_clock_that_was_set_back_keeps_the_order(self, run, versions, task, clock):
        clock.now = MORNING
        run("UPDATE tasks SET title = 'Two'")
        clock.now = EVENING
        run("UPDATE tasks SET title = 'Three'")

        found = versions(task)
        assert [(version.title, version.valid_from) for version in found] == [
            ("One", NOON),
            ("Two", NOON + INSTANT),
            ("Three", EVENING),
        ]
        assert_contiguous(found)

    def test_the_time_of_a_version_is_not_for_the_writer_to_say(self, run, versions, task, clock):
        clock.now = EVENING

        run("UPDATE tasks SET title = 'Two', revision = 77, revised_at = '2020-01-01'")

        assert [(version.revision, version.valid_from) for version in versions(task)] == [(1, NOON), (2, EVENING)]


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

    def test_of_many_tasks_each_ends(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(*range(1, 51))}")
        clock.now = EVENING

        run("DELETE FROM tasks WHERE number <= 20")

        ends = [version.valid_to for version in versions()]
        assert (ends.count(EVENING), ends.count(FOREVER)) == (20, 30)

    @pytest.mark.parametrize("now", [NOON, MORNING], ids=["in the same instant", "with the clock set back"])
    def test_it_lasted_all_the_same(self, run, versions, task, clock, now):
        clock.now = now

        run("DELETE FROM tasks")

        [version] = versions(task)
        assert (version.valid_from, version.valid_to) == (NOON, NOON + INSTANT)


class TestUpsert:
    def test_on_conflict_the_row_that_is_there_gets_a_version_and_the_new_one_begins(
        self, run, versions, values_of, clock
    ):
        run(f"INSERT INTO tasks {values_of(1)}")
        clock.now = EVENING

        run(f"""
            INSERT INTO tasks {values_of(1, 2)}
                ON CONFLICT (project_id, number) DO UPDATE SET title = 'Conflicted'
        """)

        assert [(version.number, version.revision, version.title, version.valid_from) for version in versions()] == [
            (1, 1, "One", NOON),
            (1, 2, "Conflicted", EVENING),
            (2, 1, "One", EVENING),
        ]

    def test_on_conflict_without_a_change_there_is_none(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(1)}")
        clock.now = EVENING

        run(f"""
            INSERT INTO tasks {values_of(1)}
                ON CONFLICT (project_id, number) DO UPDATE SET title = excluded.title
        """)

        assert len(versions()) == 1

    def test_a_merge_may_do_all_of_it_at_once(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(1, 2, 3)}")
        clock.now = EVENING

        run("""
            MERGE INTO tasks AS t
            USING (VALUES (1, 'Merged'), (2, 'Gone'), (4, 'New')) AS said (number, title) ON said.number = t.number
             WHEN MATCHED AND said.title = 'Gone' THEN DELETE
             WHEN MATCHED THEN UPDATE SET title = said.title
             WHEN NOT MATCHED THEN INSERT (project_id, number, title, status, priority, creator_id, position)
                  VALUES ((SELECT max(project_id) FROM tasks), said.number, said.title, 'todo', 'low',
                          (SELECT max(creator_id) FROM tasks), 4)
        """)

        found = [(version.number, version.title, version.valid_from, version.valid_to) for version in versions()]
        assert found == [
            (1, "One", NOON, EVENING),
            (1, "Merged", EVENING, FOREVER),
            (2, "One", NOON, EVENING),
            (3, "One", NOON, FOREVER),
            (4, "New", EVENING, FOREVER),
        ]

    def test_several_statements_in_one_do_too(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(1, 2)}")
        clock.now = EVENING

        run(f"""
            WITH removed AS (DELETE FROM tasks WHERE number = 1 RETURNING id),
                 made AS (INSERT INTO tasks {values_of(3)} RETURNING id)
            UPDATE tasks SET title = 'Changed' WHERE number = 2
        """)

        assert [(version.number, version.title, version.valid_to) for version in versions()] == [
            (1, "One", EVENING),
            (2, "One", EVENING),
            (2, "Changed", FOREVER),
            (3, "One", FOREVER),
        ]


class TestRollback:
    def test_it_leaves_nothing(self, run, versions, connection, task, values_of, clock):
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
    def test_no_version_begins_before_the_end_of_what_is_closed(self, run, versions, task, clock, values_of):
        run("UPDATE record_boundary SET closed_until = :evening", evening=EVENING)

        run("UPDATE tasks SET title = 'Two'")
        run(f"INSERT INTO tasks {values_of(2)}")

        times = [(version.title, version.valid_from, version.valid_to) for version in versions()]
        assert times == [("One", NOON, EVENING), ("Two", EVENING, FOREVER), ("One", EVENING, FOREVER)]

    def test_nor_does_one_end(self, run, versions, task):
        run("UPDATE record_boundary SET closed_until = :evening", evening=EVENING)

        run("DELETE FROM tasks")

        assert [version.valid_to for version in versions(task)] == [EVENING]

    def test_after_it_the_clock_counts(self, run, versions, task, clock):
        run("UPDATE record_boundary SET closed_until = :evening", evening=EVENING)
        clock.now = EVENING + INSTANT

        run("UPDATE tasks SET title = 'Two'")

        assert versions(task)[1].valid_from == EVENING + INSTANT

    def test_there_is_one_boundary(self, run):
        with pytest.raises(IntegrityError):
            run("INSERT INTO record_boundary (closed_until) VALUES (now())")


class TestSignature:
    def test_who_changes_tasks_through_a_transaction_is_named(self, run, versions, session, task, creator_id):
        uow = UnitOfWork(session, print, request_id="request-7")
        with uow.transaction():
            uow.sign(creator_id)
            session.execute(text("UPDATE tasks SET title = 'Two'"))

        by_hand, signed = versions(task)
        assert (by_hand.actor_id, by_hand.request_id) == (None, None)
        assert (signed.actor_id, signed.request_id) == (creator_id, "request-7")

    def test_with_the_request_that_asked_for_it_if_that_was_another(self, versions, session, task, creator_id):
        uow = UnitOfWork(session, print, request_id="job-1")
        with uow.transaction():
            uow.sign(creator_id, request_id="request-7")
            session.execute(text("UPDATE tasks SET title = 'Two'"))

        assert versions(task)[1].request_id == "request-7"

    def test_outside_of_a_request_there_is_none(self, versions, session, task, creator_id):
        uow = UnitOfWork(session, print)
        with uow.transaction():
            uow.sign(creator_id)
            session.execute(text("UPDATE tasks SET title = 'Two'"))

        assert (versions(task)[1].actor_id, versions(task)[1].request_id) == (creator_id, None)


class TestNobodyRewritesIt:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE task_history SET title = 'Never so'",
            "UPDATE task_history SET title = 'Never so' WHERE false",
            "DELETE FROM task_history",
            "TRUNCATE task_history",
            "MERGE INTO task_history USING tasks ON task_id = id WHEN MATCHED THEN DELETE",
        ],
    )
    def test_not_even_by_hand(self, run, versions, connection, task, statement):
        before = versions()

        with pytest.raises(DBAPIError, match="the history of tasks is not rewritten"), connection.begin_nested():
            run(statement)

        assert versions() == before

    @pytest.mark.parametrize("lasted", [timedelta(0), -INSTANT], ids=["no time", "less than none"])
    def test_a_version_that_lasts_no_time_is_refused(self, run, connection, task, lasted):
        columns = f"task_id, revision, valid_from, valid_to, {STATE}"

        with pytest.raises(IntegrityError) as caught, connection.begin_nested():
            run(
                f"INSERT INTO task_history ({columns}) SELECT id, 2, :noon, :noon + :lasted, {STATE} FROM tasks",
                noon=NOON,
                lasted=lasted,
            )

        assert violated_constraint(caught.value) == "ck_task_history_lasts"

    def test_a_second_version_of_the_same_number_is_refused(self, run, connection, task):
        with pytest.raises(IntegrityError) as caught, connection.begin_nested():
            run(
                f"INSERT INTO task_history (task_id, revision, valid_from, {STATE})"
                f" SELECT id, 1, :noon, {STATE} FROM tasks",
                noon=NOON,
            )

        assert violated_constraint(caught.value) == "pk_task_history"


def assert_contiguous(found):
    """Each version lasts until the next one of its task begins, the last one for good."""
    for version, following in zip(found, [*found[1:], None], strict=True):
        is_last = following is None or following.task_id != version.task_id
        assert version.valid_to == (FOREVER if is_last else following.valid_from)
        assert version.valid_to == FOREVER or version.valid_from < version.valid_to


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def run(connection):
    """Run SQL as somebody at a prompt would, past all of our code."""

    def run(statement, **values):
        return connection.execute(text(statement), values)

    return run


@pytest.fixture
def versions(run):
    """What the history has, oldest version first; of these tasks, or of all."""

    def versions(*task_ids):
        rows = run(
            "SELECT * FROM task_history WHERE :of_all OR task_id = ANY(:ids) ORDER BY task_id, revision",
            of_all=not task_ids,
            ids=list(task_ids),
        )
        return rows.all()

    return versions


@pytest.fixture
def creator_id(factories):
    return factories.User().id


@pytest.fixture
def project_id(run):
    return run("SELECT id FROM projects WHERE key = 'GEN'").scalar_one()


@pytest.fixture
def values_of(project_id, creator_id):
    """Columns and rows of tasks with these numbers, all called One, each at the position of its number."""

    def values_of(*numbers):
        rows = (f"({project_id}, {number}, 'One', 'todo', 'medium', {creator_id}, {number})" for number in numbers)
        return f"(project_id, number, title, status, priority, creator_id, position) VALUES {', '.join(rows)}"

    return values_of


@pytest.fixture
def task(run, values_of):
    return run(f"INSERT INTO tasks {values_of(1)} RETURNING id").scalar_one()
