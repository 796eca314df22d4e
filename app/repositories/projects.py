"""The SQL of projects and their members."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, delete, func, select, text, true, update
from sqlalchemy.dialects.postgresql import array, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.database.engine import violated_constraint
from app.database.prepared import PlannedOnce, Prepared, parameter
from app.errors import ProjectKeyTakenError
from app.models.people.user import Role, User
from app.models.projects.project import LIMITED_STATUSES, Project, ProjectMember, in_capitals
from app.models.tasks.task import Task
from app.queries.pages import Page, decode_cursor, is_integer
from app.queries.projects import ProjectView
from app.repositories.pages import AnySelect, counted_up_to_max, json_object, json_text, page_of
from app.repositories.scope import anybody_like, is_in_scope, scope_parameters

PROJECT_SUMMARY_FIELDS: dict[str, Any] = {
    "id": Project.id,
    "key": Project.key,
    "name": Project.name,
    "color": Project.color,
    "wip_limits": Project.wip_limits,
    "includes_everyone": Project.includes_everyone,
    "archived_at": Project.archived_at,
    "created_at": Project.created_at,
    "updated_at": Project.updated_at,
    "version": Project.version,
}


def _count_of(status: str) -> ColumnElement[int]:
    """The number of a project's tasks with this status, by the index of the board."""
    tasks = select(Task.id).where(Task.project_id == Project.id, Task.status == status, Task.deleted_at.is_(None))
    return counted_up_to_max(tasks.correlate(Project)).scalar_subquery()


# Without the OFFSET, PostgreSQL would count once for the field and once for the column.
_COUNTS = select(*(_count_of(status).label(status) for status in LIMITED_STATUSES)).offset(0).lateral("counts")
# The fields that a single project has beside those of a list. Descriptions may be long, and counting takes time.
_FURTHER_FIELDS: dict[str, dict[str, Any]] = {
    "name": {"description": Project.description},
    "wip_limits": {"task_counts": json_object(dict(_COUNTS.c))},
}
PROJECT_FIELDS: dict[str, Any] = {
    name: column
    for field, of_list in PROJECT_SUMMARY_FIELDS.items()
    for name, column in {field: of_list, **_FURTHER_FIELDS.get(field, {})}.items()
}
MEMBER_FIELDS: dict[str, Any] = {
    "id": User.id,
    "username": User.username,
    "role": User.role,
    "added_at": ProjectMember.added_at,
}
# The lock of the triggers `ensure_projects_are_open` and `record_archival`.
_LOCK_ALONE = text("SELECT pg_advisory_xact_lock(7203117, project_lock_key(:project_id))")
_MOVE_MEMBERSHIPS = text("""
    WITH moved AS (DELETE FROM project_members WHERE user_id = :from_id RETURNING project_id),
         added AS (INSERT INTO project_members (project_id, user_id) SELECT project_id, :to_id FROM moved
                   ON CONFLICT DO NOTHING)
    SELECT project_id FROM moved
""")
# A user without a password joins each project whose imports name them. Whoever claims the account is then a member.
_ADD_UNCLAIMED_MEMBERS = text("""
    INSERT INTO project_members (project_id, user_id)
    SELECT DISTINCT p.id, u.id
      FROM unnest(CAST(:names AS text[])) AS named (name)
      JOIN users AS u ON lower(u.username) = lower(named.name) AND u.password_hash IS NULL
       AND NOT u.is_service AND u.merged_into_id IS NULL
      JOIN projects AS p ON p.id = :project_id AND NOT p.includes_everyone
     ORDER BY p.id, u.id
    ON CONFLICT DO NOTHING
    RETURNING user_id
""")
# The condition that a user `u` may see a project `p`.
MAY_SEE_PROJECT = """(u.role = 'admin' OR p.includes_everyone OR
                      EXISTS (SELECT FROM project_members AS m WHERE m.project_id = p.id AND m.user_id = u.id))"""
_NAMED = Prepared(
    text(f"""
    SELECT u.id, u.username
      FROM users AS u
      JOIN projects AS p ON p.id = :project_id
     WHERE lower(u.username) = ANY(:names) AND u.is_active AND {MAY_SEE_PROJECT}
     ORDER BY u.id
""")  # noqa: S608 - of constants
)


class ProjectRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, actor: Actor, key: str) -> Project | None:
        """None if there is no such project, or if the actor may not see it."""
        project: Project | None = self._session.scalar(
            _visible_to(actor, select(Project)).where(Project.key == in_capitals(key))
        )
        return project

    def get_for_update(self, actor: Actor, key: str) -> Project | None:
        """Locked until the commit, with current values."""
        statement = _visible_to(actor, select(Project)).where(Project.key == in_capitals(key))
        statement = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
        project: Project | None = self._session.scalar(statement)
        return project

    def get_by_id(self, project_id: int) -> Project:
        """The project of a task that the actor may see."""
        return self._session.get_one(Project, project_id)

    def lock_tasks_of(self, project_id: int) -> None:
        """Wait until nobody writes a task of the project, and keep everybody from it until the commit.

        Call it before the project's row is locked: a writer of tasks may hold this lock and wait for the row.
        """
        self._session.execute(_LOCK_ALONE, {"project_id": project_id})

    def add(self, project: Project, *, member_id: int) -> None:
        """Add a project with its first member.

        Flushes, so that a taken key is an error here. Raises ProjectKeyTakenError.
        """
        self._session.add(project)
        try:
            self._session.flush()
        except IntegrityError as error:
            if violated_constraint(error) == "uq_projects_key":
                raise ProjectKeyTakenError("the project key is taken") from error
            raise
        self._session.add(ProjectMember(project_id=project.id, user_id=member_id))
        self._session.flush()

    def flush(self) -> None:
        """Write pending changes, so that SQL can read them."""
        self._session.flush()

    def take_task_numbers(self, project_id: int, count: int) -> int:
        """Reserve `count` numbers and return the last one before them. Locks the project's row until the commit.

        The lock that writers of the project's tasks share comes first, as for everybody who needs both.
        """
        self._session.execute(select(func.ensure_projects_are_open(array([project_id], type_=BigInteger))))
        statement = (
            update(Project)
            .where(Project.id == project_id)
            .values(last_task_number=Project.last_task_number + count)
            .returning(Project.last_task_number)
            .execution_options(synchronize_session=False)
        )
        last: int = self._session.execute(statement).scalar_one()
        return last - count

    def take_task_number(self, actor: Actor, key: str) -> tuple[int, int] | None:
        """Take the next number of a project that the actor may see: the project's id, and the number.

        None if there is no such project. The commit does not wait for the disk: a task with this number is on the disk
        only after everything that was written before it, so the number cannot be given twice.
        """
        values = {"key": in_capitals(key), **scope_parameters(actor)}
        rows = _take_number(anybody_like(actor)).rows(self._session, values)
        return (rows[0].id, rows[0].last_task_number) if rows else None

    def is_in(self, project: Project, user: User) -> bool:
        return project.includes_everyone or not self.list_keys_without(user, [project.id])

    def list_keys_without(self, user: User, project_ids: Collection[int]) -> Sequence[str]:
        """The keys of those projects that the user is not in. An admin is in every project."""
        if user.role is Role.ADMIN:
            return ()
        is_member = (
            select(ProjectMember.project_id)
            .where(ProjectMember.project_id == Project.id, ProjectMember.user_id == user.id)
            .exists()
        )
        statement = select(Project.key).where(Project.id.in_(project_ids), ~Project.includes_everyone, ~is_member)
        return self._session.scalars(statement.order_by(Project.key)).all()

    def list_named(self, project_id: int, names: Collection[str]) -> Sequence[Any]:
        """Rows of (id, username): the active users with these names, in small letters, who may see the project."""
        return _NAMED.rows(self._session, {"project_id": project_id, "names": [*names]})

    def add_member(self, project_id: int, user_id: int, *, at: datetime) -> bool:
        """False if the user was a member before. Otherwise the project has a new version."""
        return self.add_members(project_id, [user_id], at=at)

    def add_members(self, project_id: int, user_ids: Collection[int], *, at: datetime) -> bool:
        """False if all users were members before. Otherwise the project has a new version, one for all of them."""
        values = [{"project_id": project_id, "user_id": user_id} for user_id in sorted(set(user_ids))]
        statement = insert(ProjectMember).values(values).on_conflict_do_nothing().returning(ProjectMember.project_id)
        return self._raise_versions(set(self._session.scalars(statement)), at=at)

    def remove_member(self, project_id: int, user_id: int, *, at: datetime) -> bool:
        """False if the user was no member before. Otherwise the project has a new version."""
        is_meant = (ProjectMember.project_id == project_id, ProjectMember.user_id == user_id)
        statement = delete(ProjectMember).where(*is_meant).returning(ProjectMember.project_id)
        return self._raise_versions(self._session.scalars(statement).all(), at=at)

    def move_memberships(self, from_id: int, to_id: int, *, at: datetime) -> None:
        """Replace a user as a member of all their projects, which have a new version then.

        Locks the projects first, in the order of their ids. Lock the user before.
        """
        of_user = select(ProjectMember.project_id).where(ProjectMember.user_id == from_id)
        projects = select(Project.id).where(Project.id.in_(of_user)).order_by(Project.id)
        self._session.execute(projects.with_for_update(key_share=True))
        moved = self._session.scalars(_MOVE_MEMBERSHIPS, {"from_id": from_id, "to_id": to_id}).all()
        self._raise_versions(moved, at=at)

    def add_unclaimed_members(self, project_id: int, names: Collection[str]) -> bool:
        """Add the users who have no password and one of the names. True if one of them was no member before.

        The caller then ends its transaction with `note_new_members`. Raising the version here would lock the project's
        row for as long as the rest of the transaction takes.
        """
        return bool(self._session.scalars(_ADD_UNCLAIMED_MEMBERS, {"project_id": project_id, "names": [*names]}).all())

    def note_new_members(self, project_id: int, *, at: datetime) -> None:
        """Raise the version after `add_unclaimed_members`."""
        self._raise_versions([project_id], at=at)

    def _raise_versions(self, project_ids: Collection[int], *, at: datetime) -> bool:
        """Raise the versions of projects whose members have changed. False if there are none."""
        if not project_ids:
            return False
        values = {"version": Project.version + 1, "updated_at": at}
        statement = update(Project).where(Project.id.in_(project_ids)).values(values)
        self._session.execute(statement.execution_options(synchronize_session=False))
        return True

    def get_view(self, project_id: int) -> ProjectView:
        statement = select(json_text(PROJECT_FIELDS), Project.id, Project.version, *_COUNTS.c)
        json, id_, version, *counts = self._session.execute(
            statement.join_from(Project, _COUNTS, true()).where(Project.id == project_id)
        ).one()
        return ProjectView(json.encode(), id_, version, tuple(counts))

    def list_page(self, actor: Actor, *, archived: bool, cursor: str | None, limit: int) -> Page:
        """A page of the archived projects, or of the others."""
        statement = _visible_to(actor, select(json_text(PROJECT_SUMMARY_FIELDS), cast(Project.id, Text), Project.id))
        statement = statement.where(Project.archived_at.is_not(None) if archived else Project.archived_at.is_(None))
        if cursor is not None:
            statement = statement.where(Project.id > decode_cursor(cursor, "id", is_integer).id)
        rows = self._session.execute(statement.order_by(Project.id).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="id", total=None)

    def list_members(self, project_id: int, *, cursor: str | None, limit: int) -> Page:
        statement = (
            select(json_text(MEMBER_FIELDS), cast(User.id, Text), User.id)
            .join(ProjectMember, ProjectMember.user_id == User.id)
            .where(ProjectMember.project_id == project_id)
        )
        if cursor is not None:
            statement = statement.where(User.id > decode_cursor(cursor, "id", is_integer).id)
        rows = self._session.execute(statement.order_by(User.id).limit(limit + 1)).all()
        return page_of(rows, limit=limit, sort="id", total=None)


