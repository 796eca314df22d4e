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
SPELLINGS = {
    "as it is": str,
    "capitals": str.upper,
    "title": str.title,
    "spaces": lambda word: word.replace("_", " "),
    "hyphens": lambda word: word.replace("_", "-"),
    "with space around": lambda word: f"  {word}\t",
}


class TestStatusFrom:
    @pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
    @pytest.mark.parametrize(
        ("word", "status"), [(word, status) for status, words in STATUS_WORDS.items() for word in words]
    )
    def test_accepts_the_words_of_other_trackers_in_any_spelling(self, word, status, spell):
        assert status_from(spell(word)) is status

    @pytest.mark.parametrize("word", ["", " ", "maybe", "2", "todo!", "in  progress", "дone"])
    def test_returns_none_for_an_unknown_word(self, word):
        assert status_from(word) is None


class TestPriorityFrom:
    @pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
    @pytest.mark.parametrize(
        ("word", "priority"), [(word, priority) for priority, words in PRIORITY_WORDS.items() for word in words]
    )
    def test_accepts_the_words_of_other_trackers_in_any_spelling(self, word, priority, spell):
        assert priority_from(spell(word)) is priority

    @pytest.mark.parametrize("word", ["", "-1", "6", "1.0", "٣", "asap"])
    def test_returns_none_for_an_unknown_word(self, word):
        assert priority_from(word) is None


class TestChangeStatus:
    def test_in_progress_sets_the_start(self):
        task = Task(status=TaskStatus.TODO)

        task.change_status(TaskStatus.IN_PROGRESS, at=NOON)

        assert (task.status, task.started_at, task.completed_at) == (TaskStatus.IN_PROGRESS, NOON, None)

    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_both_final_statuses_set_the_completion(self, end):
        task = Task(status=TaskStatus.IN_PROGRESS, started_at=NOON)

        task.change_status(end, at=ONE_O_CLOCK)

        assert (task.status, task.started_at, task.completed_at) == (end, NOON, ONE_O_CLOCK)

    def test_a_task_that_skips_in_progress_has_no_start(self):
        task = Task(status=TaskStatus.TODO)

        task.change_status(TaskStatus.DONE, at=NOON)

        assert (task.started_at, task.completed_at) == (None, NOON)

    @pytest.mark.parametrize("reopened", ACTIVE_STATUSES)
    @pytest.mark.parametrize("end", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_reopening_removes_the_completion(self, end, reopened):
        task = Task(status=end, started_at=NOON, completed_at=NOON)

        task.change_status(reopened, at=ONE_O_CLOCK)

        assert (task.status, task.started_at, task.completed_at) == (reopened, NOON, None)

    def test_in_progress_again_keeps_the_first_start(self):
        task = Task(status=TaskStatus.BLOCKED, started_at=NOON)

        task.change_status(TaskStatus.IN_PROGRESS, at=ONE_O_CLOCK)

        assert task.started_at == NOON

    @pytest.mark.parametrize("status", TaskStatus)
    def test_the_same_status_changes_nothing(self, status):
        task = Task(status=status, started_at=NOON, completed_at=NOON)

        task.change_status(status, at=ONE_O_CLOCK)

        assert (task.status, task.started_at, task.completed_at) == (status, NOON, NOON)

    def test_blocked_sets_no_start(self):
        task = Task(status=TaskStatus.TODO)

        task.change_status(TaskStatus.BLOCKED, at=NOON)

        assert task.started_at is None


class TestDelete:
    def test_a_second_delete_keeps_the_first_time(self):
        task = Task(status=TaskStatus.TODO)

        task.delete(at=NOON)
        task.delete(at=ONE_O_CLOCK)

        assert task.deleted_at == NOON

    def test_restoring_removes_the_deletion(self):
        task = Task(status=TaskStatus.TODO, deleted_at=NOON)

        task.restore()

        assert task.deleted_at is None


class TestIsActive:
    @pytest.mark.parametrize("status", TaskStatus)
    def test_a_task_is_active_until_it_ends(self, status):
        assert Task(status=status).is_active is (status in {"todo", "in_progress", "blocked"})

    @pytest.mark.parametrize("status", TaskStatus)
    def test_a_deleted_task_is_not_active(self, status):
        assert not Task(status=status, deleted_at=NOON).is_active
