from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.csv_files.rows import ImportedRow
from app.models.imports.task_import import DuplicatePolicy, ImportState, TaskImport
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.repositories.imports.batches import BatchOutcome, ImportBatchRepository, Person
from tests.factories import general_project
from tests.stored import list_tasks

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
ALL_FIELDS = frozenset(
    {"title", "description", "status", "priority", "created_at", "due_at", "labels", "assignee", "external_ref"}
)

# An example has no deadline, because its time depends on the machine; it may also see leftovers of earlier examples.
UNHURRIED = hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

# Every character and word that COPY's text format, array literals or psycopg2 interpret.
HOSTILE = [
    "\\",
    "\\\\",
    r"\N",
    r"\.",
    "\\\n.",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\\t",
    r"\x41",
    r"\101",
    "\b\f\v",
    '"',
    "'",
    '\\"',
    "{",
    "}",
    ",",
    "{,}",
    "NULL",
    "null",
    " ",
    "%s",
    "%(x)s",
    ":name",
    "$1",
    "é",
    "€",
    "🔑",
    "\u202e",
    "\ufeff",
    "\x01",
    "\x7f",
    "\u2028",
]
pieces = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
hostile_text = st.lists(pieces, max_size=8).map("".join)
moments = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - the zone comes with `timezones`
    datetime(9998, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from(
        [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Apia"), timezone(timedelta(hours=-11, minutes=-30))]
    ),
)
imported_rows = st.builds(
    ImportedRow,
    row_number=st.just(1),
    title=hostile_text,
    description=hostile_text,
    status=st.sampled_from(TaskStatus),
    priority=st.sampled_from(TaskPriority),
    created_at=st.none() | moments,
    start_on=st.none() | moments.map(datetime.date),
    due_at=st.none() | moments,
    estimate=st.none() | st.floats(0, 1_000_000),
    recurrence=st.none() | hostile_text,
    started_at=st.none() | moments,
    completed_at=st.none() | moments,
    labels=st.lists(hostile_text, max_size=5),
    assignee=st.none() | hostile_text,
    external_ref=st.none() | hostile_text,
)


def row(**values):
    return ImportedRow(
        **{
            "row_number": 1,
            "title": "A task",
            "description": "",
            "status": TaskStatus.TODO,
            "priority": TaskPriority.MEDIUM,
            "created_at": None,
            "started_at": None,
            "completed_at": None,
            "start_on": None,
            "due_at": None,
            "estimate": None,
            "recurrence": None,
            "labels": [],
            "assignee": None,
            "external_ref": None,
            **values,
        }
    )


class TestFill:
    @given(imported=imported_rows)
    @example(imported=row(title=r"\.", description=r"\N", assignee=r"\N", external_ref=r"\N"))
    @example(imported=row(labels=["", "NULL", '"', "\\", "a,b", "{}", " "]))
    @example(imported=row(description="\n".join(HOSTILE), labels=HOSTILE))
    @example(imported=row(created_at=datetime(1880, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))))
    @example(imported=row(due_at=datetime(2013, 3, 31, 2, tzinfo=ZoneInfo("Europe/Berlin"))))
    @example(imported=row(due_at=datetime(2013, 10, 27, 2, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))))
    @UNHURRIED
    def test_every_row_reads_back_unchanged(self, repository, session, imported):
        repository.fill([imported], people_of(imported))

        assert read_back(session) == [in_utc(imported)]

    def test_a_row_may_be_longer_than_one_read(self, repository, session):
        imported = [row(row_number=n, description="€" * 20_000, title="🔑" * 255) for n in range(1, 6)]

        repository.fill(imported, {})

        assert read_back(session) == imported

    def test_many_short_rows_are_all_stored(self, repository, session):
        repository.fill((row(row_number=n, title=f"Täsk {n}") for n in range(1, 3001)), {})

        assert [each.row_number for each in read_back(session)] == list(range(1, 3001))

    def test_an_empty_batch_stores_nothing(self, repository, session):
        repository.fill([], {})

        assert read_back(session) == []

    def test_a_second_batch_replaces_the_first(self, repository, session):
        repository.fill([row(row_number=n) for n in (1, 2, 3)], {})
        repository.fill([row(row_number=4)], {})

        assert [each.row_number for each in read_back(session)] == [4]

    def test_an_error_of_the_source_is_raised(self, repository, session):
        def rows():
            yield row(row_number=1)
            raise LookupError("the source is gone")

        with pytest.raises(LookupError, match="the source is gone"), session.begin_nested():
            repository.fill(rows(), {})

        repository.fill([], {})
        assert read_back(session) == []

    def test_an_assignee_is_matched_to_its_person(self, repository, session):
        people = {"Ada": Person(7, "ada"), "ada@example.org": Person(7, "ada"), "New": Person(None, "new")}

        repository.fill([row(row_number=n, assignee=name) for n, name in enumerate([*people, None])], people)

        statement = text("SELECT assignee_id, assignee_name FROM import_batch ORDER BY row_number")
        assert session.execute(statement).all() == [(7, "ada"), (7, "ada"), (None, "new"), (None, None)]


