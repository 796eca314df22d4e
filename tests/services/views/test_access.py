"""Who sees a view, who shares it, and who changes it."""

import pytest

from app.errors import ForbiddenError, InvalidError, NotFoundError
from app.models.people.user import User
from app.models.projects.project import ProjectMember
from tests.services.views.keeping import EVERYONE, PRIVATE, PROJECT, keep, seen


class TestSee:
    def test_a_private_view_exists_for_its_owner_alone(self, service, ann, chief, boss):
        view_id = keep(service, ann).id

        assert service.get(ann, view_id).values["owner"] == "ann"
        for other in (chief, boss):
            assert seen(service, other) == []
            for act in (service.get, service.delete, service.pin, service.unpin):
                with pytest.raises(NotFoundError):
                    act(other, view_id)
            with pytest.raises(NotFoundError):
                service.change(other, view_id, {"name": "Taken"})

    def test_members_see_a_view_of_their_project(self, service, ann, vera, boss, manager):
        view_id = keep(service, ann, PROJECT).id

        assert [seen(service, actor) for actor in (ann, vera, boss, manager)] == [[view_id]] * 3 + [[]]
        with pytest.raises(NotFoundError):
            service.get(manager, view_id)

    def test_everybody_sees_a_view_that_is_shared_with_everybody(self, service, chief, vera, boss, manager):
        view_id = keep(service, chief, EVERYONE).id

        assert [seen(service, actor) for actor in (chief, vera, boss, manager)] == [[view_id]] * 4

    def test_whoever_leaves_a_project_no_longer_sees_its_views(
        self, services, service, ann, vera, acting_as, session, boss
    ):
        view_id = keep(service, ann, PROJECT).id
        own = keep(service, ann).id
        services.projects.remove_member(boss, "OPS", username="ann")

        former = acting_as(session.get_one(User, ann.user_id))

        assert seen(service, former) == [own]
        with pytest.raises(NotFoundError):
            service.change(former, view_id, {"name": "Still mine"})
        assert seen(service, vera) == [view_id]

    def test_shared_views_of_a_deactivated_owner_stay(self, service, ann, chief, boss, session):
        view_id = keep(service, ann, PROJECT).id
        session.get_one(User, ann.user_id).is_active = False
        session.flush()

        assert service.change(chief, view_id, {"name": "Ours"}).values["name"] == "Ours"
        assert service.get(boss, view_id).values["owner"] == "ann"


class TestShare:
    @pytest.mark.parametrize(
        ("who", "visibility"), [("vera", PRIVATE), ("ann", PROJECT), ("chief", PROJECT), ("chief", EVERYONE)]
    )
    def test_who_may(self, request, service, who, visibility):
        view = keep(service, request.getfixturevalue(who), visibility).values

        assert (view["visibility"], view["project"]) == (visibility, "OPS" if visibility is PROJECT else None)

    @pytest.mark.parametrize(("who", "visibility"), [("vera", PROJECT), ("vera", EVERYONE), ("ann", EVERYONE)])
    def test_who_may_not(self, request, service, who, visibility):
        actor = request.getfixturevalue(who)
        private = keep(service, actor).id

        with pytest.raises(ForbiddenError):
            keep(service, actor, visibility)
        with pytest.raises(ForbiddenError):
            service.change(
                actor, private, {"visibility": visibility, "project": "OPS" if visibility is PROJECT else None}
            )

    def test_not_with_a_project_that_one_is_not_in(self, service, manager, ops):
        with pytest.raises(InvalidError, match="there is no project OPS"):
            keep(service, manager, PROJECT)

    @pytest.mark.parametrize(
        "values",
        [
            {"visibility": PROJECT},
            {"visibility": PROJECT, "project": None},
            {"visibility": PRIVATE, "project": "OPS"},
            {"visibility": EVERYONE, "project": "OPS"},
            {"project": "OPS"},
        ],
    )
    def test_a_project_belongs_to_one_visibility(self, service, chief, values):
        with pytest.raises(InvalidError, match="project"):
            service.create(chief, {"name": "Mine", **values})

    def test_a_view_can_be_made_private_again(self, service, ann, chief):
        view_id = keep(service, ann, PROJECT).id

        assert service.change(ann, view_id, {"visibility": PRIVATE}).values["project"] is None
        assert seen(service, chief) == []

    def test_only_its_owner_makes_a_view_private(self, service, ann, chief, boss):
        view_id = keep(service, ann, PROJECT).id

        for other in (chief, boss):
            with pytest.raises(ForbiddenError, match="only its owner"):
                service.change(other, view_id, {"visibility": PRIVATE})

    def test_an_owner_with_a_lower_role_still_changes_the_view(self, service, ann, session, acting_as):
        view_id = keep(service, ann, PROJECT).id
        user = session.get_one(User, ann.user_id)
        user.role = "viewer"
        session.flush()

        assert service.change(acting_as(user), view_id, {"name": "Other"}).values["name"] == "Other"


class TestChange:
    @pytest.mark.parametrize(
        ("visibility", "who", "may"),
        [
            (PROJECT, "ann", True),
            (PROJECT, "chief", True),
            (PROJECT, "boss", True),
            (PROJECT, "ben", False),
            (PROJECT, "vera", False),
            (EVERYONE, "boss", True),
            (EVERYONE, "chief", False),
            (EVERYONE, "ben", False),
            (EVERYONE, "manager", False),
        ],
    )
    def test_who_may_change_and_delete_a_shared_view(
        self, request, service, boss, ann, factories, ops, visibility, who, may
    ):
        view = factories.SavedView(
            owner_id=ann.user_id, visibility=visibility, project_id=ops.id if visibility is PROJECT else None
        )
        actor = request.getfixturevalue(who)

        if may:
            assert service.change(actor, view.id, {"name": "Other"}).values["version"] == 2
            service.delete(actor, view.id)
            assert seen(service, boss) == []
        else:
            with pytest.raises(ForbiddenError):
                service.change(actor, view.id, {"name": "Other"})
            with pytest.raises(ForbiddenError):
                service.delete(actor, view.id)

    @pytest.fixture
    def ben(self, factories, acting_as, ops):
        user = factories.User(username="ben")
        factories.ProjectMember(project_id=ops.id, user_id=user.id)
        return acting_as(user)


def test_a_membership_is_what_counts(session, ann, ops):
    """Otherwise the tests above would not show what a project hides."""
    assert session.get(ProjectMember, (ops.id, ann.user_id)) is not None
