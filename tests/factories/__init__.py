"""Valid rows by default. `factories.Task(title="…")` in a test names only what matters to it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import factory
from factory.alchemy import SQLAlchemyModelFactory
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.auth.api_tokens import digest_of, new_token
from app.auth.passwords import hash_password
from app.models.comments.comment import Comment as CommentModel
from app.models.login.api_token import ApiToken as ApiTokenModel
from app.models.login.api_token import TokenScope
from app.models.login.session import LoginSession as LoginSessionModel
from app.models.people.user import Role
from app.models.people.user import User as UserModel
from app.models.projects.project import Project as ProjectModel
from app.models.projects.project import ProjectMember as ProjectMemberModel
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task as TaskModel
from app.models.views import SavedView as SavedViewModel
from app.models.views import ViewLayout, ViewVisibility
from app.repositories.projects import ProjectRepository

PASSWORD = "correct horse battery"
# Hashed once, because each hash takes tens of milliseconds on purpose.
PASSWORD_HASH = hash_password(PASSWORD)


class Base(SQLAlchemyModelFactory):
    class Meta:
        abstract = True
        sqlalchemy_session_persistence = "flush"


class User(Base):
    class Meta:
        model = UserModel

    username = factory.Sequence(lambda n: f"user{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")
    password_hash = PASSWORD_HASH
    role = Role.USER
    is_active = True


class ServiceAccount(User):
    email = None
    password_hash = None
    is_service = True


class Project(Base):
    class Meta:
        model = ProjectModel

    key = factory.Sequence(lambda n: f"P{n}")
    name = factory.LazyAttribute(lambda project: f"Project {project.key}")
    last_task_number = 0
    includes_everyone = False


class ProjectMember(Base):
    class Meta:
        model = ProjectMemberModel


class LoginSession(Base):
    class Meta:
        model = LoginSessionModel

    id = factory.LazyFunction(uuid4)
    refresh_id = factory.LazyFunction(uuid4)
    expires_at = factory.LazyFunction(lambda: datetime.now(UTC) + timedelta(days=1))


class ApiToken(Base):
    """A token with every scope by default. Pass `token` to know its text."""

    class Meta:
        model = ApiTokenModel

    class Params:
        token = factory.LazyFunction(new_token)

    name = factory.Sequence(lambda n: f"Script {n}")
    digest = factory.LazyAttribute(lambda api_token: digest_of(api_token.token))
    scopes = factory.LazyFunction(lambda: [scope.value for scope in TokenScope])
    expires_at = factory.LazyFunction(lambda: datetime.now(UTC) + timedelta(days=1))


class Task(Base):
    """A task in GEN, created by a user of its own by default."""

    class Meta:
        model = TaskModel

    title = factory.Sequence(lambda n: f"Task {n}")
    description = ""
    status = TaskStatus.TODO
    priority = TaskPriority.MEDIUM
    labels = factory.LazyFunction(list)
    project_id = factory.LazyFunction(lambda: general_project(Task._meta.sqlalchemy_session).id)
    creator_id = factory.LazyFunction(lambda: User().id)
    position = factory.LazyAttribute(lambda task: float(task.number))

    @factory.lazy_attribute
    def number(self) -> int:
        # As the app does: the number is not a part of the project's version.
        return ProjectRepository(Task._meta.sqlalchemy_session).take_task_numbers(self.project_id, 1) + 1


class Comment(Base):
    """A comment without mentions, whose HTML is its text."""

    class Meta:
        model = CommentModel

    body = factory.Sequence(lambda n: f"Comment {n}")
    body_html = factory.LazyAttribute(lambda comment: f"<p>{comment.body}</p>\n")


def general_project(session: Session) -> ProjectModel:
    return session.scalars(select(ProjectModel).where(ProjectModel.key == "GEN")).one()


class SavedView(Base):
    """A private view of every task, kept by a user of its own by default."""

    class Meta:
        model = SavedViewModel

    name = factory.Sequence(lambda n: f"View {n}")
    owner_id = factory.LazyFunction(lambda: User().id)
    query = factory.LazyFunction(dict)
    layout = ViewLayout.LIST
    visibility = ViewVisibility.PRIVATE


ALL = (User, ServiceAccount, Project, ProjectMember, LoginSession, ApiToken, Task, Comment, SavedView)


def bind(session: Session) -> None:
    for each in ALL:
        each._meta.sqlalchemy_session = session