class TestCreateAll:
    def test_each_row_becomes_a_task_numbered_in_the_order_of_the_file(self, repository, session, new_import):
        repository.fill([row(row_number=n, title=f"Row {n}") for n in (3, 1, 13, 2)], {})

        repository.create_all(new_import(), last_number=41, now=NOON)

        assert [(task.title, task.number, task.position) for task in list_tasks(session)] == [
            ("Row 1", 42, 42.0),
            ("Row 2", 43, 43.0),
            ("Row 3", 44, 44.0),
            ("Row 13", 45, 45.0),
        ]

    def test_the_default_creation_time_is_now(self, repository, session, new_import):
        repository.fill([row(), row(row_number=2, created_at=NOON - timedelta(days=1))], {})

        repository.create_all(new_import(), last_number=0, now=NOON)

        assert [task.created_at for task in list_tasks(session)] == [NOON, NOON - timedelta(days=1)]
        assert {task.updated_at for task in list_tasks(session)} == {NOON}


class TestMatch:
    @pytest.mark.parametrize(
        ("policy", "expected"),
        [(DuplicatePolicy.SKIP, BatchOutcome(1, 0)), (DuplicatePolicy.UPDATE, BatchOutcome(1, 2))],
    )
    def test_rows_are_counted_by_their_outcome(self, repository, factories, new_import, policy, expected):
        factories.Task(title="Same", external_ref="A")
        factories.Task(title="Other", external_ref="B")
        rows = [
            row(row_number=1, title="Same", external_ref="A"),
            row(row_number=2, title="Changed", external_ref="B"),
            row(row_number=3, title="New", external_ref="C"),
            row(row_number=4, title="New, changed", external_ref="C"),
            row(row_number=5, title="New, changed", external_ref="C"),
        ]
        repository.fill(rows, {})

        assert repository.match(new_import(on_duplicate=policy), ALL_FIELDS, UTC_ZONE) == expected

    def test_only_columns_that_the_file_has_are_compared(self, repository, factories, new_import):
        factories.Task(title="One", external_ref="A", priority="high", labels=["x"])
        repository.fill([row(title="One", external_ref="A")], {})

        fields = frozenset({"title", "external_ref"})
        assert repository.match(new_import(), fields, UTC_ZONE) == BatchOutcome(0, 0)
        repository.fill([row(title="One", external_ref="A")], {})
        assert repository.match(new_import(), fields | {"labels"}, UTC_ZONE) == BatchOutcome(0, 1)

    @pytest.mark.parametrize(
        ("zone", "is_there"), [("UTC", True), ("Europe/Berlin", True), ("America/New_York", False)]
    )
    def test_the_zone_decides_the_day(self, repository, factories, new_import, zone, is_there):
        """Four and six o'clock UTC are on one day there, or on two where midnight lies between them."""
        factories.Task(title="One", created_at=datetime(2026, 1, 15, 4, tzinfo=UTC))
        repository.fill([row(title="One", created_at=datetime(2026, 1, 15, 6, tzinfo=UTC))], {})

        outcome = repository.match(new_import(), ALL_FIELDS, ZoneInfo(zone))

        assert outcome.created == (0 if is_there else 1)

    def test_the_oldest_of_several_equal_tasks_is_matched(self, repository, session, factories, new_import):
        for _ in range(3):
            factories.Task(title="One")
        repository.fill([row(title="One", priority=TaskPriority.LOW)], {})

        repository.match(new_import(), ALL_FIELDS, UTC_ZONE)
        repository.update_matched(ALL_FIELDS, now=NOON)

        assert [task.priority for task in list_tasks(session)] == ["low", "medium", "medium"]

    @given(imported=imported_rows)
    @example(imported=row(title="a\x1fb"))
    @UNHURRIED
    def test_a_row_matches_the_task_that_was_made_from_it(self, repository, session, new_import, imported):
        """The row equals its task in every field, so an import would change nothing."""
        imported = imported._replace(
            title=imported.title[:255] or "x", external_ref=(imported.external_ref or "")[:255] or None, assignee=None
        )
        with session.begin_nested() as example_of_many:
            task_import = new_import()
            repository.fill([imported], {})
            first = repository.match(task_import, ALL_FIELDS, UTC_ZONE)
            repository.create_unmatched(task_import, last_number=0, now=NOON)
            second = repository.match(task_import, ALL_FIELDS, UTC_ZONE)
            example_of_many.rollback()

        assert (first, second) == (BatchOutcome(1, 0), BatchOutcome(0, 0))


