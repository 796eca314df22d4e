"""What a project says of itself, and its members in bulk."""

import pytest
from marshmallow import ValidationError

from app.errors import ConflictError, InvalidError
from app.models.people.user import Role
from app.models.projects.project import LIMITED_STATUSES, MAX_PROJECT_DESCRIPTION_LENGTH, MAX_WIP_LIMIT
from app.models.tasks.fields import ACTIVE_STATUSES
from app.schemas.projects import ProjectPatch


class TestDetails:
    def test_are_kept_as_they_are_sent(self, service, boss):
        details = {"name": "Web", "description": "# Title", "color": "#1f6f5c", "wip_limits": {"todo": 3}}
        made = service.create(boss, key="WEB", **details).values

        assert {name: made[name] for name in details} == details
        assert made["archived_at"] is None

    def test_an_absent_detail_stays(self, service, boss, ops):
        service.change(boss, "OPS", color="#000000", wip_limits={"blocked": 1})
        changed = service.change(boss, "OPS", color=None).values

        assert (changed["color"], changed["wip_limits"], changed["version"]) == (None, {"blocked": 1}, 3)

    def test_a_list_leaves_out_descriptions(self, service, boss, ops):
        (_, summary) = service.list_page(boss, cursor=None, limit=9).items

        assert set(service.get(boss, "OPS").values) - set(summary) == {"description", "task_counts"}

    def test_limits_are_of_the_active_statuses(self):
        assert set(LIMITED_STATUSES) == set(ACTIVE_STATUSES)


class TestCounts:
    def test_stand_beside_the_limits(self, service, boss, ops, factories):
        for status in ("todo", "todo", "blocked", "done"):
            factories.Task(project_id=ops.id, status=status)
        factories.Task(project_id=ops.id, deleted_at="2026-03-09T12:00:00Z")
        factories.Task()

        assert service.get(boss, "OPS").values["task_counts"] == {"todo": 2, "in_progress": 0, "blocked": 1}

    def test_more_than_the_limit_is_refused_by_nothing(self, services, service, boss, ops):
        service.change(boss, "OPS", wip_limits={"todo": 1})
        for _ in range(2):
            services.tasks.create(boss, {"title": "One", "project": "OPS"})

        assert service.get(boss, "OPS").values["task_counts"]["todo"] == 2

    def test_outdate_what_a_client_keeps_but_not_what_it_wants_to_overwrite(self, service, boss, ops, factories):
        before = service.get(boss, "OPS")
        factories.Task(project_id=ops.id)
        after = service.get(boss, "OPS")

        assert before.freshness != after.freshness
        assert before.version == after.version


class TestInput:
    @pytest.mark.parametrize(
        ("sent", "loaded"),
        [
            ({"color": "#ABCDEF"}, {"color": "#abcdef"}),
            ({"color": None}, {"color": None}),
            ({"wip_limits": {}}, {"wip_limits": {}}),
            ({"wip_limits": {"todo": None, "blocked": 1}}, {"wip_limits": {"blocked": 1}}),
            ({"wip_limits": {"in_progress": MAX_WIP_LIMIT}}, {"wip_limits": {"in_progress": MAX_WIP_LIMIT}}),
            ({"description": ""}, {"description": ""}),
        ],
    )
    def test_is_accepted(self, sent, loaded):
        assert ProjectPatch().load(sent) == loaded

    @pytest.mark.parametrize(
        "sent",
        [
            {},
            {"color": "red"},
            {"color": "#12345"},
            {"color": "#12345g"},
            {"color": "#123456\n"},
            {"color": 1},
            {"wip_limits": None},
            {"wip_limits": []},
            {"wip_limits": {"done": 1}},
            {"wip_limits": {"todo": 0}},
            {"wip_limits": {"todo": MAX_WIP_LIMIT + 1}},
            {"wip_limits": {"todo": "3"}},
            {"wip_limits": {"todo": 1.5}},
            {"wip_limits": {"todo": True}},
            {"description": "x" * (MAX_PROJECT_DESCRIPTION_LENGTH + 1)},
            {"archived_at": None},
        ],
    )
    def test_is_refused(self, sent):
        with pytest.raises(ValidationError):
            ProjectPatch().load(sent)


class TestAddMembers:
    def test_all_of_them_with_one_new_version(self, service, boss, ops, factories):
        factories.User(username="ada", email="ada@example.org")
        factories.User(username="Ben")
        row = service.add_members(boss, "OPS", names=["ADA@example.org", "ben", "Ada"])

        assert row.version == 2
        assert members(service, boss) == ["ada", "Ben"]

    def test_again_changes_nothing(self, service, boss, ops, factories):
        factories.User(username="ada")
        first = service.add_members(boss, "OPS", names=["ada"])

        assert service.add_members(boss, "OPS", names=["ada"]).json == first.json

    def test_nobody_if_one_is_unknown(self, service, boss, ops, factories):
        factories.User(username="ada")

        with pytest.raises(InvalidError) as caught:
            service.add_members(boss, "OPS", names=["nobody", "ada", "none@example.org"])

        assert [problem.pointer for problem in caught.value.problems] == ["/members/0", "/members/2"]
        assert members(service, boss) == []

    def test_not_of_the_project_that_everybody_is_in(self, service, boss, factories):
        factories.User(username="ada")

        with pytest.raises(ConflictError):
            service.add_members(boss, "GEN", names=["ada"])

    def test_five_hundred_at_once(self, service, member, ops, factories):
        mia = member("mia", Role.MANAGER)
        names = [factories.User().username for _ in range(500)]

        service.add_members(mia, "OPS", names=names)

        assert len(members(service, mia)) == 200


def members(service, actor):
    return [row["username"] for row in service.list_members(actor, "OPS", cursor=None, limit=200).items]


@pytest.fixture
def service(services):
    return services.projects
