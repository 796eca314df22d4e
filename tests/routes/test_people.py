import pytest

from app.models.people.user import Role
from tests.factories import PASSWORD

USERS = "/api/v1/users"
ME = "/api/v1/auth/me"
FIELDS = {
    "id",
    "username",
    "email",
    "role",
    "time_zone",
    "is_active",
    "is_service",
    "merged_into_id",
    "created_at",
    "updated_at",
    "version",
}
NEW_USER = {"username": "ann", "email": "ann@example.org", "password": PASSWORD, "role": "manager"}


class TestList:
    def test_managers_see_everybody_in_order_of_id(self, manager, factories):
        ids = [factories.User().id for _ in range(3)]

        response = manager.get(f"{USERS}?limit=200")

        assert response.status_code == 200
        listed = [user["id"] for user in response.json["items"]]
        assert listed == sorted(listed)
        assert set(ids) <= set(listed)
        assert set(response.json["items"][0]) == FIELDS

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_may_not(self, client, factories, role):
        response = client.acting_as(factories.User(role=role)).get(USERS)

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    @pytest.mark.parametrize(
        ("fragment", "found"), [("ALM", ["Salma"]), ("al", ["Salma", "al_b"]), ("%", []), ("l_b", ["al_b"])]
    )
    def test_searches_by_a_fragment_of_the_username(self, manager, factories, fragment, found):
        for username in ("Salma", "al_b", "Bob"):
            factories.User(username=username)

        response = manager.get(USERS, query_string={"q": fragment})

        assert [user["username"] for user in response.json["items"]] == found

    def test_pages_join_without_gaps_or_duplicates(self, manager, factories):
        expected = [factories.User(username=f"paged{number}").id for number in range(5)]

        seen, path = [], f"{USERS}?q=paged&limit=2"
        while path:
            response = manager.get(path)
            seen += [user["id"] for user in response.json["items"]]
            path = response.headers.get("Link", "").partition(">")[0].removeprefix("<")

        assert seen == expected

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=201", "limit=x", "cursor=garbage", "role=admin", "q=" + "a" * 65]
    )
    def test_an_invalid_query_is_refused(self, manager, query):
        response = manager.get(f"{USERS}?{query}")

        assert (response.status_code, response.json["code"]) == (422, "invalid")


class TestCreate:
    def test_an_admin_creates_a_user_with_a_role(self, as_admin, client):
        response = as_admin.post(USERS, {**NEW_USER, "time_zone": "Europe/Berlin"})

        assert response.status_code == 201
        assert set(response.json) == FIELDS
        names = ("username", "email", "role", "time_zone", "is_active")
        assert [response.json[name] for name in names] == ["ann", "ann@example.org", "manager", "Europe/Berlin", True]
        assert client.post("/api/v1/auth/login", {"username": "ann", "password": PASSWORD}).status_code == 200

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_nobody_else_may(self, client, factories, role):
        response = client.acting_as(factories.User(role=role)).post(USERS, NEW_USER)

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    @pytest.mark.parametrize(
        ("taken", "code"),
        [({"username": "ANN"}, "username_taken"), ({"username": "other", "email": "Ann@Example.org"}, "email_taken")],
    )
    def test_a_taken_name_or_address_is_refused_in_any_case(self, as_admin, taken, code):
        as_admin.post(USERS, NEW_USER)

        response = as_admin.post(USERS, {**NEW_USER, "email": "other@example.org", **taken})

        assert (response.status_code, response.json["code"]) == (409, code)

    def test_the_next_user_is_created_after_a_refusal(self, as_admin, factories):
        factories.User(username="Ann", email="another@example.org")
        assert as_admin.post(USERS, NEW_USER).status_code == 409

        assert as_admin.post(USERS, {**NEW_USER, "username": "ann2"}).status_code == 201

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"username": "7up"}, "/username"),
            ({"username": None}, "/username"),
            ({"email": "ann"}, "/email"),
            ({"email": None}, "/email"),
            ({"password": "eleven-char"}, "/password"),
            ({"password": "p" * 129}, "/password"),
            ({"password": "ann@example.org"}, "/password"),
            ({"role": "owner"}, "/role"),
            ({"role": None}, "/role"),
            ({"time_zone": "Mars/Olympus"}, "/time_zone"),
            ({"time_zone": "../etc/passwd"}, "/time_zone"),
            ({"is_admin": True}, "/is_admin"),
            ({"id": 7}, "/id"),
        ],
    )
    def test_an_invalid_value_is_refused_by_name(self, as_admin, changes, pointer):
        response = as_admin.post(USERS, {**NEW_USER, **changes})

        assert response.status_code == 422
        assert {problem["pointer"] for problem in response.json["errors"]} == {pointer}

    @pytest.mark.parametrize("missing", ["username", "email", "password", "role"])
    def test_every_field_is_required(self, as_admin, missing):
        response = as_admin.post(USERS, {name: value for name, value in NEW_USER.items() if name != missing})

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == [f"/{missing}"]