class TestDraft:
    @pytest.mark.parametrize("policy", [DuplicatePolicy.SKIP, DuplicatePolicy.UPDATE])
    def test_the_next_batch_sees_the_tasks_that_this_one_would_create(self, repository, new_import, policy):
        task_import = new_import(on_duplicate=policy)
        outcomes = []
        for rows in (
            [row(title="One"), row(row_number=2, title="Two")],
            [row(row_number=3, title="Two", priority=TaskPriority.LOW), row(row_number=4, title="Three")],
            [row(row_number=5, title="Two", priority=TaskPriority.LOW), row(row_number=6, title="One")],
        ):
            repository.fill(rows, {})
            outcomes.append(repository.match(task_import, ALL_FIELDS, UTC_ZONE))
            repository.draft(task_import, UTC_ZONE, now=NOW)

        updated = 1 if policy is DuplicatePolicy.UPDATE else 0
        assert outcomes == [BatchOutcome(2, 0), BatchOutcome(1, updated), BatchOutcome(0, 0)]

    def test_another_import_does_not_see_them(self, repository, new_import):
        first, second = new_import(), new_import()
        repository.fill([row()], {})
        repository.match(first, ALL_FIELDS, UTC_ZONE)
        repository.draft(first, UTC_ZONE, now=NOW)

        assert repository.match(second, ALL_FIELDS, UTC_ZONE) == BatchOutcome(1, 0)


def people_of(imported):
    return {} if imported.assignee is None else {imported.assignee: Person(None, imported.assignee)}


def in_utc(imported):
    """Convert to UTC, because Python calls a moment that clocks skip or repeat unequal to itself in another zone."""
    names = ("created_at", "started_at", "completed_at", "due_at")
    moments = {name: getattr(imported, name) for name in names}
    return imported._replace(**{name: moment and moment.astimezone(UTC) for name, moment in moments.items()})


def read_back(session):
    statement = text("""
        SELECT row_number, title, description, status, priority, created_at, started_at, completed_at, start_on, due_at,
               estimate, recurrence, labels, assignee_name AS assignee, external_ref
          FROM import_batch ORDER BY row_number
    """)
    return [ImportedRow(**each) for each in session.execute(statement).mappings()]


@pytest.fixture
def repository(session):
    return ImportBatchRepository(session)


@pytest.fixture
def new_import(session, factories):
    creator_id = factories.User().id

    def make(**values):
        task_import = TaskImport(
            **{
                "creator_id": creator_id,
                "project_id": general_project(session).id,
                "filename": "tasks.csv",
                "state": ImportState.LOADING,
                "on_duplicate": DuplicatePolicy.UPDATE,
                **values,
            }
        )
        session.add(task_import)
        session.flush()
        return task_import

    return make
