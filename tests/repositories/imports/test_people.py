import pytest
from sqlalchemy import func, select

from app.models.people.user import Role, User
from app.models.projects.project import ProjectMember
from app.repositories.imports.batches import Person
from app.repositories.imports.people import ImportPeopleRepository
from tests.factories import general_project


class TestFind:
    @pytest.mark.parametrize("name", ["Ada", "ADA", "ada@example.org", "Ada@Example.ORG"])
    def test_somebody_is_found_by_name_or_address_in_any_case(self, repository, session, factories, name):
        ada = factories.User(username="aDa", email="ADA@example.org")

        found = repository.find(general_project(session).id, [name])

        assert found == {name: Person(ada.id, "ada", may_be_assigned=True)}

    def test_whom_nobody_knows_is_left_out(self, repository, session, factories):
        factories.User(username="ada")

        assert set(repository.find(general_project(session).id, ["ada", "grace", "ad", "ada "])) == {"ada"}

    def test_without_names_there_is_nobody(self, repository, session):
        assert repository.find(general_project(session).id, []) == {}

    def test_a_name_that_is_somebody_elses_address_means_whose_address_it_is(self, repository, session, factories):
        factories.User(username="ada@example.org", email=None, password_hash=None, is_active=False)
        ada = factories.User(username="ada", email="ada@example.org")

        found = repository.find(general_project(session).id, ["ada@example.org"])

        assert found["ada@example.org"].id == ada.id

    @pytest.mark.parametrize(
        ("values", "is_member", "may"),
        [
            ({}, False, False),
            ({}, True, True),
            ({"role": Role.MANAGER}, False, False),
            ({"role": Role.ADMIN}, False, True),
            ({"is_active": False}, True, True),
            ({"is_active": False, "password_hash": None}, False, True),
        ],
        ids=["another", "a member", "a manager", "an admin", "a member who left", "unclaimed"],
    )
    def test_who_may_be_assigned_in_a_project(self, repository, factories, project, values, is_member, may):
        user = factories.User(username="ada", **values)
        if is_member:
            factories.ProjectMember(project_id=project.id, user_id=user.id)

        assert repository.find(project.id, ["ada"])["ada"].may_be_assigned is may

    def test_everybody_may_be_where_everybody_is(self, repository, session, factories):
        factories.User(username="ada")

        assert repository.find(general_project(session).id, ["ada"])["ada"].may_be_assigned


class TestAdd:
    def test_the_first_spelling_becomes_an_inactive_user(self, repository, session):
        repository.add(["Grace", "GRACE", "grace", "Zoë"])

        made = session.scalars(select(User).where(User.password_hash.is_(None)).order_by(User.username)).all()
        assert [(user.username, user.role, user.is_active, user.email) for user in made] == [
            ("Grace", Role.USER, False, None),
            ("Zoë", Role.USER, False, None),
        ]

    def test_twice_is_once(self, repository, session):
        repository.add(["Grace"])
        repository.add(["GRACE"])

        assert session.scalar(select(func.count()).where(func.lower(User.username) == "grace")) == 1

    @pytest.mark.parametrize(
        "name", ["İpek", "STRASSE", "Straße", "ΟΔΥΣΣΕΥΣ", "Ǆ", "ﬁ", "e\u0301", "'; DROP", "{a,b}", '"', "\\"]
    )
    def test_whoever_was_made_is_found_by_the_name(self, repository, session, name):
        repository.add([name])

        assert set(repository.find(general_project(session).id, [name])) == {name}


class TestAddUnclaimedMembers:
    def test_whom_only_imports_know_is_in_the_project_from_then_on(self, repository, session, factories, project):
        grace = factories.User(username="Grace", password_hash=None, is_active=False)
        factories.User(username="ada")

        for _ in range(2):
            repository.add_unclaimed_members(project.id, ["GRACE", "ada", "nobody"])

        assert session.scalars(select(ProjectMember.user_id).where(ProjectMember.project_id == project.id)).all() == [
            grace.id
        ]

    def test_where_everybody_is_nobody_need_be_added(self, repository, session, factories):
        factories.User(username="Grace", password_hash=None, is_active=False)
        before = session.scalar(select(func.count()).select_from(ProjectMember))

        repository.add_unclaimed_members(general_project(session).id, ["Grace"])

        assert session.scalar(select(func.count()).select_from(ProjectMember)) == before


@pytest.fixture
def repository(session):
    return ImportPeopleRepository(session)


@pytest.fixture
def project(factories):
    """That not everybody is in."""
    return factories.Project()
