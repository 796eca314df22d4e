"""A single project as clients see it."""

from dataclasses import dataclass

from app.queries.pages import VersionedRow


@dataclass(frozen=True, slots=True)
class ProjectView(VersionedRow):
    """A project with what its answer shows beside its own version: the numbers of tasks in its limited statuses."""

    task_counts: tuple[int, ...]

    @property
    def freshness(self) -> str:
        """Tasks change the answer but not the project, so they do not outdate what a client has read."""
        return "-".join(map(str, self.task_counts)) if any(self.task_counts) else ""
