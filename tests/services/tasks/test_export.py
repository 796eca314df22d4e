import csv
import io
from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.clock import deadline_from
from app.errors import ForbiddenError
from app.models.imports.task_import import DuplicatePolicy, ImportMode
from app.models.people.user import MAX_USERNAME_LENGTH, Role
from app.models.tasks.fields import (
    EXPORTED,
    MAX_DESCRIPTION_LENGTH,
    MAX_ESTIMATE,
    MAX_EXTERNAL_REF_LENGTH,
    MAX_LABEL_LENGTH,
    MAX_LABELS,
    MAX_TITLE_LENGTH,
    TaskPriority,
    TaskStatus,
)
from app.models.tasks.task import Task
from app.queries.tasks import TaskQuery
from app.services.imports.imports import ImportOptions

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
# What an import takes of a task, but for its assignee, who is compared by name.
SAID = ("title", "description", "status", "priority", "labels", "due_at", "created_at", "external_ref")

# All that CSV, spreadsheets, our own quoting and Unicode give a meaning to.
HOSTILE = [
    *("'", "''", "'=", "=", "+", "-", "@", '"', '""', ",", ";", "|", "\t", "\n", "\r", "\r\n", " ", "  "),
    *("\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u2028", "\u2029", "\u3000", "\ufeff", "\u202e", "\u200b"),
    *("\x01", "\x7f", "\\", r"\N", r"\.", "%s", ":x", "{", "}", "NULL", "null", "none", "true", "1", "é", "€", "🔑"),
]
pieces = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def texts(max_length, *, min_length=0):
    """As the API keeps them: stripped, without NUL or half characters."""
    whole = st.lists(pieces, max_size=8).map(lambda words: "".join(words)[:max_length].strip())
    return whole.filter(lambda words: len(words) >= min_length)


moments = st.datetimes(
    datetime(2, 1, 2),  # noqa: DTZ001 - the zone comes with `timezones`
    datetime(9998, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)
said_of_a_task = st.fixed_dictionaries(
    {
        "title": texts(MAX_TITLE_LENGTH, min_length=1),
        "description": texts(MAX_DESCRIPTION_LENGTH),
        "status": st.sampled_from(TaskStatus),
        "priority": st.sampled_from(TaskPriority),
        "labels": st.lists(texts(MAX_LABEL_LENGTH, min_length=1), max_size=5, unique=True),
        "due_at": st.none()
        | moments
        | moments.map(lambda at: at.replace(hour=23, minute=59, second=59, microsecond=0)),
        "start_on": st.none() | moments.map(datetime.date),
        "estimate": st.none() | st.floats(0, MAX_ESTIMATE, allow_subnormal=False).map(lambda number: round(number, 6)),
        "recurrence": st.none() | st.sampled_from(["FREQ=DAILY", "FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20301231T000000Z"]),
        "created_at": moments,
        "external_ref": st.none() | texts(MAX_EXTERNAL_REF_LENGTH, min_length=1),
        "assignee": st.none()
        | texts(MAX_USERNAME_LENGTH - 10).map(lambda words: "".join(filter(str.isprintable, words)).strip()),
    }
    # Only a task with a deadline recurs.
).map(lambda values: values if values["due_at"] else {**values, "recurrence": None})


def said(**values):
    return {
        "title": "A task",
        "description": "",
        "status": TaskStatus.TODO,
        "priority": TaskPriority.MEDIUM,
        "labels": [],
        "due_at": None,
        "start_on": None,
        "estimate": None,
        "recurrence": None,
        "created_at": NOON,
        "external_ref": None,
        "assignee": None,
        **values,
    }


class TestRoundTrip:
    @pytest.mark.slow
    @given(tasks=st.lists(said_of_a_task, min_size=1, max_size=3))
    @example(
        tasks=[said(title=words, description=words, external_ref=words) for words in ("'=x", "''+", "'", "=", "-")]
    )
    @example(tasks=[said(labels=["'=x", "=y"]), said(labels=["=x", "'"]), said(labels=["'", "=x"]), said(labels=["@"])])
    @example(tasks=[said(labels=['"', '""', 'a"b', '"a"']), said(labels=[",", ";", "a,b", 'a";"b', '"\n"'])])
    @example(tasks=[said(title="a\rb", description="a\r\nb\n\nc\u2028d\x85e\x1cf")])
    @example(tasks=[said(title="t" * MAX_TITLE_LENGTH, description="'=" + "d" * (MAX_DESCRIPTION_LENGTH - 2))])
    @example(tasks=[said(labels=[f"{n:02}," + '"' * (MAX_LABEL_LENGTH - 3) for n in range(MAX_LABELS)])])
    @example(tasks=[said(assignee="=x"), said(assignee="'-"), said(assignee="a, b; c"), said(assignee='"')])
    @hypothesis_settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    def test_what_was_exported_imports_as_it_was(self, session, services, factories, boss, tasks):
        source, target = (factories.Project(includes_everyone=True) for _ in range(2))
        for values in tasks:
            make_task(factories, project_id=source.id, **values)
        content = export(services, boss, projects=(source.key,))

        outcome = services.imports.import_csv(
            boss, io.BytesIO(content), filename="tasks.csv", options=ImportOptions(project=target.key)
        )

        body = outcome.row.values
        assert (body["created_count"], body["refused_count"]) == (len(tasks), 0)
        assert body["ignored_columns"] == []
        assert said_in(session, target) == said_in(session, source)

    @pytest.mark.parametrize("policy", [DuplicatePolicy.SKIP, DuplicatePolicy.UPDATE])
    @pytest.mark.parametrize("mode", ImportMode)
    def test_back_into_where_it_came_from_it_changes_nothing(self, session, services, factories, boss, mode, policy):
        project = factories.Project(includes_everyone=True)
        for values in (
            said(title="'=x", description="a\r\nb", labels=["a,b", "c"], assignee="Ada"),
            said(title="Of ref", external_ref="A", status=TaskStatus.DONE, due_at=NOON),
            said(title="Of a day", due_at=datetime(2026, 3, 10, 23, 59, 59, tzinfo=UTC)),
            said(created_at=datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)),
        ):
            make_task(factories, project_id=project.id, **values)
        before = rows_of(session, project)
        content = export(services, boss, projects=(project.key,))

        options = ImportOptions(project=project.key, on_duplicate=policy, mode=mode)
        outcome = services.imports.import_csv(boss, io.BytesIO(content), filename="tasks.csv", options=options)

        body = outcome.row.values
        assert (body["created_count"], body["updated_count"], body["skipped_count"]) == (0, 0, 4)
        assert rows_of(session, project) == before


