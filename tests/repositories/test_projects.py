import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.auth.actor import Actor
from app.models.people.user import Role
from app.models.projects.project import DEFAULT_PROJECT_KEY, Project, ProjectMember
from app.repositories.projects import ProjectRepository
from tests import factories as all_factories
from tests.factories import general_project


class TestGetForUpdate:
    def test_tasks_can_be_created_in_a_locked_project(self, repository, engine):
        anybody = Actor(1, "anybody", Role.ADMIN, frozenset())
        assert repository.get_for_update(anybody, DEFAULT_PROJECT_KEY) is not None

        with Session(engine) as other:
            other.execute(text("SET LOCAL lock_timeout = '1s'"))
            all_factories.bind(other)
            all_factories.Task(project_id=1, number=1, creator_id=all_factories.User().id)
            other.rollback()


class TestIsIn:
    @pytest.mark.parametrize("role", Role)
    def test_only_members_and_admins_are_in_a_project(self, repository, factories, project, role):
        user, other = factories.User(role=role), factories.Project()
        factories.ProjectMember(project_id=other.id, user_id=user.id)

        assert repository.is_in(other, user)
        assert repository.is_in(project, user) is (role is Role.ADMIN)
        keys = [] if role is Role.ADMIN else [project.key]
        assert [*repository.list_keys_without(user, [project.id, other.id])] == keys

    def test_everybody_is_in_the_general_project(self, repository, session, factories):
        general = general_project(session)

        assert repository.is_in(general, factories.User())
        assert [*repository.list_keys_without(factories.User(), [general.id])] == []


class TestMoveMemberships:
    def test_exactly_the_projects_of_the_user_have_a_new_version(self, repository, session, factories, project, clock):
        grace, ada = factories.User(), factories.User()
        both, other = factories.Project(), factories.Project()
        for of, user in ((project, grace), (both, grace), (both, ada), (other, ada)):
            factories.ProjectMember(project_id=of.id, user_id=user.id)

        repository.move_memberships(grace.id, ada.id, at=clock())

        assert versions(session, project, both, other) == [2, 2, 1]
        assert session.get_one(Project, both.id).updated_at == clock()
        assert session.scalars(select(ProjectMember.user_id)).all() == [ada.id] * 3


class TestAddUnclaimedMembers:
    def test_unclaimed_users_become_members_of_the_project(self, repository, session, factories, project):
        grace = factories.User(username="Grace", password_hash=None, is_active=False)
        factories.User(username="ada")

        answers = [repository.add_unclaimed_members(project.id, ["GRACE", "ada", "nobody"]) for _ in range(2)]

        assert answers == [True, False]
        assert session.scalars(select(ProjectMember.user_id).where(ProjectMember.project_id == project.id)).all() == [
            grace.id
        ]

    def test_a_service_account_becomes_no_member(self, repository, session, factories, project):
        robot = factories.ServiceAccount(username="robot")

        repository.add_unclaimed_members(project.id, ["robot"])

        assert session.get(ProjectMember, (project.id, robot.id)) is None

    def test_nobody_is_added_to_the_project_that_everybody_is_in(self, repository, session, factories):
        factories.User(username="Grace", password_hash=None, is_active=False)
        before = session.scalar(select(func.count()).select_from(ProjectMember))

        repository.add_unclaimed_members(general_project(session).id, ["Grace"])

        assert session.scalar(select(func.count()).select_from(ProjectMember)) == before


def versions(session, *projects):
    return [session.get_one(Project, project.id, populate_existing=True).version for project in projects]


@pytest.fixture
def repository(session):
    return ProjectRepository(session)


@pytest.fixture
def project(factories):
    return factories.Project()
