import runpy

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.errors import HasSubtasksError, InvalidError, OpenSubtasksError
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.queries.tasks import Selection, TaskQuery
from tests.servers import ROOT


class TestParent:
    def test_is_named_by_id_or_ref(self, service, user, factories):
        parent = factories.Task()

        by_id = service.create(user, {"title": "By id", "parent": parent.id}).values
        by_ref = service.create(user, {"title": "By ref", "parent": f"GEN-{parent.number}"}).values

        assert by_id["parent"] == by_ref["parent"] == f"GEN-{parent.number}"

    def test_counts_its_subtasks_without_cancelled_and_deleted_ones(self, service, views, user, factories):
        parent = factories.Task()
        for status in TaskStatus:
            factories.Task(parent_id=parent.id, status=status)
        factories.Task(parent_id=parent.id, status=TaskStatus.DONE, deleted_at="2026-03-09T12:00:00Z")

        seen = views.get(user, parent.id).values
        assert (seen["subtask_count"], seen["subtasks_done"], seen["progress"]) == (4, 1, 25)
        without = views.get(user, factories.Task().id).values
        assert (without["subtask_count"], without["subtasks_done"], without["progress"]) == (0, 0, None)

    def test_is_as_it_was_in_a_list_of_the_past(self, service, views, user, clock, factories):
        parent, child = factories.Task(title="Parent"), factories.Task(title="Child")
        clock.advance(hours=1)
        service.change(user, child.id, {"parent": parent.id})
        before = clock()
        clock.advance(hours=1)
        service.change(user, child.id, {"status": TaskStatus.DONE, "parent": None})

        then = {item["title"]: item for item in views.list_page(user, TaskQuery(as_of=before))[0].items}
        assert then["Child"]["parent"] == f"GEN-{parent.number}"
        assert (then["Parent"]["subtask_count"], then["Parent"]["progress"]) == (1, 0)
        now = {item["title"]: item for item in views.list_page(user, TaskQuery())[0].items}
        assert (now["Child"]["parent"], now["Parent"]["subtask_count"]) == (None, 0)

    def test_lists_find_subtasks_and_tasks_without_a_parent(self, views, user, factories):
        parent = factories.Task(title="Parent")
        factories.Task(title="Child", parent_id=parent.id)

        def titles(parent):
            return [item["title"] for item in views.list_page(user, TaskQuery(parent=parent))[0].items]

        assert titles(parent.id) == titles(f"GEN-{parent.number}") == ["Child"]
        assert titles("none") == ["Parent"]
        assert titles("GEN-99999") == []

    def test_a_selection_without_counts_does_not_count(self, views, user, factories):
        task = factories.Task(title="Plain")

        assert views.get(user, task.id, Selection(("title",))).values == {"title": "Plain"}
        assert views.get(user, task.id, Selection(("progress",))).values == {"progress": None}

    def test_nobody_learns_of_a_parent_that_they_may_not_see(self, service, user, factories):
        secret = factories.Task(project_id=factories.Project().id)

        for key in (secret.id, 999_999):
            with pytest.raises(InvalidError, match=rf"there is no task {key} in GEN"):
                service.create(user, {"title": "One", "parent": key})

    def test_is_not_a_deleted_task(self, service, user, factories):
        deleted = factories.Task(deleted_at="2026-03-09T12:00:00Z")

        with pytest.raises(InvalidError, match="there is no task"):
            service.create(user, {"title": "One", "parent": deleted.id})

    @pytest.mark.parametrize("place", range(3))
    def test_is_not_below_itself(self, service, user, chain, place):
        with pytest.raises(InvalidError, match="below itself"):
            service.change(user, chain[0].id, {"parent": chain[place].id})

    def test_has_at_most_three_levels(self, service, user, factories, chain):
        with pytest.raises(InvalidError, match="more than 3 levels"):
            service.create(user, {"title": "Fourth", "parent": chain[2].id})
        with pytest.raises(InvalidError, match="more than 3 levels"):
            service.change(user, chain[0].id, {"parent": factories.Task().id})

    def test_the_history_tells_of_a_new_parent(self, services, user, factories):
        parent, child = factories.Task(), factories.Task()

        services.tasks.change(user, child.id, {"parent": parent.id})

        newest = services.task_history.list_page(user, child.id, cursor=None, limit=1).items[0]
        assert [(each.field, each.before, each.after) for each in newest.changes] == [
            ("parent", None, f"GEN-{parent.number}")
        ]

    def test_psql_cannot_break_the_tree(self, session, chain, factories):
        with pytest.raises(Exception, match="below itself, or more than three levels"):
            session.execute(
                text("UPDATE tasks SET parent_id = :last WHERE id = :first"),
                {"last": chain[2].id, "first": chain[0].id},
            )

    def test_a_task_that_is_removed_for_good_leaves_its_subtasks(self, session, chain):
        session.execute(text("DELETE FROM tasks WHERE id = :id"), {"id": chain[0].id})

        session.refresh(chain[1])
        assert chain[1].parent_id is None


