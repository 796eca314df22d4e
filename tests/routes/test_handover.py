"""The routes that hand over the tasks of a user."""

import pytest

USERS = "/api/v1/users"


class TestReassign:
    def test_answers_with_the_count(self, as_manager, factories, user):
        factories.Task(assignee_id=user.id)
        factories.User(username="ada")

        response = as_manager.post(f"{USERS}/{user.id}/reassign", {"to": "ada"})

        assert (response.status_code, response.json) == (200, {"task_count": 1})
        assert len(as_manager.get("/api/v1/tasks?assignee=ada").json["items"]) == 1

    def test_me_is_an_id_too(self, as_manager, manager, factories):
        factories.Task(assignee_id=manager.id)
        factories.User(username="ada")

        assert as_manager.post(f"{USERS}/me/reassign", {"to": "ada"}).json == {"task_count": 1}

    def test_a_repeated_request_with_a_key_gets_the_same_answer(self, as_manager, factories, user):
        factories.Task(assignee_id=user.id)
        factories.User(username="ada")
        headers = {"Idempotency-Key": "once"}

        answers = [as_manager.post(f"{USERS}/{user.id}/reassign", {"to": "ada"}, headers=headers) for _ in range(2)]

        assert [answer.json for answer in answers] == [{"task_count": 1}] * 2

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/to"),
            ({"to": None}, "/to"),
            ({"to": "nobody"}, "/to"),
            ({"to": "n" * 255}, "/to"),
            ({"to": "ada", "project": "no key"}, "/project"),
            ({"to": "ada", "project": "NONE"}, "/project"),
            ({"to": "ada", "only_active": "yes"}, "/only_active"),
            ({"to": "ada", "from": "ina"}, "/from"),
        ],
    )
    def test_an_invalid_value_is_refused_by_name(self, as_manager, user, factories, body, pointer):
        factories.User(username="ada")

        response = as_manager.post(f"{USERS}/{user.id}/reassign", body)

        assert response.status_code == 422
        assert [problem["pointer"] for problem in response.json["errors"]] == [pointer]

    def test_a_user_may_not(self, as_user, user):
        assert as_user.post(f"{USERS}/me/reassign", {"to": "ada"}).status_code == 403


class TestMerge:
    def test_answers_with_the_count(self, as_admin, factories, grace):
        ada = factories.User(username="ada")
        factories.Task(assignee_id=grace.id)

        response = as_admin.post(f"{USERS}/{grace.id}/merge", {"into": "ada"})

        assert (response.status_code, response.json) == (200, {"task_count": 1})
        assert as_admin.get(f"{USERS}/{grace.id}").json["merged_into_id"] == ada.id

    def test_an_account_of_its_own_is_refused(self, as_admin, user, factories):
        factories.User(username="ada")

        response = as_admin.post(f"{USERS}/{user.id}/merge", {"into": "ada"})

        assert (response.status_code, response.json["code"]) == (409, "cannot_be_merged")

    def test_a_merged_account_can_be_neither_changed_nor_deactivated(self, as_admin, factories, grace):
        factories.User(username="ada")
        as_admin.post(f"{USERS}/{grace.id}/merge", {"into": "ada"})

        path = f"{USERS}/{grace.id}"
        responses = [
            as_admin.patch(path, {"is_active": True, "password": "a brand new password"}),
            as_admin.delete(path),
        ]

        assert [(each.status_code, each.json["code"]) for each in responses] == [(409, "account_merged")] * 2

    @pytest.mark.parametrize(("body", "pointer"), [({}, "/into"), ({"into": "nobody"}, "/into"), ({"to": "x"}, "/to")])
    def test_an_invalid_value_is_refused_by_name(self, as_admin, grace, body, pointer):
        response = as_admin.post(f"{USERS}/{grace.id}/merge", body)

        assert response.status_code == 422
        assert pointer in {problem["pointer"] for problem in response.json["errors"]}

    def test_a_manager_may_not(self, as_manager, grace):
        assert as_manager.post(f"{USERS}/{grace.id}/merge", {"into": "ada"}).status_code == 403

    @pytest.fixture
    def grace(self, factories):
        return factories.User(username="Grace", email=None, password_hash=None, is_active=False)