class TestWrite:
    def test_a_task_is_a_row_with_what_is_known_of_it(self, services, factories, boss):
        ada = factories.User(username="Ada")
        task = factories.Task(
            title="Paint, or not",
            description='Said\n"so"',
            status="in_progress",
            priority="high",
            labels=["shed", "a,b"],
            assignee_id=ada.id,
            start_on=date(2026, 3, 9),
            due_at=NOON,
            estimate=2.5,
            recurrence="FREQ=DAILY",
            created_at=NOON - timedelta(days=1),
            started_at=NOON - timedelta(hours=12),
            external_ref="JIRA-42",
        )

        header, row = rows_in(export(services, boss))

        assert header == [*EXPORTED]
        assert dict(zip(header, row, strict=True)) == {
            "ref": f"GEN-{task.number}",
            "project": "GEN",
            "title": "Paint, or not",
            "description": 'Said\n"so"',
            "status": "in_progress",
            "priority": "high",
            "labels": 'shed, "a,b"',
            "assignee": "Ada",
            "start_on": "2026-03-09",
            "due_at": "2026-03-10T12:00:00.000000+00:00",
            "estimate": "2.5",
            "recurrence": "FREQ=DAILY",
            "parent": "",
            "created_at": "2026-03-09T12:00:00.000000+00:00",
            "started_at": "2026-03-10T00:00:00.000000+00:00",
            "completed_at": "",
            "external_ref": "JIRA-42",
        }

    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo"])
    def test_a_deadline_at_the_end_of_a_day_is_that_day(self, services, factories, boss, zone):
        for day in (date(2026, 3, 29), date(2026, 10, 25), date(2018, 11, 3)):
            factories.Task(due_at=deadline_from(day, ZoneInfo(zone)))
        factories.Task(due_at=deadline_from(date(2026, 3, 29), ZoneInfo(zone)) + timedelta(seconds=1))

        _header, *rows = rows_in(export(services, boss))

        *days, moment = (row[EXPORTED.index("due_at")] for row in rows)
        assert days == ["2026-03-29", "2026-10-25", "2018-11-03"]
        assert "T" in moment

    def test_what_a_task_has_not_is_empty(self, services, factories, boss):
        factories.Task(title="Bare")

        header, row = rows_in(export(services, boss))

        empty = {name for name, cell in zip(header, row, strict=True) if not cell}
        assert empty == {
            *("description", "labels", "assignee", "start_on", "due_at", "estimate", "recurrence"),
            *("parent", "started_at", "completed_at", "external_ref"),
        }

    def test_without_tasks_it_is_a_header(self, services, boss):
        assert export(services, boss) == ",".join(EXPORTED).encode() + b"\r\n"

    @pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@x", "'=1", "''@x"])
    def test_no_spreadsheet_reckons_with_it(self, services, factories, boss, words):
        assignee = factories.User(username=words)
        factories.Task(title=words, description=words, labels=[words], external_ref=words, assignee_id=assignee.id)

        _header, row = rows_in(export(services, boss))

        assert row.count("'" + words) == 5
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row)

    def test_in_the_order_of_ids_whatever_was_changed_last(self, services, factories, boss, clock):
        for n in range(3):
            factories.Task(title=f"T{n}", updated_at=clock() - timedelta(days=n))

        assert titles_in(export(services, boss)) == ["T0", "T1", "T2"]

    @pytest.mark.parametrize("task_count", [1, 2, 3, 4, 6])
    def test_pages_join_without_a_gap_or_a_double(self, services, factories, boss, small_pages, task_count):
        for n in range(task_count):
            factories.Task(title=f"T{n}")

        assert titles_in(export(services, boss)) == [f"T{n}" for n in range(task_count)]

    def test_between_two_pages_nothing_is_held(self, services, factories, boss, small_pages):
        """Who reads slowly keeps nobody from anything: another use case fits between any two pieces."""
        tasks = [factories.Task(title=f"T{n}") for n in range(5)]
        pieces_of_file = services.task_export.write(boss, TaskQuery())
        start = next(pieces_of_file).content + next(pieces_of_file).content

        services.tasks.change(boss, tasks[0].id, {"title": "Changed too late"})
        services.tasks.change(boss, tasks[3].id, {"title": "Changed in time"})
        services.tasks.delete(boss, tasks[4].id)
        services.tasks.create(boss, {"title": "New"})

        assert titles_in(start + b"".join(lines.content for lines in pieces_of_file)) == [
            "T0",
            "T1",
            "T2",
            "Changed in time",
            "New",
        ]

    def test_a_task_that_moves_in_the_list_comes_once(self, services, factories, boss, small_pages):
        tasks = [factories.Task(title=f"T{n}") for n in range(5)]
        pieces_of_file = services.task_export.write(boss, TaskQuery(sort=("-updated_at",)))
        start = next(pieces_of_file).content + next(pieces_of_file).content

        for task in tasks:
            services.tasks.change(boss, task.id, {"priority": TaskPriority.LOW})

        assert titles_in(start + b"".join(lines.content for lines in pieces_of_file)) == [f"T{n}" for n in range(5)]


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ({"statuses": (TaskStatus.DONE,)}, ["Done"]),
            ({"priorities": (TaskPriority.LOW,)}, ["Low"]),
            ({"labels": ("x",)}, ["Labelled"]),
            ({"assignee": "me"}, ["Mine"]),
            ({"assignee": "none"}, ["Done", "Low", "Labelled", "Words in it"]),
            ({"creator": "me"}, ["Mine"]),
            ({"q": "words"}, ["Words in it"]),
            ({"projects": ("GEN",)}, ["Done", "Low", "Labelled", "Mine", "Words in it"]),
            ({"projects": ("NONE",)}, []),
            ({"deleted": True}, ["Gone"]),
            # The list's page is none of the export's.
            ({"limit": 1}, ["Done", "Low", "Labelled", "Mine", "Words in it"]),
        ],
    )
    def test_what_they_choose_in_the_list_they_choose_here(self, services, factories, boss, query, expected):
        factories.Task(title="Done", status="done")
        factories.Task(title="Low", priority="low")
        factories.Task(title="Labelled", labels=["x"])
        factories.Task(title="Mine", assignee_id=boss.user_id, creator_id=boss.user_id)
        factories.Task(title="Words in it")
        factories.Task(title="Gone", deleted_at=NOON)

        assert titles_in(export(services, boss, **query)) == expected

    def test_overdue_is_as_of_now(self, services, factories, boss, clock):
        factories.Task(title="Late", due_at=clock() - timedelta(hours=1))
        factories.Task(title="In time", due_at=clock() + timedelta(hours=1))

        assert titles_in(export(services, boss, overdue=True)) == ["Late"]


