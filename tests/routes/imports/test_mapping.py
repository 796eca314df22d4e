"""What the words of a project's files mean, as the API shows and sets it."""

import pytest

from app.models.people.user import Role
from tests.routes.imports.uploads import upload

MAPPING = "/api/v1/projects/OPS/import-mapping"
MAPS = {
    "column_map": {"Titel": "title", "Größe": None},
    "status_map": {"This  Week": "doing"},
    "priority_map": {"P1": "critical"},
    "people_map": {"Ada L.": "ada@example.org", "nobody yet": None},
}
EMPTY = {"column_map": {}, "status_map": {}, "priority_map": {}, "people_map": {}}
FOLDED = {
    "column_map": {"titel": "title", "grösse": None},
    "status_map": {"this week": "in_progress"},
    "priority_map": {"p1": "critical"},
    "people_map": {"ada l.": "ada@example.org", "nobody yet": None},
}


class TestMapping:
    def test_is_set_shown_and_deleted(self, as_manager):
        before = as_manager.get(MAPPING)
        assert before.json == {**EMPTY, "updated_at": None, "version": 0}

        put = as_manager.put(MAPPING, MAPS)
        shown = as_manager.get(MAPPING.replace("OPS", "ops"))
        assert (put.status_code, shown.status_code) == (200, 200)
        assert put.json == shown.json == {**FOLDED, "updated_at": put.json["updated_at"], "version": 1}

        assert as_manager.delete(MAPPING).status_code == 204
        assert as_manager.delete(MAPPING).status_code == 204
        after = as_manager.get(MAPPING).json
        assert after == {**EMPTY, "updated_at": after["updated_at"], "version": 3}

    def test_is_changed_from_the_version_that_was_read(self, as_manager):
        tag = as_manager.get(MAPPING).headers["ETag"]

        first = as_manager.put(MAPPING, MAPS, headers={"If-Match": tag})
        second = as_manager.put(MAPPING, {}, headers={"If-Match": tag})

        assert (first.status_code, second.status_code) == (200, 412)
        assert as_manager.delete(MAPPING, headers={"If-Match": tag}).status_code == 412
        assert as_manager.get(MAPPING).json == first.json

    def test_an_absent_map_becomes_empty(self, as_manager):
        as_manager.put(MAPPING, MAPS)

        changed = as_manager.put(MAPPING, {"priority_map": {"P2": "high"}}).json

        assert (changed["status_map"], changed["people_map"]) == ({}, {})
        assert changed["priority_map"] == {"p2": "high"}

    def test_the_next_import_uses_it(self, as_manager):
        as_manager.put(MAPPING, MAPS)

        response = upload(as_manager, b"task_name,status\nOne,this week\n", project="OPS")

        assert (response.json["created_count"], response.json["status_map"]) == (1, FOLDED["status_map"])

    @pytest.mark.parametrize(
        ("maps", "pointer"),
        [
            ({"status_map": {"This week": "sometime"}}, "/status_map/This week/value"),
            ({"status_map": {"DONE": "todo"}}, "/status_map/DONE/key"),
            ({"status_map": {"true": "done"}}, "/status_map/true/key"),
            ({"priority_map": {"low": "high"}}, "/priority_map/low/key"),
            ({"status_map": "{}"}, "/status_map"),
            ({"people_map": {"Ada": "me\nyou"}}, "/people_map/Ada/value"),
            ({"colour_map": {}}, "/colour_map"),
            ({"column_map": {"Titel": "heading"}}, "/column_map/Titel/value"),
            ({"column_map": {"Titel": "id"}}, "/column_map/Titel/value"),
            ({"priority_map": {"x" * 201: "low"}}, f"/priority_map/{'x' * 201}/key"),
        ],
    )
    def test_an_invalid_map_is_refused(self, as_manager, maps, pointer):
        response = as_manager.put(MAPPING, maps)

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == [pointer]

    def test_a_word_of_our_own_may_be_named_with_its_meaning(self, as_manager):
        maps = {"status_map": {"Done": "done", "false": "done", "To do": "blocked"}, "priority_map": {"Low": "low"}}

        assert as_manager.put(MAPPING, maps).status_code == 200

    def test_an_import_may_not_change_a_word_of_our_own(self, as_manager):
        response = upload(as_manager, b"task_name\nOne\n", status_map='{"Done": "todo"}')

        assert response.status_code == 422
        assert response.json["errors"] == [
            {"pointer": "/status_map/Done/key", "detail": "Always means done: it is a word of our own."}
        ]

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_only_those_who_may_import_may_see_or_change_it(self, client, factories, ops, role):
        member = factories.User(role=role)
        factories.ProjectMember(project_id=ops.id, user_id=member.id)
        as_member = client.acting_as(member)

        answers = [as_member.get(MAPPING), as_member.put(MAPPING, MAPS), as_member.delete(MAPPING)]

        assert [answer.status_code for answer in answers] == [403] * 3

    def test_another_project_is_not_found(self, client, factories):
        outsider = client.acting_as(factories.User(role=Role.MANAGER))

        answers = [outsider.get(MAPPING), outsider.put(MAPPING, MAPS), outsider.delete(MAPPING)]

        assert [answer.status_code for answer in answers] == [404] * 3


@pytest.fixture(autouse=True)
def ops(factories, manager):
    project = factories.Project(key="OPS")
    factories.ProjectMember(project_id=project.id, user_id=manager.id)
    return project
