import pytest

from app.models.people.user import Role

PROJECTS = "/api/v1/projects"
SUMMARY_FIELDS = {
    "id",
    "key",
    "name",
    "color",
    "wip_limits",
    "includes_everyone",
    "archived_at",
    "created_at",
    "updated_at",
    "version",
}
FIELDS = {*SUMMARY_FIELDS, "description", "task_counts"}


class TestList:
    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_shows_the_projects_that_one_is_in(self, client, factories, ops, role):
        factories.Project(key="SECRET")
        member = factories.User(role=role)
        factories.ProjectMember(project_id=ops.id, user_id=member.id)

        response = client.acting_as(member).get(PROJECTS)

        assert response.status_code == 200
        assert [project["key"] for project in response.json["items"]] == ["GEN", "OPS"]
        assert set(response.json["items"][0]) == SUMMARY_FIELDS

    def test_shows_all_projects_to_an_admin(self, as_admin, ops):
        assert "OPS" in [project["key"] for project in as_admin.get(PROJECTS).json["items"]]

    def test_pages_join_without_gaps_or_duplicates(self, as_admin, factories):
        expected = [factories.Project().key for _ in range(5)]

        seen, path = [], f"{PROJECTS}?limit=2"
        while path:
            response = as_admin.get(path)
            seen += [project["key"] for project in response.json["items"]]
            path = response.headers.get("Link", "").partition(">")[0].removeprefix("<")

        assert seen == ["GEN", *expected]

    @pytest.mark.parametrize("query", ["limit=0", "limit=201", "cursor=garbage", "name=Ops"])
    def test_an_invalid_query_is_refused(self, as_admin, query):
        assert as_admin.get(f"{PROJECTS}?{query}").status_code == 422


class TestCreate:
    def test_the_creator_is_the_first_member(self, manager, as_manager):
        response = as_manager.post(PROJECTS, {"key": "WEB", "name": " The web "})

        assert response.status_code == 201
        assert set(response.json) == FIELDS
        names = ("key", "name", "includes_everyone")
        assert [response.json[name] for name in names] == ["WEB", "The web", False]
        members = as_manager.get(f"{PROJECTS}/WEB/members").json["items"]
        assert [member["username"] for member in members] == [manager.username]

    def test_accepts_tasks_at_once(self, as_manager):
        as_manager.get(PROJECTS)
        as_manager.post(PROJECTS, {"key": "WEB", "name": "Web"})

        response = as_manager.post("/api/v1/tasks", {"title": "First", "project": "WEB"})

        assert (response.status_code, response.json["ref"]) == (201, "WEB-1")

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_may_not(self, client, factories, role):
        response = client.acting_as(factories.User(role=role)).post(PROJECTS, {"key": "WEB", "name": "Web"})

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    def test_small_letters_of_a_key_become_capital(self, as_manager):
        response = as_manager.post(PROJECTS, {"key": "web2", "name": "Web"})

        assert (response.status_code, response.json["key"]) == (201, "WEB2")

    @pytest.mark.parametrize("key", ["OPS", "ops", "Ops"])
    def test_a_key_taken_by_an_invisible_project_is_refused(self, as_manager, ops, key):
        response = as_manager.post(PROJECTS, {"key": key, "name": "Mine"})

        assert (response.status_code, response.json["code"]) == (409, "project_key_taken")

    @pytest.mark.parametrize(
        ("body", "pointers"),
        [
            ({}, ["/key", "/name"]),
            ({"key": "W", "name": "Web"}, ["/key"]),
            ({"key": "1WEB", "name": "Web"}, ["/key"]),
            ({"key": "W" * 11, "name": "Web"}, ["/key"]),
            ({"key": "WEB\n", "name": "Web"}, ["/key"]),
            ({"key": "ÄÖ", "name": "Web"}, ["/key"]),
            ({"key": "ßa", "name": "Web"}, ["/key"]),
            ({"key": None, "name": "Web"}, ["/key"]),
            ({"key": "WEB", "name": ""}, ["/name"]),
            ({"key": "WEB", "name": " "}, ["/name"]),
            ({"key": "WEB", "name": "n" * 101}, ["/name"]),
            ({"key": "WEB", "name": "a\x00b"}, ["/name"]),
            ({"key": "WEB", "name": "Web", "includes_everyone": True}, ["/includes_everyone"]),
        ],
    )
    def test_an_invalid_value_is_refused_by_name(self, as_manager, body, pointers):
        response = as_manager.post(PROJECTS, body)

        assert response.status_code == 422
        assert sorted({problem["pointer"] for problem in response.json["errors"]}) == pointers