class TestClosing:
    @pytest.mark.parametrize("status", [TaskStatus.DONE, TaskStatus.CANCELLED])
    def test_a_task_above_open_ones_stays_open(self, service, user, factories, session, chain, status):
        factories.Task(parent_id=chain[0].id, status=TaskStatus.DONE)

        with pytest.raises(OpenSubtasksError, match=rf"GEN-{chain[1].number}, GEN-{chain[2].number} are still open"):
            service.change(user, chain[0].id, {"status": status})

        session.refresh(chain[0])
        assert chain[0].status is TaskStatus.TODO

    def test_closes_all_of_them_if_told(self, service, user, factories, session, clock, chain):
        ended = factories.Task(parent_id=chain[0].id, status=TaskStatus.CANCELLED)

        service.change(user, chain[0].id, {"status": TaskStatus.DONE}, cascade=True)

        for task in (*chain, ended):
            session.refresh(task)
        assert [task.status for task in chain] == [TaskStatus.DONE] * 3
        assert [task.completed_at for task in chain] == [clock()] * 3
        assert (ended.status, ended.version) == (TaskStatus.CANCELLED, 1)

    def test_ended_subtasks_are_in_nobodys_way(self, service, user, factories):
        parent = factories.Task()
        factories.Task(parent_id=parent.id, status=TaskStatus.DONE)
        factories.Task(parent_id=parent.id, deleted_at="2026-03-09T12:00:00Z")

        assert service.change(user, parent.id, {"status": TaskStatus.DONE}).values["status"] == "done"

    def test_a_message_names_ten(self, service, user, factories):
        parent = factories.Task()
        for _ in range(12):
            factories.Task(parent_id=parent.id)

        with pytest.raises(OpenSubtasksError, match=r"(GEN-\d+, ){10}2 more are still open"):
            service.change(user, parent.id, {"status": TaskStatus.DONE})


class TestDeleting:
    def test_a_task_above_others_stays(self, service, boss, chain):
        with pytest.raises(HasSubtasksError, match=rf"GEN-{chain[2].number} is below this task"):
            service.delete(boss, chain[1].id)

    def test_deletes_all_of_them_if_told(self, service, boss, session, chain, clock):
        service.delete(boss, chain[0].id, cascade=True)

        for task in chain:
            session.refresh(task)
        assert [task.deleted_at for task in chain] == [clock()] * 3

    def test_psql_leaves_no_task_below_a_deleted_one(self, session, chain):
        session.execute(text("UPDATE tasks SET deleted_at = now() WHERE id = :id"), {"id": chain[0].id})

        with pytest.raises(IntegrityError, match="there are tasks below the deleted task"):
            session.execute(text("SET CONSTRAINTS check_deleted_task IMMEDIATE"))

    def test_tasks_that_were_below_a_deleted_one_before_this_rule_stand_by_themselves(self, session, chain):
        session.execute(text("UPDATE tasks SET deleted_at = now() WHERE id = :id"), {"id": chain[0].id})

        free = runpy.run_path(str(ROOT / "migrations/versions/2026_11_28_free_restored.py"))["FREE"]
        for _ in range(2):
            session.execute(text(free))

        session.execute(text("SET CONSTRAINTS check_deleted_task IMMEDIATE"))
        for task in chain:
            session.refresh(task)
        assert [task.parent_id for task in chain] == [None, None, chain[1].id]