def project_ids_of_user() -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Two columns of a statement that reads users: the ids of a user's projects, and of the archived ones they see.

    An admin sees every project, and is in those that they are a member of.
    """
    is_member = (
        select(ProjectMember.project_id)
        .where(ProjectMember.user_id == User.id, ProjectMember.project_id == Project.id)
        .correlate(User, Project)
        .exists()
    )
    is_in = Project.includes_everyone | is_member
    ids = select(Project.id).where(is_in)
    archived_ids = select(Project.id).where(Project.archived_at.is_not(None), is_in | (User.role == Role.ADMIN))
    return (
        func.array(ids.scalar_subquery()).label("project_ids"),
        func.array(archived_ids.scalar_subquery()).label("archived_project_ids"),
    )


def _visible_to(actor: Actor, statement: AnySelect) -> AnySelect:
    """Every query of projects starts here, so none can forget who is asking."""
    return statement.where(is_in_scope(actor, Project.id))


@cache
def _take_number(actor: Actor) -> PlannedOnce:
    return PlannedOnce(
        update(Project)
        .where(Project.key == parameter("key", Text), is_in_scope(actor, Project.id))
        .values(last_task_number=Project.last_task_number + 1)
        .returning(Project.id, Project.last_task_number, func.set_config("synchronous_commit", "off", True))
    )