class TestShow:
    @pytest.mark.parametrize("role", list(Role))
    def test_everybody_sees_their_own_account(self, client, factories, role):
        user = factories.User(role=role)

        by_id = client.acting_as(user).get(f"{USERS}/{user.id}")
        as_me = client.acting_as(user).get(f"{USERS}/me")

        assert by_id.status_code == 200
        assert set(by_id.json) == FIELDS
        assert as_me.json == by_id.json

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_do_not_see_the_account_of_another_user(self, client, factories, role):
        other = factories.User()

        response = client.acting_as(factories.User(role=role)).get(f"{USERS}/{other.id}")

        assert (response.status_code, response.json["code"]) == (403, "forbidden")
        assert other.email not in response.text

    def test_managers_see_every_account(self, manager, factories):
        other = factories.User()

        assert manager.get(f"{USERS}/{other.id}").json["username"] == other.username

    @pytest.mark.parametrize(
        "unknown", ["999999999", "0", "-1", "9223372036854775808", "9" * 5000, "you", "me2", "1.5", "ME"]
    )
    def test_an_unknown_user_is_not_found(self, manager, unknown):
        response = manager.get(f"{USERS}/{unknown}")

        assert (response.status_code, response.json["code"]) == (404, "not_found")


class TestChange:
    @pytest.mark.parametrize(
        "changes",
        [
            {"username": "renamed"},
            {"email": "renamed@example.org"},
            {"role": "viewer"},
            {"time_zone": "Asia/Tokyo"},
            {"is_active": False},
            {"username": "renamed", "role": "manager"},
        ],
    )
    def test_only_the_named_fields_change(self, as_admin, user, changes):
        before = as_admin.get(f"{USERS}/{user.id}").json

        response = as_admin.patch(f"{USERS}/{user.id}", changes)

        assert response.status_code == 200
        assert response.json == {**before, **changes, "updated_at": response.json["updated_at"], "version": 2}
        assert as_admin.get(f"{USERS}/{user.id}").json == response.json

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_only_an_admin_may_even_for_ones_own_account(self, client, factories, role):
        user = factories.User(role=role)

        response = client.acting_as(user).patch(f"{USERS}/{user.id}", {"role": "admin"})

        assert (response.status_code, response.json["code"]) == (403, "forbidden")
        assert client.acting_as(user).get(ME).json["role"] == role

    def test_a_new_role_counts_at_once(self, as_admin, client, user):
        member = client.acting_as(user)
        assert member.get(USERS).status_code == 403

        as_admin.patch(f"{USERS}/{user.id}", {"role": "manager"})

        assert member.get(USERS).status_code == 200

    def test_a_new_password_ends_the_users_sessions(self, as_admin, client, user):
        member = client.acting_as(user)
        assert member.get(ME).status_code == 200

        as_admin.patch(f"{USERS}/{user.id}", {"password": "a brand new password"})

        assert member.get(ME).status_code == 401
        login = {"username": user.username, "password": "a brand new password"}
        assert client.post("/api/v1/auth/login", login).status_code == 200

    def test_a_new_password_for_oneself_keeps_this_session(self, as_admin):
        assert as_admin.patch(f"{USERS}/me", {"password": "a brand new password"}).status_code == 200

        assert as_admin.get(ME).status_code == 200

    def test_a_deactivated_user_can_be_activated_again(self, as_admin, client, user):
        as_admin.patch(f"{USERS}/{user.id}", {"is_active": False})

        response = as_admin.patch(f"{USERS}/{user.id}", {"is_active": True})

        assert response.json["is_active"] is True
        assert client.post("/api/v1/auth/login", {"username": user.username, "password": PASSWORD}).status_code == 200

    def test_a_user_made_by_an_import_needs_a_password_to_be_active(self, as_admin, factories):
        user = factories.User(email=None, password_hash=None, is_active=False)

        refused = as_admin.patch(f"{USERS}/{user.id}", {"is_active": True})
        claimed = as_admin.patch(
            f"{USERS}/{user.id}", {"is_active": True, "password": PASSWORD, "email": "claimed@example.org"}
        )

        assert refused.status_code == 422
        assert [problem["pointer"] for problem in refused.json["errors"]] == ["/password"]
        assert (claimed.status_code, claimed.json["is_active"]) == (200, True)

    @pytest.mark.parametrize(
        ("taken", "code"), [({"username": "ANN"}, "username_taken"), ({"email": "ANN@example.org"}, "email_taken")]
    )
    def test_a_taken_name_or_address_is_refused_in_any_case(self, as_admin, factories, user, taken, code):
        factories.User(username="ann", email="ann@example.org")

        response = as_admin.patch(f"{USERS}/{user.id}", taken)

        assert (response.status_code, response.json["code"]) == (409, code)

    def test_ones_own_name_does_not_count_as_taken(self, as_admin, factories):
        user = factories.User(username="ann")

        assert as_admin.patch(f"{USERS}/{user.id}", {"username": "Ann"}).json["username"] == "Ann"

    @pytest.mark.parametrize("change", [{"role": "manager"}, {"is_active": False}])
    def test_the_last_admin_stays_one(self, as_admin, admin, factories, change):
        factories.User(role=Role.ADMIN, is_active=False)

        response = as_admin.patch(f"{USERS}/me", change)

        assert (response.status_code, response.json["code"]) == (409, "last_admin")
        assert as_admin.get(ME).json["role"] == "admin"

    def test_one_of_two_admins_may_step_down(self, as_admin, factories):
        factories.User(role=Role.ADMIN)

        assert as_admin.patch(f"{USERS}/me", {"role": "user"}).status_code == 200
        assert as_admin.get(USERS).status_code == 403

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({}, ""),
            ({"username": None}, "/username"),
            ({"email": None}, "/email"),
            ({"is_active": None}, "/is_active"),
            ({"is_active": "false"}, "/is_active"),
            ({"role": "root"}, "/role"),
            ({"password": "eleven-char"}, "/password"),
            ({"password": "p" * 129}, "/password"),
            ({"surname": "Smith"}, "/surname"),
        ],
    )
    def test_an_invalid_value_is_refused_by_name(self, as_admin, user, changes, pointer):
        response = as_admin.patch(f"{USERS}/{user.id}", changes)

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == [pointer]

    def test_an_unknown_user_is_not_found(self, as_admin):
        response = as_admin.patch(f"{USERS}/999999999", {"role": "user"})

        assert (response.status_code, response.json["code"]) == (404, "not_found")


