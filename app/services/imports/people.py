"""Which users do the names in a file mean? Unknown ones become users, if the import creates users."""

from collections.abc import Collection

from app.csv_files.numbered import RowProblem
from app.models.imports.task_import import ImportState, TaskImport
from app.models.people.user import MAX_USERNAME_LENGTH
from app.repositories.imports.batches import Person
from app.repositories.imports.people import ImportPeopleRepository
from app.repositories.projects import ProjectRepository


class ImportPeople:
    """Each method runs inside the caller's transaction."""

    def __init__(self, people: ImportPeopleRepository, projects: ProjectRepository) -> None:
        self._people = people
        self._projects = projects

    def find(self, task_import: TaskImport, names: Collection[str]) -> tuple[dict[str, Person], bool]:
        """Find the person of each name, and tell whether one of them has joined the project.

        An import that creates users adds unknown names while it loads.
        """
        if not names:
            return {}, False
        if task_import.state is ImportState.LOADING:
            self._people.lock_unclaimed(names)
        people = self._people.find(task_import.project_id, names)
        unknown = [name for name in names if name not in people]
        look_alikes: set[str] = set()
        # An address may be longer than a username. Such an address, which nobody has, becomes no user.
        short = dict.fromkeys(name for name in unknown if len(name) <= MAX_USERNAME_LENGTH)
        new = short if task_import.creates_users else {}
        if new:
            if task_import.state is ImportState.LOADING:
                self._people.add(new)
                self._people.lock_unclaimed(new)
                people |= self._people.find(task_import.project_id, new)
                look_alikes = {name for name in new if name not in people}
            else:
                look_alikes = self._people.find_look_alikes(new)
        is_loading = task_import.state is ImportState.LOADING
        has_new_members = is_loading and self._projects.add_unclaimed_members(task_import.project_id, names)
        for name in unknown:
            is_like = name in look_alikes
            may_be_assigned = name in new and not is_like
            people.setdefault(
                name, Person(None, name.lower(), may_be_assigned=may_be_assigned, looks_like_another=is_like)
            )
        return people, has_new_members


def stranger_problem(task_import: TaskImport, name: str, person: Person, column: str | None) -> RowProblem:
    """The problem of a row that names a person who may not be assigned in the project."""
    is_known = task_import.creates_users and person.id is not None
    reason = "is not in the project" if is_known else "is nobody in the project"
    if person.looks_like_another:
        reason = "looks like the name of somebody else"
    return RowProblem(column, name, reason)
