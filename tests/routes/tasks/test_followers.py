from app.models.people.user import Role
from tests.routes.tasks.task_requests import TASKS, UNKNOWN_ID


class TestFollowers:
    def test_follow_list_and_leave(self, as_user, user, task):
        me, followers = f"{TASKS}/{task.id}/followers/me", f"{TASKS}/{task.id}/followers"

        assert as_user.put(me).status_code == 204
        (item,) = [each for each in as_user.get(followers).json["items"] if each["username"] == user.username]
        assert (item["id"], item["reason"]) == (user.id, "followed")
        assert as_user.delete(me).status_code == 204
        assert user.id not in [each["id"] for each in as_user.get(followers).json["items"]]

    def test_has_a_link_to_the_next_page(self, as_user, as_admin, task):
        as_user.put(f"{TASKS}/{task.id}/followers/me")
        answer = as_admin.get(f"{TASKS}/gen-{task.number}/followers?limit=1")

        assert len(answer.json["items"]) == 1
        assert answer.headers["Link"].endswith('rel="next"')

    def test_a_viewer_may_follow(self, as_viewer, task):
        assert as_viewer.put(f"{TASKS}/{task.id}/followers/me").status_code == 204

    def test_refusals(self, client, as_user, factories, ops):
        hidden = factories.Task(project_id=ops.id)

        for method in ("PUT", "DELETE"):
            assert client.request(method, f"{TASKS}/{hidden.id}/followers/me").status_code == 401
            for task_id in (hidden.id, UNKNOWN_ID):
                assert as_user.request(method, f"{TASKS}/{task_id}/followers/me").status_code == 404
        assert as_user.get(f"{TASKS}/{hidden.id}/followers").status_code == 404

    def test_nobody_makes_others_follow(self, as_admin, factories, task):
        other = factories.User(role=Role.USER)

        assert as_admin.put(f"{TASKS}/{task.id}/followers/{other.id}").status_code == 404
