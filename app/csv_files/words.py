"""The status or priority that a word means, whichever tracker it comes from."""

from app.models.tasks.fields import TaskPriority, TaskStatus

# Other trackers' words. Spaces and hyphens count as underscores, and capitals do not count.
STATUS_ALIASES: dict[str, TaskStatus] = {
    **{status.value: status for status in TaskStatus},
    **dict.fromkeys(("pending", "open", "not_started", "to_do", "new", "true", "1", "yes"), TaskStatus.TODO),
    **dict.fromkeys(("backlog", "ready", "selected_for_development", "reopened"), TaskStatus.TODO),
    **dict.fromkeys(("inprogress", "doing", "started", "work_in_progress", "in_review"), TaskStatus.IN_PROGRESS),
    **dict.fromkeys(("on_hold", "waiting"), TaskStatus.BLOCKED),
    **dict.fromkeys(("completed", "complete", "closed", "resolved", "false", "0", "no"), TaskStatus.DONE),
    **dict.fromkeys(("canceled", "wont_do", "won't_do"), TaskStatus.CANCELLED),
}
PRIORITY_ALIASES: dict[str, TaskPriority] = {
    **{priority.value: priority for priority in TaskPriority},
    # Where numbers count upwards, 0 means none.
    **dict.fromkeys(("lowest", "minor", "trivial", "1"), TaskPriority.LOW),
    **dict.fromkeys(("normal", "none", "2", "0"), TaskPriority.MEDIUM),
    **dict.fromkeys(("major", "3"), TaskPriority.HIGH),
    **dict.fromkeys(("urgent", "highest", "blocker", "4", "5"), TaskPriority.CRITICAL),
}


def status_from(word: str) -> TaskStatus | None:
    """None when no tracker that we know uses the word."""
    return STATUS_ALIASES.get(_folded(word))


def priority_from(word: str) -> TaskPriority | None:
    return PRIORITY_ALIASES.get(_folded(word))


def _folded(word: str) -> str:
    return word.strip().lower().replace(" ", "_").replace("-", "_")
