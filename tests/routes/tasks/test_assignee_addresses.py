"""Where a username names an assignee, the email address of the account does too."""

import pytest

from app.models.people.user import Role

TASKS = "/api/v1/tasks"


class TestWrite:
    @pytest.mark.parametrize("address", ["ada@example.org", "ADA@Example.Org"])
    def test_an_address_in_any_case_means_its_account(self, member, ada, address):
        created = member.post(TASKS, {"title": "One", "assignee": address}).json
        unassigned = member.post(TASKS, {"title": "Two"}).json

        changed = member.patch(f"{TASKS}/{unassigned['id']}", {"assignee": address}).json

        assert (created["assignee"], changed["assignee"]) == (ada.username, ada.username)

    def test_it_may_be_longer_than_a_username(self, member, factories):
        bob = factories.User(email="b" * 100 + "@example.org")

        assert member.post(TASKS, {"title": "One", "assignee": bob.email}).json["assignee"] == bob.username

    def test_the_address_of_the_present_assignee_changes_nothing(self, member, ada):
        task = member.post(TASKS, {"title": "One", "assignee": ada.username}).json

        again = member.patch(f"{TASKS}/{task['id']}", {"assignee": ada.email})

        assert again.json["version"] == task["version"]

    def test_an_address_means_the_account_and_not_somebody_with_that_name(self, member, ada, factories):
        namesake = factories.User(username=ada.email)
        task = factories.Task(assignee_id=namesake.id)

        changed = member.patch(f"{TASKS}/{task.id}", {"assignee": ada.email})

        assert changed.json["assignee"] == ada.username

    def test_the_classic_api_accepts_it(self, client, factories, ada):
        manager = client.acting_as(factories.User(role=Role.MANAGER))

        created = manager.post("/task", {"task_name": "One", "assigned_user": ada.email})

        assert created.status_code == 201
        assert manager.get(f"{TASKS}/{created.json['id']}").json["assignee"] == ada.username

    def test_unknown_inactive_and_outside_addresses_are_refused_with_one_message(self, client, factories):
        project = factories.Project(key="OPS")
        insider = factories.User(role=Role.USER)
        factories.ProjectMember(project_id=project.id, user_id=insider.id)
        outsider = factories.User(email="outsider@example.org")
        inactive = factories.User(email="inactive@example.org", is_active=False)
        factories.ProjectMember(project_id=project.id, user_id=inactive.id)

        member = client.acting_as(insider)
        for address in (outsider.email, inactive.email, "nobody@example.org"):
            refused = member.post(TASKS, {"title": "One", "project": "OPS", "assignee": address})

            assert refused.status_code == 422
            assert refused.json["errors"] == [
                {"pointer": "/assignee", "detail": f"there is no active user {address} in OPS"}
            ]


class TestFilter:
    def test_an_address_selects_the_tasks_of_its_account(self, member, ada, factories):
        factories.Task(title="Hers", assignee_id=ada.id)
        factories.Task(title="Made by her", creator_id=ada.id)

        assert titles(member, f"assignee={ada.email.upper()}") == ["Hers"]
        assert titles(member, f"creator={ada.email}") == ["Made by her"]
        assert titles(member, "assignee=nobody@example.org") == []

    def test_it_selects_rows_of_the_daily_log(self, member, services, admin, acting_as, ada, factories):
        factories.Task(title="Hers", assignee_id=ada.id)
        factories.Task(title="Nobody's")
        services.daily_log.request_day(acting_as(admin), None)
        services.daily_log.log_due_days()

        rows = member.get(f"/api/v1/task-logs?assignee={ada.email}").json["items"]

        assert [row["title"] for row in rows] == ["Hers"]


def titles(client, query):
    return [task["title"] for task in client.get(f"{TASKS}?{query}").json["items"]]


@pytest.fixture
def ada(factories):
    return factories.User(username="ada", email="Ada@example.org")


@pytest.fixture
def member(client, factories):
    return client.acting_as(factories.User(role=Role.USER))
