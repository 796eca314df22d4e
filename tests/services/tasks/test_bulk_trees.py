"""Many changes at once, and a move, where there are tasks below, rules of recurrence and archived projects."""

import pytest

from app.errors import BulkRefusedError, HasSubtasksError, InvalidError, OpenSubtasksError, ProjectArchivedError
from app.job_queue import JobName
from app.models.tasks.fields import TaskStatus
from app.queries.tasks import TaskQuery
from app.services.tasks.bulk import BulkItem, Verb

DONE = TaskStatus.DONE


class TestClosing:
    @pytest.mark.parametrize("item", [(Verb.PATCH, {"status": DONE}), (Verb.MOVE, {"status": DONE})])
    def test_a_task_above_open_ones_stays_open(self, change, boss, session, chain, item):
        (outcome,) = change(boss, (chain[0].id, *item), is_atomic=False)

        assert isinstance(outcome.error, OpenSubtasksError)
        assert f"GEN-{chain[1].number}, GEN-{chain[2].number} are still open" in outcome.error.detail
        session.refresh(chain[0])
        assert chain[0].status is TaskStatus.TODO

    def test_one_request_closes_a_whole_tree(self, change, boss, session, chain):
        change(boss, *((task.id, Verb.PATCH, {"status": DONE}) for task in chain))

        for task in chain:
            session.refresh(task)
        assert [task.status for task in chain] == [DONE] * 3

    def test_all_or_nothing_names_the_item(self, change, boss, chain, factories):
        other = factories.Task()

        with pytest.raises(BulkRefusedError) as caught:
            change(boss, (other.id, Verb.PATCH, {"title": "New"}), (chain[0].id, Verb.PATCH, {"status": DONE}))

        assert [type(item.error) for item in caught.value.items] == [type(None), OpenSubtasksError]

    def test_a_move_asks_too(self, services, boss, session, chain):
        with pytest.raises(OpenSubtasksError):
            services.task_order.move(boss, chain[0].id, {"status": DONE})

        services.task_order.move(boss, chain[0].id, {"status": DONE}, cascade=True)

        for task in chain:
            session.refresh(task)
        assert [task.status for task in chain] == [DONE] * 3


class TestDeleting:
    def test_needs_what_is_below_in_the_same_request(self, change, boss, session, chain):
        (outcome,) = change(boss, (chain[0].id, Verb.DELETE, True), is_atomic=False)
        assert isinstance(outcome.error, HasSubtasksError)

        change(boss, *((task.id, Verb.DELETE, True) for task in chain))

        for task in chain:
            session.refresh(task)
        assert all(task.deleted_at is not None for task in chain)

    def test_what_is_refused_no_longer_sees_to_the_tasks_above(self, change, boss, session, factories, chain):
        top, middle, _low = chain

        outcomes = change(
            boss, (top.id, Verb.PATCH, {"status": DONE}), (middle.id, Verb.PATCH, {"status": DONE}), is_atomic=False
        )

        assert [type(outcome.error) for outcome in outcomes] == [OpenSubtasksError] * 2

    def test_nothing_is_put_below_a_task_that_is_deleted(self, change, boss, factories):
        task, parent = factories.Task(), factories.Task()

        refused, deleted = change(
            boss, (task.id, Verb.PATCH, {"parent": parent.id}), (parent.id, Verb.DELETE, True), is_atomic=False
        )

        assert isinstance(refused.error, InvalidError)
        assert deleted.error is None


class TestFormerRefs:
    def test_name_tasks_of_moves(self, services, boss, factories):
        factories.Project(key="WEB")
        tasks = [factories.Task() for _ in range(2)]
        refs = [f"GEN-{task.number}" for task in tasks]
        for task in tasks:
            services.tasks.change(boss, task.id, {"project": "WEB"})

        assert services.task_order.move(boss, refs[0], {"after": refs[1]}).ref.startswith("WEB-")

    def test_name_parents_in_lists(self, services, boss, factories):
        factories.Project(key="WEB")
        parent = factories.Task()
        ref = f"GEN-{parent.number}"
        child = factories.Task(parent_id=parent.id)
        services.tasks.change(boss, parent.id, {"project": "WEB"})

        (page, _was_cached) = services.task_views.list_page(boss, TaskQuery(parent=ref))

        assert [item["id"] for item in page.items] == [child.id]


class TestParents:
    def test_many_tasks_get_one_parent(self, change, boss, session, factories):
        parent, *tasks = (factories.Task() for _ in range(5))

        change(boss, *((task.id, Verb.PATCH, {"parent": f"GEN-{parent.number}"}) for task in tasks))

        for task in tasks:
            session.refresh(task)
        assert {task.parent_id for task in tasks} == {parent.id}

    def test_a_circle_is_refused_and_named(self, change, boss, factories):
        first, second = factories.Task(), factories.Task()

        with pytest.raises(InvalidError, match=rf"task ({first.id}|{second.id}) has its parent below itself"):
            change(boss, (first.id, Verb.PATCH, {"parent": second.id}), (second.id, Verb.PATCH, {"parent": first.id}))

    def test_a_task_with_others_below_moves_to_another_project_by_itself(self, change, boss, factories, chain):
        factories.Project(key="WEB")

        (outcome,) = change(boss, (chain[0].id, Verb.PATCH, {"project": "WEB"}), is_atomic=False)

        assert isinstance(outcome.error, InvalidError)
        assert "there are tasks below" in outcome.error.detail


class TestRecurring:
    def test_the_next_task_comes_at_once(self, change, boss, factories, services, job_queue, clock):
        task = factories.Task(due_at=clock(), recurrence="FREQ=DAILY")

        change(boss, (task.id, Verb.PATCH, {"status": DONE}))

        assert JobName.REPEAT_TASKS in job_queue.enqueued
        assert services.recurring_tasks.repeat_due() == 1


class TestArchivedProject:
    def test_nothing_moves_into_it(self, change, services, factories, boss, acting_as, admin):
        factories.Project(key="OLD")
        services.projects.archive(boss, "OLD")
        first, second = factories.Task(), factories.Task()

        outcomes = change(
            acting_as(admin),
            (first.id, Verb.PATCH, {"project": "OLD"}),
            (second.id, Verb.PATCH, {"title": "New"}),
            is_atomic=False,
        )

        assert [type(outcome.error) for outcome in outcomes] == [ProjectArchivedError, type(None)]

    def test_only_its_items_are_refused(self, change, services, session, factories, boss, acting_as, admin):
        project = factories.Project(key="OLD")
        old, task = factories.Task(project_id=project.id), factories.Task()
        services.projects.archive(boss, "OLD")

        outcomes = change(
            acting_as(admin),
            (old.id, Verb.PATCH, {"title": "New"}),
            (task.id, Verb.PATCH, {"title": "New"}),
            is_atomic=False,
        )

        assert [type(outcome.error) for outcome in outcomes] == [ProjectArchivedError, type(None)]
        session.refresh(task)
        assert task.title == "New"


@pytest.fixture
def chain(factories):
    """Three tasks, each below the one before."""
    first = factories.Task()
    second = factories.Task(parent_id=first.id)
    return [first, second, factories.Task(parent_id=second.id)]


@pytest.fixture
def change(services):
    def change_all(actor, *items, is_atomic=True):
        listed = [BulkItem(*item) for item in items]
        return services.task_bulk.change_all(actor, listed, precondition_of=lambda _text: None, is_atomic=is_atomic)

    return change_all
