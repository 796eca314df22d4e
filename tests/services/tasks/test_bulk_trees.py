"""Many changes at once, and a move, where there are tasks below, rules of recurrence and archived projects."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import (
    BulkRefusedError,
    FieldProblem,
    HasSubtasksError,
    InvalidError,
    OpenSubtasksError,
    ParentDeletedError,
    ProjectArchivedError,
)
from app.job_queue import JobName
from app.models.tasks.fields import TaskStatus
from app.queries.tasks import TaskQuery
from app.services.tasks.bulk_items import BulkItem, Verb
from tests.unhurried import UNHURRIED

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


class TestRestoring:
    def test_waits_for_the_task_above(self, change, services, boss, session, chain):
        services.tasks.delete(boss, chain[0].id, cascade=True)

        outcomes = change(boss, *((task.id, Verb.RESTORE, True) for task in chain[1:]), is_atomic=False)
        assert [type(outcome.error) for outcome in outcomes] == [ParentDeletedError] * 2

        change(boss, *((task.id, Verb.RESTORE, True) for task in reversed(chain)))
        for task in chain:
            session.refresh(task)
        assert [task.deleted_at for task in chain] == [None] * 3

    def test_a_single_one_waits_too(self, services, boss, chain):
        services.tasks.delete(boss, chain[0].id, cascade=True)

        with pytest.raises(ParentDeletedError):
            services.tasks.restore(boss, chain[1].id)
        for task in chain:
            services.tasks.restore(boss, task.id)


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

    def test_of_a_circle_the_last_item_is_refused(self, change, boss, session, factories):
        first, second, other = (factories.Task() for _ in range(3))

        outcomes = change(
            boss,
            (first.id, Verb.PATCH, {"parent": second.id}),
            (second.id, Verb.PATCH, {"parent": first.id, "title": "New"}),
            (other.id, Verb.PATCH, {"title": "New"}),
            is_atomic=False,
        )

        assert [type(outcome.error) for outcome in outcomes] == [type(None), InvalidError, type(None)]
        assert outcomes[1].error.problems == (
            FieldProblem("/patch/parent", "would put the task below itself, or have more than 3 levels"),
        )
        for task in (first, second, other):
            session.refresh(task)
        assert [(task.parent_id, task.title == "New") for task in (first, second, other)] == [
            (second.id, False),
            (None, False),
            (None, True),
        ]

    def test_a_circle_refuses_all_if_all_are_wanted(self, change, boss, factories):
        first, second = factories.Task(), factories.Task()

        with pytest.raises(BulkRefusedError) as caught:
            change(boss, (first.id, Verb.PATCH, {"parent": second.id}), (second.id, Verb.PATCH, {"parent": first.id}))

        assert [type(item.error) for item in caught.value.items] == [type(None), InvalidError]

    def test_a_fourth_level_is_refused_item_by_item(self, change, boss, session, factories, chain):
        tasks = [factories.Task() for _ in range(3)]
        parents = [chain[2].id, chain[1].id, tasks[1].id]

        outcomes = change(
            boss,
            *((task.id, Verb.PATCH, {"parent": parent}) for task, parent in zip(tasks, parents, strict=True)),
            is_atomic=False,
        )

        assert [type(outcome.error) for outcome in outcomes] == [InvalidError, type(None), InvalidError]
        for task in tasks:
            session.refresh(task)
        assert [task.parent_id for task in tasks] == [None, chain[1].id, None]

    def test_only_the_end_counts(self, change, boss, session, factories, chain):
        """By itself, the first item would make a fourth level."""
        above = factories.Task()

        change(
            boss,
            (chain[0].id, Verb.PATCH, {"parent": above.id}),
            (chain[2].id, Verb.PATCH, {"parent": above.id}),
        )

        for task in chain:
            session.refresh(task)
        assert [task.parent_id for task in chain] == [above.id, chain[0].id, above.id]

    def test_what_is_refused_makes_other_places_too_deep(self, change, boss, factories, chain):
        """The second item can only be done if the last task leaves, and that task is refused."""
        above, four = factories.Task(), factories.Task(parent_id=factories.Task(parent_id=factories.Task().id).id)

        outcomes = change(
            boss,
            (chain[0].id, Verb.PATCH, {"parent": above.id}),
            (chain[2].id, Verb.PATCH, {"parent": four.id}),
            is_atomic=False,
        )

        assert [type(outcome.error) for outcome in outcomes] == [InvalidError] * 2

    def test_a_parent_that_moves_away_in_the_same_request_is_refused(self, change, boss, factories):
        factories.Project(key="WEB")
        parent, task = factories.Task(), factories.Task()

        moved, refused = change(
            boss,
            (parent.id, Verb.PATCH, {"project": "WEB"}),
            (task.id, Verb.PATCH, {"parent": parent.id}),
            is_atomic=False,
        )

        assert moved.error is None
        assert refused.error.problems == (FieldProblem("/patch/parent", "is in another project"),)

    @settings(UNHURRIED, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(moves=st.lists(st.tuples(st.integers(0, 7), st.integers(-1, 7)), max_size=8, unique_by=lambda move: move[0]))
    def test_the_database_never_has_to_refuse(self, change, boss, session, factories, moves):
        tasks = [factories.Task() for _ in range(8)]
        for child, parent in ((1, 0), (2, 1), (4, 3), (5, 4), (6, 3)):
            tasks[child].parent_id = tasks[parent].id
        session.flush()
        before = [task.parent_id for task in tasks]

        outcomes = change(
            boss,
            *((tasks[n].id, Verb.PATCH, {"parent": None if to < 0 else tasks[to].id}) for n, to in moves),
            is_atomic=False,
        )

        refused = {n for (n, _to), outcome in zip(moves, outcomes, strict=True) if outcome.error is not None}
        wished = {n: None if to < 0 else tasks[to].id for n, to in moves if n not in refused}
        for n, task in enumerate(tasks):
            session.refresh(task)
            assert task.parent_id == wished.get(n, before[n])

    def test_a_task_with_others_below_moves_to_another_project_by_itself(self, change, boss, factories, chain):
        factories.Project(key="WEB")

        (outcome,) = change(boss, (chain[0].id, Verb.PATCH, {"project": "WEB"}), is_atomic=False)

        assert isinstance(outcome.error, InvalidError)
        assert "there are tasks below" in outcome.error.detail


class TestATaskThatLeaves:
    """An item takes the task away that is below the task of another item."""

    @pytest.mark.parametrize(
        "item", [(Verb.DELETE, True), (Verb.PATCH, {"status": DONE}), (Verb.PATCH, {"project": "WEB"})]
    )
    @pytest.mark.parametrize("is_first", [True, False])
    def test_is_in_nobodys_way(self, change, boss, session, factories, item, is_first):
        factories.Project(key="WEB")
        above = factories.Task()
        leaving = factories.Task(parent_id=above.id)
        items = [(above.id, *item), (leaving.id, Verb.PATCH, {"parent": None})]

        change(boss, *(items if is_first else reversed(items)))

        session.refresh(leaving)
        assert (leaving.parent_id, leaving.deleted_at, leaving.status) == (None, None, TaskStatus.TODO)

    def test_takes_what_is_below_it_along(self, change, boss, session, factories, chain):
        change(boss, (chain[0].id, Verb.DELETE, True), (chain[1].id, Verb.PATCH, {"parent": None}))

        session.refresh(chain[1])
        assert chain[1].parent_id is None

    def test_is_in_the_way_if_it_is_refused(self, change, boss, factories, chain):
        other = factories.Task(parent_id=factories.Task(parent_id=factories.Task().id).id)

        for items in ([(chain[1].id, Verb.PATCH, {"parent": other.id})], []):
            outcomes = change(boss, (chain[0].id, Verb.DELETE, True), *items, is_atomic=False)

            assert isinstance(outcomes[0].error, HasSubtasksError)

    def test_is_in_the_way_if_it_only_changes_its_level(self, change, boss, chain):
        outcomes = change(
            boss,
            (chain[0].id, Verb.PATCH, {"status": DONE}),
            (chain[1].id, Verb.PATCH, {"status": DONE}),
            (chain[2].id, Verb.PATCH, {"parent": chain[0].id}),
            is_atomic=False,
        )

        assert [type(outcome.error) for outcome in outcomes] == [OpenSubtasksError, type(None), type(None)]


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