class TestDeactivate:
    def test_ends_the_sessions_and_keeps_the_name(self, as_admin, client, user):
        member = client.acting_as(user)
        assert member.get(ME).status_code == 200

        response = as_admin.delete(f"{USERS}/{user.id}")

        assert (response.status_code, response.data) == (204, b"")
        assert member.get(ME).status_code == 401
        assert as_admin.get(f"{USERS}/{user.id}").json["is_active"] is False

    def test_a_repeated_request_changes_nothing(self, as_admin, user):
        as_admin.delete(f"{USERS}/{user.id}")

        assert as_admin.delete(f"{USERS}/{user.id}").status_code == 204

    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_only_an_admin_may_even_for_ones_own_account(self, client, factories, role):
        user = factories.User(role=role)

        assert client.acting_as(user).delete(f"{USERS}/{user.id}").status_code == 403
        assert client.acting_as(user).get(ME).status_code == 200

    def test_the_last_admin_stays_one(self, as_admin):
        response = as_admin.delete(f"{USERS}/me")

        assert (response.status_code, response.json["code"]) == (409, "last_admin")

    def test_an_unknown_user_is_not_found(self, as_admin):
        assert as_admin.delete(f"{USERS}/999999999").status_code == 404


class TestTasksOfUser:
    def test_lists_the_tasks_assigned_to_the_user(self, client, factories, user):
        mine = factories.Task(assignee_id=user.id)
        factories.Task(creator_id=user.id)

        by_id = client.acting_as(user).get(f"{USERS}/{user.id}/tasks")
        as_me = client.acting_as(user).get(f"{USERS}/me/tasks")

        assert by_id.status_code == 200
        assert [task["id"] for task in by_id.json["items"]] == [mine.id]
        assert as_me.json == by_id.json

    def test_lists_only_visible_tasks(self, client, factories, user, manager):
        project = factories.Project()
        factories.ProjectMember(project_id=project.id, user_id=user.id)
        factories.Task(assignee_id=user.id, project_id=project.id)

        assert manager.get(f"{USERS}/{user.id}/tasks").json["items"] == []
        assert len(client.acting_as(user).get(f"{USERS}/me/tasks").json["items"]) == 1

    def test_accepts_the_filters_of_every_task_list(self, client, factories, user):
        for title, priority in (("One", "low"), ("Two", "high"), ("Three", "high")):
            factories.Task(title=title, priority=priority, assignee_id=user.id)

        response = client.acting_as(user).get(f"{USERS}/me/tasks?priority=high&sort=title&limit=1&include_total=true")

        assert [task["title"] for task in response.json["items"]] == ["Three"]
        assert response.json["total"] == 2
        next_page = client.acting_as(user).get(response.headers["Link"].partition(">")[0].removeprefix("<"))
        assert [task["title"] for task in next_page.json["items"]] == ["Two"]

    def test_a_view_applies_except_for_its_assignee(self, client, factories, user):
        for title, status in (("One", "todo"), ("Two", "done")):
            factories.Task(title=title, status=status, assignee_id=user.id)
        factories.Task(title="Of another", status="todo", assignee_id=factories.User(username="grace").id)
        as_user = client.acting_as(user)
        query = {"status": "todo", "assignee": "grace", "fields": "title", "sort": "title"}
        view_id = as_user.post("/api/v1/views", {"name": "Open", "query": query}).json["id"]

        assert as_user.get(f"{USERS}/me/tasks?view={view_id}").json["items"] == [{"title": "One"}]
        assert as_user.get(f"{USERS}/me/tasks?view={view_id}&status=done").json["items"] == [{"title": "Two"}]
        unseen = as_user.get(f"{USERS}/me/tasks?view=999999")
        assert (unseen.status_code, unseen.json["errors"][0]["pointer"]) == (422, "/view")

    @pytest.mark.parametrize("unknown", [999_999_999, 2**63])
    def test_an_unknown_user_has_no_tasks(self, manager, factories, unknown):
        factories.Task()

        assert manager.get(f"{USERS}/{unknown}/tasks").json == {"items": [], "next_cursor": None}


@pytest.fixture
def manager(client, factories):
    return client.acting_as(factories.User(role=Role.MANAGER))
