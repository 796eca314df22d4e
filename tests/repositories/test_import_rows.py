from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.models.task import TaskPriority, TaskStatus
from app.models.task_import import ImportRow, ImportState, TaskImport
from app.repositories.import_rows import ImportRowRepository, RowProblem, StagedRow
from app.repositories.imports import ImportRepository
from tests.factories import general_project

# How long an example takes is the machine's affair, and what one leaves behind does not matter to the next.
UNHURRIED = hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

# All that COPY's text format, array literals and psycopg2 give a meaning to.
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
staged_rows = st.builds(
    StagedRow,
    row_number=st.just(1),
    line_number=st.integers(2, 10**9),
    title=hostile_text,
    description=hostile_text,
    status=st.sampled_from(TaskStatus),
    priority=st.sampled_from(TaskPriority),
    created_at=st.none() | moments,
    due_at=st.none() | moments,
    labels=st.lists(hostile_text, max_size=5).map(tuple),
    assignee=st.none() | hostile_text,
)


def row(**values):
    return StagedRow(
        **{
            "row_number": 1,
            "line_number": 2,
            "title": "A task",
            "description": "",
            "status": TaskStatus.TODO,
            "priority": TaskPriority.MEDIUM,
            "created_at": None,
            "due_at": None,
            "labels": (),
            "assignee": None,
            **values,
        }
    )


class TestStage:
    @given(staged=staged_rows)
    @example(staged=row(title=r"\.", description=r"\N", assignee=r"\N"))
    @example(staged=row(labels=("", "NULL", '"', "\\", "a,b", "{}", " ")))
    @example(staged=row(description="\n".join(HOSTILE), labels=tuple(HOSTILE)))
    @example(staged=row(created_at=datetime(1880, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))))
    @example(staged=row(due_at=datetime(2013, 3, 31, 2, tzinfo=ZoneInfo("Europe/Berlin"))))
    @example(staged=row(due_at=datetime(2013, 10, 27, 2, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))))
    @UNHURRIED
    def test_whatever_is_written_reads_back_as_it_was(self, repository, session, task_import, staged):
        with session.begin_nested() as example_of_many:
            repository.stage(task_import.id, [staged])

            assert read_back(session, task_import) == [in_utc(staged)]
            example_of_many.rollback()

    def test_rows_may_be_longer_than_what_is_read_at_once(self, repository, session, task_import):
        staged = [row(row_number=n, description="€" * 20_000, title="🔑" * 255) for n in range(1, 6)]

        repository.stage(task_import.id, staged)

        assert read_back(session, task_import) == staged

    def test_many_short_rows_all_arrive(self, repository, session, task_import):
        repository.stage(task_import.id, (row(row_number=n, title=f"Täsk {n}") for n in range(1, 3001)))

        numbers = session.scalars(select(ImportRow.row_number).order_by(ImportRow.row_number)).all()
        assert numbers == list(range(1, 3001))

    def test_no_rows_are_no_rows(self, repository, session, task_import):
        repository.stage(task_import.id, [])

        assert read_back(session, task_import) == []

    def test_what_goes_wrong_with_the_source_is_what_is_raised(self, repository, session, task_import):
        def rows():
            yield row(row_number=1)
            raise LookupError("the source is gone")

        with pytest.raises(LookupError, match="the source is gone"), session.begin_nested():
            repository.stage(task_import.id, rows())

        assert session.scalar(select(func.count()).select_from(ImportRow)) == 0


class TestFindChunk:
    def test_goes_by_row_number_over_gaps(self, repository, task_import):
        repository.stage(task_import.id, [row(row_number=n) for n in (2, 3, 5, 8, 13)])

        assert repository.find_chunk(task_import.id, size=3) == (5, 3)
        assert repository.find_chunk(task_import.id, size=30) == (13, 5)

    def test_none_when_nothing_is_staged(self, repository, task_import):
        assert repository.find_chunk(task_import.id, size=3) is None


class TestAddProblems:
    def test_problems_of_one_row_are_numbered(self, repository, report, task_import):
        repository.add_problems(
            task_import.id,
            [
                RowProblem(1, 2, "status", "x", "is not a status"),
                RowProblem(1, 2, "priority", "y", "is not a priority"),
                RowProblem(4, 9, None, None, "has 2 cells, the header has 3"),
            ],
        )

        body = report.list_errors(task_import.id, cursor=None, limit=10).body
        assert [body.find(word) for word in (b"a status", b"a priority", b"2 cells")] == sorted(
            body.find(word) for word in (b"a status", b"a priority", b"2 cells")
        )
        assert body.count(b'"reason"') == 3

    def test_pages_join_within_a_row_too(self, repository, report, task_import):
        repository.add_problems(task_import.id, [RowProblem(1, 2, "status", "x", f"reason {n}") for n in range(3)])

        first = report.list_errors(task_import.id, cursor=None, limit=2)
        second = report.list_errors(task_import.id, cursor=first.next_cursor, limit=2)

        assert b"reason 1" in first.body
        assert b"reason 2" in second.body
        assert second.body.count(b'"reason"') == 1


def in_utc(staged):
    """Python calls a moment that clocks skip or repeat unequal to itself in another zone."""
    created_at, due_at = (moment and moment.astimezone(UTC) for moment in (staged.created_at, staged.due_at))
    return replace(staged, created_at=created_at, due_at=due_at)


def read_back(session, task_import):
    statement = select(ImportRow).where(ImportRow.import_id == task_import.id).order_by(ImportRow.row_number)
    found = session.scalars(statement.execution_options(populate_existing=True)).all()
    rows = [
        StagedRow(
            row_number=each.row_number,
            line_number=each.line_number,
            title=each.title,
            description=each.description,
            status=each.status,
            priority=each.priority,
            created_at=each.created_at,
            due_at=each.due_at,
            labels=tuple(each.labels),
            assignee=each.assignee,
        )
        for each in found
    ]
    session.expunge_all()
    return rows


@pytest.fixture
def repository(session):
    return ImportRowRepository(session)


@pytest.fixture
def report(session):
    return ImportRepository(session)


@pytest.fixture
def task_import(session, factories):
    task_import = TaskImport(
        creator_id=factories.User().id,
        project_id=general_project(session).id,
        filename="tasks.csv",
        state=ImportState.STAGING,
    )
    session.add(task_import)
    session.flush()
    return task_import
