from datetime import UTC, datetime, timedelta

import pytest

from app.csv_files.words import priority_from, status_from
from app.models.tasks.fields import ACTIVE_STATUSES, TaskPriority, TaskStatus
from app.models.tasks.task import Task

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ONE_O_CLOCK = NOON + timedelta(hours=1)

STATUS_WORDS = {
    TaskStatus.TODO: [
        *("todo", "pending", "open", "not_started", "to do", "new", "true", "1", "yes"),
        *("backlog", "ready", "selected for development", "reopened"),
    ],
    TaskStatus.IN_PROGRESS: ["in_progress", "inprogress", "doing", "started", "work_in_progress", "in review"],
    TaskStatus.BLOCKED: ["blocked", "on_hold", "waiting"],
    TaskStatus.DONE: ["done", "completed", "complete", "closed", "resolved", "false", "0", "no"],
    TaskStatus.CANCELLED: ["cancelled", "canceled", "wont_do", "won't do"],
}
PRIORITY_WORDS = {
    TaskPriority.LOW: ["low", "lowest", "minor", "trivial", "1"],
    TaskPriority.MEDIUM: ["medium", "normal", "none", "2", "0"],
    TaskPriority.HIGH: ["high", "major", "3"],
    TaskPriority.CRITICAL: ["critical", "urgent", "highest", "blocker", "4", "5"],
}
WRITINGS = {
    "as it is": str,
    "capitals": str.upper,
    "title": str.title,
    "spaces": lambda word: word.replace("_", " "),
    "hyphens": lambda word: word.replace("_", "-"),
    "with space around": lambda word: f"  {word}\t",
}


class TestStatusFrom:
    @pytest.mark.parametrize("write", WRITINGS.values(), ids=WRITINGS.keys())
    @pytest.mark.parametrize(
        ("word", "status"), [(word, status) for status, words in STATUS_WORDS.items() for word in words]
    )
    def test_other_trackers_words_are_taken_however_written(self, word, status, write):
        assert status_from(write(word)) is status

    @pytest.mark.parametrize("word", ["", " ", "maybe", "2", "todo!", "in  progress", "дone"])
    def test_what_no_tracker_says_is_none(self, word):
        assert status_from(word) is None


class TestPriorityFrom:
    @pytest.mark.parametrize("write", WRITINGS.values(), ids=WRITINGS.keys())
    @pytest.mark.parametrize(
        ("word", "priority"), [(word, priority) for priority, words in PRIORITY_WORDS.items() for word in words]
    )
    def test_other_trackers_words_are_taken_however_written(self, word, priority, write):
        assert priority_from(write(word)) is priority

    @pytest.mark.parametrize("word", ["", "-1", "6", "1.0", "٣", "asap"])
    def test_what_no_tracker_says_is_none(self, word):
        assert priority_from(word) is None


class TestChangeStatus:
    def test_taken_up_it_is_started(self):
        task = Task(status=TaskStatus.TODO)

        task.change_status(TaskStatus.IN_PROGRESS, at=NOON)

        assert (task.status, task.started_at, task.completed_at) == (TaskStatus.IN_PROGRESS, NOON, None)

    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_ended_either_way_it_is_completed(self, end):
        task = Task(status=TaskStatus.IN_PROGRESS, started_at=NOON)

        task.change_status(end, at=ONE_O_CLOCK)

        assert (task.status, task.started_at, task.completed_at) == (end, NOON, ONE_O_CLOCK)

    def test_done_without_having_been_taken_up_it_was_never_started(self):
        task = Task(status=TaskStatus.TODO)

        task.change_status(TaskStatus.DONE, at=NOON)

        assert (task.started_at, task.completed_at) == (None, NOON)

    @pytest.mark.parametrize("reopened", ACTIVE_STATUSES)
    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_reopened_it_is_not_completed(self, end, reopened):
        task = Task(status=end, started_at=NOON, completed_at=NOON)

        task.change_status(reopened, at=ONE_O_CLOCK)

        assert (task.status, task.started_at, task.completed_at) == (reopened, NOON, None)

    def test_taken_up_again_it_started_the_first_time(self):
        task = Task(status=TaskStatus.BLOCKED, started_at=NOON)

        task.change_status(TaskStatus.IN_PROGRESS, at=ONE_O_CLOCK)

        assert task.started_at == NOON

    @pytest.mark.parametrize("status", TaskStatus)
    def test_the_status_it_has_changes_nothing(self, status):
        task = Task(status=status, started_at=NOON, completed_at=NOON)

        task.change_status(status, at=ONE_O_CLOCK)

        assert (task.status, task.started_at, task.completed_at) == (status, NOON, NOON)

    def test_blocked_is_not_started(self):
        task = Task(status=TaskStatus.TODO)

        task.change_status(TaskStatus.BLOCKED, at=NOON)

        assert task.started_at is None


class TestDelete:
    def test_deleted_twice_it_was_deleted_the_first_time(self):
        task = Task(status=TaskStatus.TODO)

        task.delete(at=NOON)
        task.delete(at=ONE_O_CLOCK)

        assert task.deleted_at == NOON

    def test_restored_it_was_never_deleted(self):
        task = Task(status=TaskStatus.TODO, deleted_at=NOON)

        task.restore()

        assert task.deleted_at is None


class TestIsActive:
    @pytest.mark.parametrize("status", TaskStatus)
    def test_until_it_ends(self, status):
        assert Task(status=status).is_active is (status in {"todo", "in_progress", "blocked"})

    @pytest.mark.parametrize("status", TaskStatus)
    def test_not_once_deleted(self, status):
        assert not Task(status=status, deleted_at=NOON).is_active
