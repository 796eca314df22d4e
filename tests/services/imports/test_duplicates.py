from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from app.composition.services import serving
from app.models.imports.task_import import DuplicatePolicy
from app.models.people.user import User
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.queries.tasks import TaskQuery
from tests.services.imports.uploading import COUNTS, JANUARY, MIXED_ROWS, counts_of, task_now, titles, upload
from tests.stored import list_tasks


class TestSkipDuplicates:
    def test_a_task_with_the_same_reference_is_unchanged(self, service, manager, session, factories, clock):
        task = factories.Task(title="One", external_ref="A", updated_at=clock() - timedelta(days=1))
        before = as_json(session, task)

        lines = ["task_name,status,external_ref", "Renamed,done,A", "New,done,B"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert counts_of(outcome) == dict(zip(COUNTS, (2, 1, 0, 1, 0, 0), strict=True))
        assert as_json(session, task) == before
        assert [(task.title, task.external_ref) for task in list_tasks(session)] == [("One", "A"), ("New", "B")]

    @pytest.mark.parametrize(
        ("row", "is_there"),
        [
            ("One,Said,2026-01-15,ada", True),
            ("One,Said,2026-01-15T23:59:59Z,ADA", True),
            ("One,Said,,ada", True),
            ("One,Said,2026-01-15,ada@example.org", True),
            ("one,Said,2026-01-15,ada", False),
            ("One,said,2026-01-15,ada", False),
            ("One,,2026-01-15,ada", False),
            ("One,Said,2026-01-16,ada", False),
            ("One,Said,2026-01-15,", False),
            ("One,Said,2026-01-15,grace", False),
            ("One,Said,2026-01-15,Unknown", False),
        ],
    )
    def test_a_task_with_the_same_content_day_and_assignee_is_a_duplicate(
        self, service, manager, session, factories, row, is_there
    ):
        ada = factories.User(username="ada")
        factories.User(username="grace")
        factories.Task(title="One", description="Said", created_at=JANUARY, assignee_id=ada.id, status="done")

        lines = ["task_name,description,created_at,assignee", row]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert (counts_of(outcome)["created_count"], counts_of(outcome)["skipped_count"]) == (
            (0, 1) if is_there else (1, 0)
        )

    def test_two_tasks_without_an_assignee_are_duplicates(self, service, manager, factories):
        factories.Task(title="One")

        outcome = upload(service, manager, "task_name", "One", on_duplicate=DuplicatePolicy.SKIP)

        assert counts_of(outcome)["skipped_count"] == 1

    def test_the_workspaces_zone_decides_the_day(self, resources, settings, manager, factories):
        """At 23:00 UTC it is already the next day in Berlin."""
        factories.Task(title="One", created_at=datetime(2026, 1, 15, 23, 30, tzinfo=UTC))
        resources.settings = replace(settings, time_zone=ZoneInfo("Europe/Berlin"))

        with serving(resources) as services:
            lines = ["task_name,created_at", "One,2026-01-15", "One,2026-01-16"]
            outcome = upload(services.imports, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert (outcome.created_count, counts_of(outcome)["skipped_count"]) == (1, 1)

    def test_a_row_with_a_reference_is_matched_by_it_alone(self, service, manager, session, factories):
        factories.Task(title="One")
        factories.Task(title="One", external_ref="A")

        lines = ["task_name,external_ref", "One,B"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert [task.external_ref for task in list_tasks(session)] == [None, "A", "B"]

    @pytest.mark.parametrize("row", ["One,A", "One,"])
    def test_deleted_tasks_do_not_count(self, service, manager, factories, clock, row):
        factories.Task(title="One", external_ref="A", deleted_at=clock())

        outcome = upload(service, manager, "task_name,external_ref", row, on_duplicate=DuplicatePolicy.SKIP)

        assert outcome.created_count == 1

    @pytest.mark.parametrize("row", ["One,A", "One,"])
    def test_tasks_of_other_projects_do_not_count(self, service, manager, factories, row):
        factories.Task(title="One", external_ref="A", project_id=factories.Project().id)

        outcome = upload(service, manager, "task_name,external_ref", row, on_duplicate=DuplicatePolicy.SKIP)

        assert outcome.created_count == 1

    @pytest.mark.parametrize("block_rows", [1, 2, 3, 100])
    def test_the_first_of_several_equal_rows_is_created(self, service, manager, session, monkeypatch, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        lines = ["task_name,external_ref,priority", "One,A,low", "Two,,low", "Three,A,high", "Two,,high", "Two,B,high"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert counts_of(outcome) == dict(zip(COUNTS, (5, 3, 0, 2, 0, 0), strict=True))
        assert [(task.title, task.priority) for task in list_tasks(session)] == [
            ("One", TaskPriority.LOW),
            ("Two", TaskPriority.LOW),
            ("Two", TaskPriority.HIGH),
        ]

    def test_the_same_file_again_creates_nothing(self, service, manager, clock, small_blocks):
        for _ in range(2):
            outcome = upload(service, manager, *MIXED_ROWS, on_duplicate=DuplicatePolicy.SKIP)
            clock.advance(seconds=1)

        counts = counts_of(outcome)
        assert (counts["created_count"], counts["skipped_count"]) == (0, counts["read_count"])

    def test_separators_inside_the_text_do_not_confuse_rows(self, service, manager, session):
        lines = ["task_name,description", "a\x1fb,c", "a,b\x1fc"]

        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.SKIP)

        assert len(list_tasks(session)) == 2


class TestUpdateDuplicates:
    def test_an_existing_task_gets_the_values_of_the_row(self, service, manager, session, factories, clock):
        ada = factories.User(username="ada")
        task = factories.Task(title="One", external_ref="A", created_at=JANUARY, updated_at=JANUARY)

        header = "task_name,description,status,priority,labels,assignee,due_at,created_at,external_ref"
        row = 'Renamed,Said,blocked,high,"x,y",ada,2026-04-01,2020-01-01,A'
        outcome = upload(service, manager, header, row, on_duplicate=DuplicatePolicy.UPDATE)

        after = task_now(session, task)
        assert counts_of(outcome) == dict(zip(COUNTS, (1, 0, 1, 0, 0, 0), strict=True))
        assert (after.title, after.description) == ("Renamed", "Said")
        assert (after.status, after.priority) == (TaskStatus.BLOCKED, TaskPriority.HIGH)
        assert (after.labels, after.assignee_id) == (["x", "y"], ada.id)
        assert (after.due_at, after.created_at) == (datetime(2026, 4, 1, 23, 59, 59, tzinfo=UTC), JANUARY)
        assert (after.version, after.updated_at, after.number) == (2, clock(), task.number)

    def test_fields_without_a_column_are_unchanged(self, service, manager, session, full_task):
        before = as_json(session, full_task)

        lines = ["task_name,priority,external_ref", "One,low,A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        after = as_json(session, full_task)
        times = {name: after[name] for name in ("updated_at", "revised_at")}
        assert after == {**before, **times, "priority": "low", "version": 2, "revision": 2}

    def test_empty_cells_empty_their_fields(self, service, manager, session, full_task):
        lines = ["task_name,description,labels,assignee,due_at,external_ref", "One,,,,,A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        after = task_now(session, full_task)
        assert (after.description, after.labels, after.assignee_id, after.due_at) == ("", [], None, None)

    @pytest.mark.parametrize("block_rows", [1, 100])
    def test_a_row_that_changes_nothing_keeps_version_and_time(
        self, service, manager, session, full_task, monkeypatch, block_rows
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        before = as_json(session, full_task)

        header = "task_name,description,status,priority,labels,assignee,due_at,external_ref"
        row = 'One,Said,in progress,HIGH,"x,y",Ada,2026-04-01T01:00:00+01:00,A'
        outcome = upload(service, manager, header, row, row, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome) == dict(zip(COUNTS, (2, 0, 0, 2, 0, 0), strict=True))
        assert as_json(session, full_task) == before

    def test_changes_undone_within_a_block_keep_version_and_time(self, service, manager, session, full_task):
        before = as_json(session, full_task)

        lines = ["task_name,priority,external_ref", "One,low,A", "One,high,A"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome)["updated_count"] == 2
        assert as_json(session, full_task) == before

    @pytest.mark.parametrize(
        ("before", "word", "times"),
        [
            (TaskStatus.TODO, "in_progress", ("now", None)),
            (TaskStatus.TODO, "done", (None, "now")),
            (TaskStatus.TODO, "cancelled", (None, "now")),
            (TaskStatus.TODO, "blocked", (None, None)),
            (TaskStatus.IN_PROGRESS, "in_progress", ("then", None)),
            (TaskStatus.IN_PROGRESS, "blocked", ("then", None)),
            (TaskStatus.IN_PROGRESS, "done", ("then", "now")),
            (TaskStatus.BLOCKED, "in_progress", ("now", None)),
            (TaskStatus.DONE, "todo", ("then", None)),
            (TaskStatus.DONE, "in_progress", ("then", None)),
            (TaskStatus.DONE, "cancelled", ("then", "then")),
            (TaskStatus.DONE, "done", ("then", "then")),
        ],
    )
    def test_times_follow_the_status_as_in_a_change_by_a_user(
        self, service, services, manager, session, factories, clock, before, word, times
    ):
        """The update has the same effect as `change_status` on a second task of the same kind."""
        started_at = JANUARY if before in {TaskStatus.IN_PROGRESS, TaskStatus.DONE} else None
        completed_at = JANUARY if before is TaskStatus.DONE else None
        imported, changed = (
            factories.Task(external_ref=ref, status=before, started_at=started_at, completed_at=completed_at)
            for ref in ("A", "B")
        )

        lines = ["task_name,status,external_ref", f"One,{word},A"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)
        services.tasks.change(manager, changed.id, {"title": "One", "status": TaskStatus(word)})

        moments = {"now": clock(), "then": JANUARY, None: None}
        outcomes = [
            (task_now(session, task).started_at, task_now(session, task).completed_at) for task in (imported, changed)
        ]
        assert outcomes == [tuple(moments[time] for time in times)] * 2

    @pytest.mark.parametrize("block_rows", [1, 2, 3, 100])
    def test_the_last_of_several_rows_for_one_task_wins(
        self, service, manager, session, factories, monkeypatch, block_rows
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        factories.Task(title="Old", external_ref="A", priority="low")

        lines = ["task_name,external_ref,priority", "1,A,high", "2,B,low", "3,A,high", "4,B,high", "5,A,critical"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome) == dict(zip(COUNTS, (5, 1, 4, 0, 0, 0), strict=True))
        assert [(task.title, task.external_ref, task.priority) for task in list_tasks(session)] == [
            ("5", "A", TaskPriority.CRITICAL),
            ("4", "B", TaskPriority.HIGH),
        ]

    @pytest.mark.parametrize("block_rows", [1, 100])
    def test_tasks_matched_by_content_are_changed(self, service, manager, session, monkeypatch, block_rows):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        lines = ["task_name,status", "One,todo", "Two,todo", "One,done", "One,done"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome) == dict(zip(COUNTS, (4, 2, 1, 1, 0, 0), strict=True))
        assert {task.title: task.status for task in list_tasks(session)} == {
            "One": TaskStatus.DONE,
            "Two": TaskStatus.TODO,
        }

    @pytest.mark.parametrize("block_rows", [1, 100])
    @pytest.mark.parametrize(
        "rows",
        [["One,A,low,", "One,,high,"], ["One,,low,", "One,,high,2026-01-15"]],
        ids=["by ref, then by content", "without a day, then with it"],
    )
    def test_the_last_of_two_rows_that_match_a_task_by_different_keys_wins(
        self, service, manager, session, factories, monkeypatch, rows, block_rows
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        factories.Task(title="One", external_ref="A", created_at=JANUARY)

        lines = ["task_name,external_ref,priority,created_at", *rows]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(outcome)["updated_count"] == 2
        assert [task.priority for task in list_tasks(session)] == [TaskPriority.HIGH]

    @pytest.mark.parametrize("block_rows", [1, 100])
    def test_the_result_for_a_new_task_does_not_depend_on_the_ends_of_blocks(
        self, service, manager, session, clock, monkeypatch, block_rows
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)

        lines = [
            "task_name,external_ref,status,created_at",
            "1,A,in_progress,2026-01-15",
            "2,B,todo,2026-01-15",
            "3,A,done,2026-01-16",
        ]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        first, second = list_tasks(session)
        assert (first.title, first.created_at) == ("3", datetime(2026, 1, 15, tzinfo=UTC))
        assert (first.started_at, first.completed_at) == (clock(), clock())
        assert second.title == "2"

    def test_deleted_tasks_stay_deleted_and_unchanged(self, service, manager, session, factories, clock):
        deleted = factories.Task(title="Gone", external_ref="A", deleted_at=clock())

        lines = ["task_name,external_ref", "New,A"]
        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        assert outcome.created_count == 1
        assert (task_now(session, deleted).title, task_now(session, deleted).version) == ("Gone", 1)

    def test_a_new_user_is_created_and_gets_the_existing_task(self, service, manager, session, factories):
        task = factories.Task(external_ref="A")

        lines = ["task_name,external_ref,assignee", "One,A,Grace"]
        upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)

        grace = session.scalars(select(User).where(User.username == "Grace")).one()
        assert task_now(session, task).assignee_id == grace.id

    def test_an_updated_task_is_seen_at_once(self, service, services, manager, factories):
        factories.Task(title="Old", external_ref="A")
        services.task_views.list_page(manager, TaskQuery())

        upload(service, manager, "task_name,external_ref", "Brand new,A", on_duplicate=DuplicatePolicy.UPDATE)

        page, _was_cached = services.task_views.list_page(manager, TaskQuery())
        assert b"Brand new" in page.rows

    def test_the_same_file_again_changes_nothing(self, service, manager, clock, small_blocks):
        for _ in range(2):
            outcome = upload(service, manager, *MIXED_ROWS[:5], on_duplicate=DuplicatePolicy.UPDATE)
            clock.advance(seconds=1)

        counts = counts_of(outcome)
        assert (counts["created_count"], counts["updated_count"]) == (0, 0)


class TestCreateDuplicates:
    def test_an_existing_task_is_created_again(self, service, manager, session, factories):
        factories.Task(title="One", external_ref="A")

        outcome = upload(service, manager, "task_name,external_ref", "One,A", "One,A", "One,")

        assert outcome.created_count == 3
        assert titles(session) == ["One"] * 4


def as_json(session, task):
    """Return everything about a task."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in session.execute(select(Task.__table__).where(Task.id == task.id)).mappings().one().items()
    }


@pytest.fixture
def full_task(factories):
    """A task that has no field at its default; its external reference is A."""
    return factories.Task(
        title="One",
        description="Said",
        status="in_progress",
        priority="high",
        labels=["x", "y"],
        assignee_id=factories.User(username="ada").id,
        due_at=datetime(2026, 4, 1, tzinfo=UTC),
        external_ref="A",
        created_at=JANUARY,
        updated_at=JANUARY,
        started_at=JANUARY,
    )
