"""The status, priority or person that a word means: our own, another tracker's, or what an import says of its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
# Our own words, which our exports and the files of the classic API have. No import gives them another meaning.
OWN_STATUSES: dict[str, TaskStatus] = {word: STATUS_ALIASES[word] for word in (*TaskStatus, "true", "false")}
OWN_PRIORITIES: dict[str, TaskPriority] = {word: PRIORITY_ALIASES[word] for word in TaskPriority}


@dataclass(frozen=True, slots=True)
class FileWords:
    """The meaning of a file's words, as its import names it, by their keys.

    These words come before all others. A person of None means nobody.
    """

    statuses: Mapping[str, TaskStatus] = field(default_factory=dict)
    priorities: Mapping[str, TaskPriority] = field(default_factory=dict)
    people: Mapping[str, str | None] = field(default_factory=dict)


def key_of(word: str) -> str:
    """Words with the same key are the same: letter case and the number of spaces do not matter."""
    return " ".join(word.split()).casefold()


def status_from(word: str) -> TaskStatus | None:
    """None when no tracker that we know uses the word."""
    return STATUS_ALIASES.get(_folded(word))


def priority_from(word: str) -> TaskPriority | None:
    return PRIORITY_ALIASES.get(_folded(word))


def _folded(word: str) -> str:
    return word.strip().lower().replace(" ", "_").replace("-", "_")