class TestShow:
    @pytest.mark.parametrize("key", ["OPS", "ops"])
    def test_a_member_sees_it_by_its_key_in_any_case(self, as_member, key):
        response = as_member.get(f"{PROJECTS}/{key}")

        assert response.status_code == 200
        assert (response.json["key"], response.json["name"]) == ("OPS", "Operations")

    def test_everybody_sees_the_project_that_everybody_is_in(self, as_stranger):
        assert as_stranger.get(f"{PROJECTS}/GEN").json["includes_everyone"] is True

    def test_a_stranger_does_not_learn_that_the_project_exists(self, as_stranger, ops):
        invisible = as_stranger.get(f"{PROJECTS}/OPS")
        missing = as_stranger.get(f"{PROJECTS}/OPT")

        assert (invisible.status_code, invisible.json["code"]) == (404, "not_found")
        assert invisible.json["detail"].replace("OPS", "OPT") == missing.json["detail"]

    def test_a_letter_whose_capitals_are_latin_is_not_those(self, as_admin, factories):
        factories.Project(key="SS")

        assert as_admin.get(f"{PROJECTS}/%C3%9F").status_code == 404
        assert as_admin.get("/api/v1/tasks?project=%C3%9F").status_code == 422

    @pytest.mark.parametrize("key", ["NONE", "x" * 3000, "%F0%9F%92%A9", "%FF", "'; --"])
    def test_an_unknown_project_is_not_found(self, as_admin, key):
        response = as_admin.get(f"{PROJECTS}/{key}")

        assert (response.status_code, response.json["code"]) == (404, "not_found")

    def test_a_key_with_a_nul_is_refused(self, as_admin):
        assert as_admin.get(f"{PROJECTS}/A%00").status_code == 400


class TestRename:
    def test_a_manager_of_the_project_may(self, as_manager_of_ops):
        response = as_manager_of_ops.patch(f"{PROJECTS}/OPS", {"name": "Operations and more"})

        assert (response.status_code, response.json["name"]) == (200, "Operations and more")
        assert as_manager_of_ops.get(f"{PROJECTS}/OPS").json == response.json

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_other_members_may_not(self, client, factories, ops, role):
        member = factories.User(role=role)
        factories.ProjectMember(project_id=ops.id, user_id=member.id)

        assert client.acting_as(member).patch(f"{PROJECTS}/OPS", {"name": "Mine"}).status_code == 403

    def test_a_manager_of_another_project_finds_nothing(self, as_manager, as_admin, ops):
        assert as_manager.patch(f"{PROJECTS}/OPS", {"name": "Mine"}).status_code == 404
        assert as_admin.get(f"{PROJECTS}/OPS").json["name"] == "Operations"

    def test_only_an_admin_renames_the_project_that_everybody_is_in(self, as_manager, as_admin):
        assert as_manager.patch(f"{PROJECTS}/GEN", {"name": "Ours"}).status_code == 403
        assert as_admin.patch(f"{PROJECTS}/GEN", {"name": "Everything else"}).json["name"] == "Everything else"

    @pytest.mark.parametrize(
        "body", [{}, {"name": ""}, {"name": None}, {"name": "n" * 101}, {"name": "Ops", "key": "OPT"}]
    )
    def test_an_invalid_name_is_refused(self, as_admin, ops, body):
        assert as_admin.patch(f"{PROJECTS}/OPS", body).status_code == 422


