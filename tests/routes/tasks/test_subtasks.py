import pytest

from tests.routes.tasks.task_requests import TASKS, ids_of


class TestParent:
    def test_a_subtask_is_created_listed_and_detached(self, as_user, factories):
        parent = factories.Task()

        created = as_user.post(TASKS, json={"title": "Child", "parent": f"gen-{parent.number}"})
        assert (created.status_code, created.json["parent"]) == (201, f"GEN-{parent.number}")
        child_id = created.json["id"]
        assert ids_of(as_user.get(f"{TASKS}?parent={parent.id}")) == [child_id]
        assert ids_of(as_user.get(f"{TASKS}?parent=gen-{parent.number}")) == [child_id]
        assert ids_of(as_user.get(f"{TASKS}?parent=none")) == [parent.id]
        assert as_user.patch(f"{TASKS}/{child_id}", json={"parent": None}).json["parent"] is None

    @pytest.mark.parametrize("parent", ["", "OPS", "OPS-", "OPS-1-2", "me", 0, -1, 2**63, True, 1.5, [1], {"id": 1}])
    def test_what_names_no_task_is_refused(self, as_user, parent):
        response = as_user.post(TASKS, json={"title": "Child", "parent": parent})

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/parent")

    @pytest.mark.parametrize("parent", ["", "OPS", "nobody", "0", "9223372036854775808"])
    def test_a_filter_that_names_no_task_is_refused(self, as_user, parent):
        assert as_user.get(f"{TASKS}?parent={parent}").status_code == 422

    def test_an_unknown_parent_is_a_problem_of_its_field(self, as_user):
        response = as_user.post(TASKS, json={"title": "Child", "parent": "GEN-99999"})

        assert (response.status_code, response.json["detail"]) == (422, "parent: there is no task GEN-99999 in GEN")


class TestCascade:
    def test_closing_names_open_subtasks_and_closes_them_if_told(self, as_user, family):
        parent, child = family

        refused = as_user.patch(f"{TASKS}/{parent.id}/status", json={"status": "done"})
        assert (refused.status_code, refused.json["code"]) == (409, "open_subtasks")
        assert f"GEN-{child.number}" in refused.json["detail"]
        answer = as_user.patch(f"{TASKS}/{parent.id}/status?cascade=true", json={"status": "done"})
        assert (answer.status_code, answer.json["subtasks_done"]) == (200, 1)
        assert as_user.get(f"{TASKS}/{child.id}").json["status"] == "done"

    @pytest.mark.parametrize("method", ["put", "patch"])
    def test_every_way_to_close_a_task_asks(self, as_user, family, method):
        parent, _child = family
        body = {"title": "Parent", "status": "cancelled"}

        assert getattr(as_user, method)(f"{TASKS}/{parent.id}", json=body).status_code == 409
        assert getattr(as_user, method)(f"{TASKS}/{parent.id}?cascade=true", json=body).status_code == 200

    def test_deleting_asks_too(self, as_manager, family):
        parent, child = family

        refused = as_manager.delete(f"{TASKS}/{parent.id}")
        assert (refused.status_code, refused.json["code"]) == (409, "has_subtasks")
        assert as_manager.delete(f"{TASKS}/{parent.id}?cascade=true").status_code == 204
        assert as_manager.get(f"{TASKS}/{child.id}").json["deleted_at"] is not None

    def test_the_classic_api_says_so_in_its_own_words(self, as_manager, family):
        parent, child = family

        refused = as_manager.delete(f"/task/{parent.id}")
        assert refused.status_code == 409
        assert refused.json == {
            "error": f"GEN-{child.number} is below this task; move them first, or send cascade=true to delete them too"
        }

    def test_another_word_than_true_or_false_is_refused(self, as_user, family):
        assert as_user.patch(f"{TASKS}/{family[0].id}?cascade=maybe", json={"title": "x"}).status_code == 422


class TestPlan:
    def test_is_kept_as_sent(self, as_user):
        plan = {"start_on": "2027-03-01", "estimate": 2.5, "recurrence": "rrule:freq=weekly;byday=mo"}

        created = as_user.post(TASKS, json={"title": "Plan", "due_at": "2027-03-01T16:00:00Z", **plan})

        assert created.status_code == 201
        assert {name: created.json[name] for name in plan} == {**plan, "recurrence": "FREQ=WEEKLY;BYDAY=MO"}
        changed = as_user.patch(f"{TASKS}/{created.json['id']}", json=dict.fromkeys(plan))
        assert {name: changed.json[name] for name in plan} == dict.fromkeys(plan)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("start_on", value) for value in ("2027-02-30", "tomorrow", "2027-03-01T00:00:00Z", 5)),
            *(("estimate", value) for value in (-1, 1_000_001, "3", True, [1])),
            *(("recurrence", value) for value in ("", "every monday", "FREQ=HOURLY", 5, "FREQ=DAILY;" * 50)),
        ],
    )
    def test_what_it_cannot_be_is_refused(self, as_user, field, value):
        response = as_user.post(TASKS, json={"title": "Plan", "due_at": "2027-03-01", field: value})

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, f"/{field}")


@pytest.fixture
def family(factories):
    parent = factories.Task()
    return parent, factories.Task(parent_id=parent.id)