class TestMoving:
    def test_takes_the_subtasks_along(self, service, boss, session, factories, chain):
        factories.Task(parent_id=chain[0].id, deleted_at="2026-03-09T12:00:00Z")
        project = factories.Project(key="OPS")

        view = service.change(boss, chain[0].id, {"project": "OPS"})

        for task in chain:
            session.refresh(task)
        assert {task.project_id for task in chain} == {project.id}
        assert sorted(task.number for task in chain) != [task.number for task in chain[:1]] * 3
        assert view.values["ref"] == f"OPS-{chain[0].number}"
        assert len({task.number for task in chain}) == 3

    def test_a_tree_that_would_be_too_deep_stays(self, service, boss, factories, chain):
        project = factories.Project(key="OPS")
        above = factories.Task(project_id=project.id)

        with pytest.raises(InvalidError, match="more than 3 levels"):
            service.change(boss, chain[0].id, {"project": "OPS", "parent": above.id})

    def test_a_deleted_subtask_is_in_nobodys_way(self, service, boss, factories):
        parent = factories.Task()
        factories.Task(parent_id=parent.id, deleted_at="2026-03-09T12:00:00Z", assignee_id=factories.User().id)
        factories.Project(key="OPS")

        assert service.change(boss, parent.id, {"project": "OPS"}).values["project"] == "OPS"

    def test_the_history_keeps_the_refs_of_then(self, services, boss, factories, chain):
        factories.Project(key="OPS")
        before = f"GEN-{chain[1].number}"

        services.tasks.change(boss, chain[0].id, {"project": "OPS"})

        newest, *_older, created = services.task_history.list_page(boss, chain[2].id, cursor=None, limit=5).items
        assert next(each.after for each in created.changes if each.field == "parent") == before
        assert next(each.after for each in newest.changes if each.field == "parent").startswith("OPS-")

    def test_a_subtask_moves_alone_only_without_its_parent(self, service, boss, session, factories, chain):
        factories.Project(key="OPS")

        with pytest.raises(InvalidError, match="set its parent to null"):
            service.change(boss, chain[2].id, {"project": "OPS"})

        assert service.change(boss, chain[2].id, {"project": "OPS", "parent": None}).values["project"] == "OPS"

    def test_the_assignees_of_subtasks_must_be_in_the_project(self, service, boss, factories, chain, session):
        stranger = factories.User(username="grace")
        chain[2].assignee_id = stranger.id
        session.flush()
        factories.Project(key="OPS")

        with pytest.raises(InvalidError, match="the assignee grace of a subtask is not an active user in OPS"):
            service.change(boss, chain[0].id, {"project": "OPS"})


class TestPlanning:
    def test_a_rule_needs_a_deadline(self, service, user, factories):
        with pytest.raises(InvalidError, match="recurrence: needs a deadline"):
            service.create(user, {"title": "One", "recurrence": "FREQ=DAILY"})
        task = factories.Task(due_at="2026-03-09T12:00:00Z", recurrence="FREQ=DAILY")
        with pytest.raises(InvalidError, match="recurrence: needs a deadline"):
            service.change(user, task.id, {"due_at": None})


@pytest.fixture
def chain(factories):
    """Three tasks, each below the one before."""
    first = factories.Task()
    second = factories.Task(parent_id=first.id)
    return [first, second, factories.Task(parent_id=second.id)]


@pytest.fixture
def service(services):
    return services.tasks


@pytest.fixture
def views(services):
    return services.task_views


@pytest.fixture
def user(factories, acting_as):
    return acting_as(factories.User(role=Role.USER))
