"""Answers with some of the fields, and with objects in place of names."""

import pytest
from sqlalchemy import text

from app.models.people.user import Role
from tests.routes.tasks.task_requests import FIELDS, TASKS

PLANS = text("SELECT count(*) FROM pg_prepared_statements")


class TestFields:
    @pytest.mark.parametrize("path", ["/{id}", "/{ref}", "", "?as_of={now}"])
    def test_an_answer_has_only_these_in_the_usual_order(self, as_user, full_task, clock, path):
        place = path.format(id=full_task.id, ref=f"gen-{full_task.number}", now=clock().isoformat().replace("+", "%2B"))
        whole = shown(as_user.get(f"{TASKS}{place}"))

        some = shown(as_user.get(f"{TASKS}{place}{'&' if '?' in place else '?'}fields=title,id,ref,id"))

        assert list(some.items()) == [(name, whole[name]) for name in ("id", "ref", "title")]

    def test_each_field_can_be_had_alone(self, as_user, full_task):
        whole = as_user.get(f"{TASKS}/{full_task.id}").json

        alone = [as_user.get(f"{TASKS}/{full_task.id}?fields={name}").json for name in whole]

        assert alone == [{name: value} for name, value in whole.items()]
        assert set(whole) == FIELDS

    def test_a_list_is_sorted_filtered_and_counted_by_fields_that_it_does_not_show(self, as_user, factories):
        for title in ("B", "A", "C"):
            factories.Task(title=title, priority="high")
        factories.Task(title="D", priority="low")

        first = as_user.get(f"{TASKS}?fields=title&sort=-title&priority=high&limit=2&include_total=true").json
        rest = as_user.get(f"{TASKS}?fields=title&sort=-title&priority=high&limit=2&cursor={first['next_cursor']}").json

        assert (first["items"], first["total"]) == ([{"title": "C"}, {"title": "B"}], 3)
        assert rest["items"] == [{"title": "A"}]

    def test_the_tasks_of_a_user_have_them_too(self, client, factories):
        user = factories.User()
        factories.Task(assignee_id=user.id, title="Mine")

        response = client.acting_as(user).get("/api/v1/users/me/tasks?fields=title,assignee&expand=assignee")

        assert response.json["items"] == [
            {"title": "Mine", "assignee": {"id": user.id, "username": user.username}},
        ]

    def test_an_answer_keeps_the_version_as_its_etag(self, as_user, task):
        etag = as_user.get(f"{TASKS}/{task.id}").headers["ETag"]

        response = as_user.get(f"{TASKS}/{task.id}?fields=title")

        assert response.headers["ETag"] == etag
        assert as_user.patch(f"{TASKS}/{task.id}", {"title": "New"}, headers={"If-Match": etag}).status_code == 200

    @pytest.mark.parametrize(
        ("query", "detail"),
        [
            ("fields=id,colour", "There is no colour. Must be one of: id, ref, project, "),
            ("fields=ID", "There is no ID. "),
            ("expand=title", "There is no title. Must be one of: project, creator, assignee."),
            ("fields=id&expand=assignee", "assignee is not among the fields."),
        ],
    )
    def test_unknown_fields_are_refused_by_name(self, as_user, task, query, detail):
        for path in (f"{TASKS}/{task.id}", TASKS):
            response = as_user.get(f"{path}?{query}")

            assert response.status_code == 422
            assert response.json["errors"][0]["detail"].startswith(detail)

    def test_an_unknown_parameter_of_a_single_task_is_refused(self, as_user, task):
        assert as_user.get(f"{TASKS}/{task.id}?field=title").json["detail"] == "field: Unknown parameter."

    def test_an_export_takes_no_fields(self, as_user):
        assert as_user.get(f"{TASKS}/export?fields=title").status_code == 422

    def test_no_connection_keeps_a_plan_for_a_selection(self, as_user, task, session):
        as_user.get(f"{TASKS}/{task.id}")
        plans_before = session.scalar(PLANS)

        for name in sorted(FIELDS):
            as_user.get(f"{TASKS}/{task.id}?fields={name}")

        assert session.scalar(PLANS) == plans_before > 0


