import pytest

from app.models.people.user import Role
from tests.routes.tasks.task_requests import TASKS, UNKNOWN_ID, ids_of


class TestDelete:
    def test_deletes_softly(self, as_manager, task):
        response = as_manager.delete(f"{TASKS}/{task.id}")

        assert (response.status_code, response.data) == (204, b"")
        assert ids_of(as_manager.get(TASKS)) == []
        assert ids_of(as_manager.get(f"{TASKS}?deleted=true")) == [task.id]

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_may_not(self, client, factories, task, role):
        response = client.acting_as(factories.User(role=role)).delete(f"{TASKS}/{task.id}")

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    def test_a_deleted_task_cannot_be_deleted_again(self, as_manager, task):
        as_manager.delete(f"{TASKS}/{task.id}")

        assert as_manager.delete(f"{TASKS}/{task.id}").status_code == 404


class TestRestore:
    def test_brings_the_task_back_unchanged(self, as_manager, full_task):
        before = as_manager.get(f"{TASKS}/{full_task.id}").json
        as_manager.delete(f"{TASKS}/{full_task.id}")

        response = as_manager.post(f"{TASKS}/{full_task.id}/restore")

        assert response.status_code == 200
        assert response.json == {**before, "updated_at": response.json["updated_at"], "version": 3}
        assert ids_of(as_manager.get(TASKS)) == [full_task.id]

    def test_only_a_deleted_task_can_be_restored(self, as_manager, task):
        assert as_manager.post(f"{TASKS}/{task.id}/restore").status_code == 404
        assert as_manager.post(f"{TASKS}/{UNKNOWN_ID}/restore").status_code == 404

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_may_not(self, client, factories, clock, role):
        task = factories.Task(deleted_at=clock())

        assert client.acting_as(factories.User(role=role)).post(f"{TASKS}/{task.id}/restore").status_code == 403