class TestAccess:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER, Role.MANAGER])
    def test_everybody_gets_what_is_in_their_projects(self, services, factories, acting_as, role):
        factories.Task(title="Everybody's")
        factories.Task(title="Secret", project_id=factories.Project().id)

        assert titles_in(export(services, acting_as(factories.User(role=role)))) == ["Everybody's"]

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER])
    def test_deleted_ones_are_for_who_may_restore_them(self, services, factories, acting_as, role):
        """Told before the first piece is asked for, while the answer can still be an error."""
        with pytest.raises(ForbiddenError):
            services.task_export.write(acting_as(factories.User(role=role)), TaskQuery(deleted=True))

    def test_a_manager_gets_deleted_ones(self, services, factories, acting_as):
        factories.Task(title="Gone", deleted_at=NOON)

        manager = acting_as(factories.User(role=Role.MANAGER))
        assert titles_in(export(services, manager, deleted=True)) == ["Gone"]


_names = count()


def make_task(factories, *, assignee, **values):
    """With a user of that name, or one that begins so: names are taken once."""
    user = None
    if assignee is not None:
        user = factories.User(username=f"{assignee}{next(_names)}")
    return factories.Task(assignee_id=user and user.id, **values)


def export(services, actor, **query):
    return b"".join(lines.content for lines in services.task_export.write(actor, TaskQuery(**query)))


def rows_in(content):
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def titles_in(content):
    header, *rows = rows_in(content)
    return [row[header.index("title")] for row in rows]


def said_in(session, project):
    columns = [getattr(Task, name) for name in (*SAID, "assignee_id")]
    return session.execute(select(*columns).where(Task.project_id == project.id).order_by(Task.id)).all()


def rows_of(session, project):
    return session.execute(select(Task.__table__).where(Task.project_id == project.id).order_by(Task.id)).all()


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr("app.services.tasks.export.PAGE_ROWS", 2)