class TestMembers:
    def test_are_listed_with_their_roles(self, as_member, member):
        response = as_member.get(f"{PROJECTS}/OPS/members")

        assert response.status_code == 200
        [listed] = response.json["items"]
        assert set(listed) == {"id", "username", "role", "added_at"}
        assert (listed["id"], listed["username"], listed["role"]) == (member.id, member.username, "user")

    def test_a_stranger_does_not_see_them(self, as_stranger, ops):
        assert as_stranger.get(f"{PROJECTS}/OPS/members").status_code == 404

    def test_a_new_member_sees_the_project_at_once(self, as_manager_of_ops, as_stranger, stranger):
        assert as_stranger.get(f"{PROJECTS}/OPS").status_code == 404

        response = as_manager_of_ops.put(f"{PROJECTS}/OPS/members/{stranger.username.upper()}")

        assert (response.status_code, response.data) == (204, b"")
        assert as_stranger.get(f"{PROJECTS}/OPS").status_code == 200

    def test_adding_a_member_twice_changes_nothing(self, as_manager_of_ops, stranger):
        for _ in range(2):
            assert as_manager_of_ops.put(f"{PROJECTS}/OPS/members/{stranger.username}").status_code == 204

        members = as_manager_of_ops.get(f"{PROJECTS}/OPS/members").json["items"]
        assert [member["username"] for member in members].count(stranger.username) == 1

    def test_a_removed_member_no_longer_sees_the_project(self, as_manager_of_ops, as_member, member):
        assert as_member.get(f"{PROJECTS}/OPS").status_code == 200

        response = as_manager_of_ops.delete(f"{PROJECTS}/OPS/members/{member.username}")

        assert (response.status_code, response.data) == (204, b"")
        assert as_member.get(f"{PROJECTS}/OPS").status_code == 404

    def test_removing_a_stranger_changes_nothing(self, as_manager_of_ops, stranger):
        assert as_manager_of_ops.delete(f"{PROJECTS}/OPS/members/{stranger.username}").status_code == 204

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_an_unknown_user_is_reported(self, as_manager_of_ops, method):
        response = as_manager_of_ops.request(method, f"{PROJECTS}/OPS/members/nobody")

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == ["/username"]

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_a_member_who_is_not_a_manager_may_not(self, as_member, method, stranger):
        response = as_member.request(method, f"{PROJECTS}/OPS/members/{stranger.username}")

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_a_manager_cannot_join_another_project(self, as_manager, manager, ops, method):
        response = as_manager.request(method, f"{PROJECTS}/OPS/members/{manager.username}")

        assert (response.status_code, response.json["code"]) == (404, "not_found")
        assert as_manager.get(f"{PROJECTS}/OPS").status_code == 404

    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_the_members_of_the_project_that_everybody_is_in_are_fixed(self, as_admin, as_manager, member, method):
        by_admin = as_admin.request(method, f"{PROJECTS}/GEN/members/{member.username}")
        by_manager = as_manager.request(method, f"{PROJECTS}/GEN/members/{member.username}")

        assert (by_admin.status_code, by_admin.json["code"]) == (409, "conflict")
        assert by_manager.status_code == 403

    def test_an_admin_may_change_any_project(self, as_admin, ops, stranger):
        assert as_admin.put(f"{PROJECTS}/OPS/members/{stranger.username}").status_code == 204

    def test_are_listed_in_pages(self, as_admin, factories, ops):
        for _ in range(3):
            factories.ProjectMember(project_id=ops.id, user_id=factories.User().id)

        first = as_admin.get(f"{PROJECTS}/OPS/members?limit=2")
        second = as_admin.get(first.headers["Link"].partition(">")[0].removeprefix("<"))

        assert [len(page.json["items"]) for page in (first, second)] == [2, 1]
        assert second.json["next_cursor"] is None


@pytest.fixture
def ops(factories):
    return factories.Project(key="OPS", name="Operations")


@pytest.fixture
def member(factories, ops):
    user = factories.User()
    factories.ProjectMember(project_id=ops.id, user_id=user.id)
    return user


@pytest.fixture
def as_member(client, member):
    return client.acting_as(member)


@pytest.fixture
def as_manager_of_ops(client, factories, ops):
    user = factories.User(role=Role.MANAGER)
    factories.ProjectMember(project_id=ops.id, user_id=user.id)
    return client.acting_as(user)


@pytest.fixture
def stranger(factories):
    return factories.User()


@pytest.fixture
def as_stranger(client, stranger):
    return client.acting_as(stranger)
