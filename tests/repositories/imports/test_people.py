import pytest
from sqlalchemy import func, select

from app.models.people.user import Role, User
from app.repositories.imports.batches import Person
from app.repositories.imports.people import ImportPeopleRepository
from tests.factories import general_project


class TestFind:
    @pytest.mark.parametrize("name", ["Ada", "ADA", "ada@example.org", "Ada@Example.ORG"])
    def test_a_user_is_found_by_name_or_address_in_any_case(self, repository, session, factories, name):
        ada = factories.User(username="aDa", email="ADA@example.org")

        people = repository.find(general_project(session).id, [name])

        assert people == {name: Person(ada.id, "ada", may_be_assigned=True)}

    def test_an_unknown_name_is_left_out(self, repository, session, factories):
        factories.User(username="ada")

        assert set(repository.find(general_project(session).id, ["ada", "grace", "ad", "ada "])) == {"ada"}

    def test_an_empty_list_of_names_finds_nobody(self, repository, session):
        assert repository.find(general_project(session).id, []) == {}

    def test_an_address_goes_before_a_name_that_equals_it(self, repository, session, factories):
        factories.User(username="ada@example.org", email=None, password_hash=None, is_active=False)
        ada = factories.User(username="ada", email="ada@example.org")

        people = repository.find(general_project(session).id, ["ada@example.org"])

        assert people["ada@example.org"].id == ada.id

    @pytest.mark.parametrize(
        ("values", "is_member", "is_allowed"),
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
    def test_who_may_be_assigned_in_a_project(self, repository, factories, project, values, is_member, is_allowed):
        user = factories.User(username="ada", **values)
        if is_member:
            factories.ProjectMember(project_id=project.id, user_id=user.id)

        assert repository.find(project.id, ["ada"])["ada"].may_be_assigned is is_allowed

    @pytest.mark.parametrize("is_member", [False, True])
    def test_a_service_account_is_assigned_only_in_its_projects(self, repository, factories, project, is_member):
        robot = factories.ServiceAccount(username="robot")
        if is_member:
            factories.ProjectMember(project_id=project.id, user_id=robot.id)

        assert repository.find(project.id, ["robot"])["robot"].may_be_assigned is is_member

    def test_everybody_may_be_assigned_in_the_project_that_everybody_is_in(self, repository, session, factories):
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

    def test_a_name_added_twice_becomes_one_user(self, repository, session):
        repository.add(["Grace"])
        repository.add(["GRACE"])

        assert session.scalar(select(func.count()).where(func.lower(User.username) == "grace")) == 1

    @pytest.mark.parametrize(
        "name", ["İpek", "STRASSE", "Straße", "ΟΔΥΣΣΕΥΣ", "Ǆ", "ﬁ", "e\u0301", "'; DROP", "{a,b}", '"', "\\"]
    )
    def test_a_new_user_is_found_by_the_name(self, repository, session, name):
        repository.add([name])

        assert set(repository.find(general_project(session).id, [name])) == {name}


@pytest.fixture
def repository(session):
    return ImportPeopleRepository(session)


@pytest.fixture
def project(factories):
    """A project that not everybody is in."""
    return factories.Project()
