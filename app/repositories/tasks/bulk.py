"""The SQL of changing many tasks at once: the people and projects of all items, and one UPDATE for all tasks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import orjson
from sqlalchemy import BigInteger, Text, any_, cast, func, inspect, null, or_, select, text, union_all
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.database.engine import ensure_signed
from app.database.prepared import Prepared, is_among, parameter
from app.models.people.user import Role, User
from app.models.projects.project import Project, ProjectMember, in_capitals
from app.models.tasks.task import Task
from app.repositories.people import UserRepository, id_of_name
from app.repositories.projects import ProjectRepository
from app.repositories.scope import is_in_scope
from app.repositories.tasks.write import MAX_UPDATES, tree_problems

# Locks the projects in the order of their ids, so that two transactions cannot wait for each other.
_TAKE_NUMBERS = Prepared(
    text("""
    WITH locked AS (SELECT id FROM projects WHERE id = ANY (CAST(:ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE)
    UPDATE projects SET last_task_number = last_task_number + each.count
      FROM locked JOIN unnest(CAST(:ids AS bigint[]), CAST(:counts AS bigint[])) AS each (id, count) USING (id)
     WHERE projects.id = locked.id
    RETURNING projects.id, last_task_number - each.count AS last_number
""")
)
_NAMED = func.unnest(parameter("names", ARRAY(Text))).table_valued("name", name="named").render_derived()
_HELD = func.unnest(parameter("ids", ARRAY(BigInteger))).table_valued("id", name="held").render_derived()
_EACH = union_all(
    select(_NAMED.c.name, id_of_name(_NAMED.c.name).label("id")), select(cast(null(), Text), _HELD.c.id)
).subquery("each")
_USERS = select(_EACH.c.name, User).join(User, User.id == _EACH.c.id)


@dataclass(frozen=True, slots=True)
class Saved:
    ref: str
    version: int


class LoadedUsers(UserRepository):
    """Answers from the users that were loaded with one statement."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._by_id: dict[int, User] = {}
        self._by_name: dict[str, User] = {}

    @property
    def ids(self) -> Collection[int]:
        return self._by_id.keys()

    def load(self, *, names: Collection[str], ids: Collection[int]) -> None:
        """Load the users with these names or email addresses, and those with these ids."""
        for name, user in self._session.execute(_USERS, {"names": [*names], "ids": [*ids]}).all():
            self._by_id[user.id] = user
            if name is not None:
                self._by_name[name] = user

    def get(self, user_id: int) -> User | None:
        return self._by_id.get(user_id)

    def get_by_name(self, name: str) -> User | None:
        return self._by_name.get(name)


class LoadedProjects(ProjectRepository):
    """Answers from the projects, members and task numbers that were loaded with one statement each."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._by_id: dict[int, Project] = {}
        self._named: dict[str, Project] = {}
        self._members: set[tuple[int, int]] = set()
        self._last_numbers: dict[int, int] = {}

    def load(self, actor: Actor, *, keys: Collection[str], ids: Collection[int], user_ids: Collection[int]) -> None:
        """Load the projects of these ids, and those of these keys that the actor may see, with these members."""
        member = ProjectMember
        members = select(member.user_id).where(member.project_id == Project.id, is_among(member.user_id, "users"))
        of_key = is_among(Project.key, "keys") & is_in_scope(actor, Project.id)
        statement = select(Project, of_key, func.array(members.scalar_subquery()))
        statement = statement.where(or_(Project.id == any_(parameter("ids", ARRAY(BigInteger))), of_key))
        values = {"ids": [*ids], "keys": [in_capitals(key) for key in keys], "users": [*user_ids]}
        for project, is_named, of_project in self._session.execute(statement, values).all():
            self._by_id[project.id] = project
            if is_named:
                self._named[project.key] = project
            self._members |= {(project.id, user_id) for user_id in of_project}

    def reserve_numbers(self, counts: Mapping[int, int]) -> None:
        """Take this many numbers of each project. Those that nobody needs then stay unused."""
        # The lock of `ensure_projects_are_open` comes before that of the projects' rows, as for everybody else.
        self._session.execute(select(func.ensure_projects_are_open(array(sorted(counts), type_=BigInteger))))
        values = {"ids": [*counts], "counts": [*counts.values()]}
        rows = _TAKE_NUMBERS.write(self._session, values)
        self._last_numbers = {row.id: row.last_number for row in rows}

    def get(self, actor: Actor, key: str) -> Project | None:  # noqa: ARG002 - the actor loaded them
        return self._named.get(in_capitals(key))

    def get_by_id(self, project_id: int) -> Project:
        return self._by_id[project_id]

    def is_in(self, project: Project, user: User) -> bool:
        is_member = (project.id, user.id) in self._members
        return project.includes_everyone or user.role is Role.ADMIN or is_member

    def take_task_numbers(self, project_id: int, count: int) -> int:
        last = self._last_numbers[project_id]
        self._last_numbers[project_id] = last + count
        return last


@dataclass(frozen=True, slots=True)
class Loaded:
    """The projects and users of one request, each loaded with one statement."""

    projects: LoadedProjects
    users: LoadedUsers


class BulkRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def save_changed(self, tasks: Sequence[Task], *, at: datetime) -> Mapping[int, Saved]:
        """Save what has changed in locked tasks. A task in which nothing has changed is absent from the answer.

        Raises what `tree_problems` raises, about all of them.
        """
        changed_in = {task.id: changed for task in tasks if (changed := _changed_in(task))}
        if not changed_in:
            return {}
        ensure_signed(self._session)
        columns = sorted(set().union(*changed_in.values()))
        rows = [
            {"id": task.id, **{name: getattr(task, name) for name in columns}}
            for task in tasks
            if task.id in changed_in
        ]
        values = {"rows": orjson.dumps(rows).decode(), "at": at}
        with tree_problems():
            saved = _update(tuple(columns)).write(self._session, values)
        return {row.id: Saved(row.ref, row.version) for row in saved}


def _changed_in(task: Task) -> set[str]:
    before = inspect(task).committed_state
    return {name for name, value in before.items() if value != getattr(task, name)}


@lru_cache(maxsize=MAX_UPDATES)
def _update(columns: tuple[str, ...]) -> Prepared:
    """Every row has all of these columns. Most requests change the same ones in each task."""
    assignments = ", ".join(f"{name} = new.{name}" for name in columns)
    return Prepared(
        text(f"""
        UPDATE tasks SET {assignments}, updated_at = :at, version = tasks.version + 1
          FROM json_populate_recordset(CAST(NULL AS tasks), CAST(:rows AS json)) AS new
         WHERE tasks.id = new.id
        RETURNING tasks.id, tasks.version,
                  (SELECT key FROM projects AS p WHERE p.id = tasks.project_id) || '-' || tasks.number AS ref
    """)  # noqa: S608 - of the names of columns
    )