class TestExpand:
    @pytest.mark.parametrize("path", ["/{id}", "/{ref}", "", "?as_of={now}"])
    def test_an_object_stands_in_place_of_the_name(self, as_user, full_task, session, clock, path):
        place = path.format(id=full_task.id, ref=f"gen-{full_task.number}", now=clock().isoformat().replace("+", "%2B"))
        plain = shown(as_user.get(f"{TASKS}{place}"))

        task = shown(as_user.get(f"{TASKS}{place}{'&' if '?' in place else '?'}expand=assignee,project,creator"))

        assert task["assignee"] == {"id": full_task.assignee_id, "username": plain["assignee"]}
        assert task["creator"] == {"id": full_task.creator_id, "username": plain["creator"]}
        assert task["project"] == {"key": "GEN", "name": "General"}
        assert {**task, "assignee": None, "creator": None, "project": None} == {
            **plain,
            "assignee": None,
            "creator": None,
            "project": None,
        }

    def test_nobody_is_null(self, as_user, task):
        assert as_user.get(f"{TASKS}/{task.id}?fields=assignee&expand=assignee").json == {"assignee": None}

    def test_a_new_name_is_seen_at_once(self, as_admin, factories):
        project = factories.Project(key="OPS", name="Old")
        factories.Task(project_id=project.id)
        path = f"{TASKS}?fields=project&expand=project&project=ops"
        before = [as_admin.get(path).json["items"][0]["project"]["name"] for _ in range(2)]

        as_admin.patch("/api/v1/projects/ops", {"name": "New"})

        assert before == ["Old", "Old"]
        assert as_admin.get(path).json["items"][0]["project"]["name"] == "New"


class TestCache:
    def test_each_selection_has_an_entry_of_its_own(self, as_user, task):
        paths = [TASKS, f"{TASKS}?fields=id", f"{TASKS}?fields=title", f"{TASKS}?expand=creator"]

        first, second = ([as_user.get(path) for path in paths] for _ in range(2))

        assert [response.headers["X-Cache"] for response in first] == ["miss"] * 4
        assert [response.headers["X-Cache"] for response in second] == ["hit"] * 4
        assert [response.json for response in first] == [response.json for response in second]
        assert len({response.text for response in first}) == 4

    def test_the_order_of_the_names_makes_no_difference(self, as_user, task):
        as_user.get(f"{TASKS}?fields=id,title,project&expand=project")

        assert as_user.get(f"{TASKS}?fields=project,title,id&expand=project").headers["X-Cache"] == "hit"


class TestVisibility:
    def test_a_selection_shows_no_task_of_another_project(self, as_user, factories):
        hidden = factories.Task(project_id=factories.Project(key="SECRET").id)

        assert as_user.get(f"{TASKS}/{hidden.id}?fields=id").status_code == 404
        assert as_user.get(f"{TASKS}?fields=id&expand=project&fields=id").status_code == 422
        assert as_user.get(f"{TASKS}?fields=id").json["items"] == []

    def test_what_is_hidden_of_a_deleted_task_stays_hidden(self, client, factories, clock):
        task = factories.Task(description="secret", external_ref="SECRET-1")
        as_manager = client.acting_as(factories.User(role=Role.MANAGER))
        then = clock().isoformat().replace("+", "%2B")
        clock.advance(hours=1)
        as_manager.delete(f"{TASKS}/{task.id}")
        as_user = client.acting_as(factories.User())
        path = f"{TASKS}?as_of={then}&fields=description,external_ref"

        assert as_user.get(path).json["items"] == [{"description": "", "external_ref": None}]
        assert as_user.get(f"{path}&external_ref=SECRET-1").json["items"] == []
        assert as_user.get(f"{path}&q=secr").json["items"] == []
        assert as_manager.get(f"{path}&q=secr").json["items"] == [
            {"description": "secret", "external_ref": "SECRET-1"},
        ]


def shown(response):
    """The only task of the answer."""
    assert response.status_code == 200
    if "items" not in response.json:
        return response.json
    (task,) = response.json["items"]
    return task
