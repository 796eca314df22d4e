"""A task that has moved to another project is still found by its former refs."""

import runpy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text

from app.errors import InvalidError, NotFoundError
from app.models.people.user import Role
from app.models.tasks.fields import TaskStatus
from app.models.tasks.former_ref import FormerRef
from app.models.tasks.task import Task
from app.queries.tasks import TaskQuery
from app.services.tasks.bulk_items import BulkItem, Verb
from tests.servers import ROOT
from tests.unhurried import UNHURRIED


class TestFormerRef:
    def test_finds_the_task_for_reading_and_writing(self, services, boss, moved):
        task, former = moved

        assert services.task_views.get(boss, former).id == task.id
        assert services.tasks.change(boss, former, {"title": "New"}).id == task.id
        services.tasks.delete(boss, former)
        assert services.tasks.restore(boss, former).id == task.id
        history = services.task_history.list_page(boss, former, cursor=None, limit=9)
        assert len(history.items) == 5

    def test_names_the_present_ref(self, services, boss, moved):
        task, former = moved
        view = services.task_views.get(boss, former)

        assert view.new_ref(former) == view.ref == f"GEN-{task.number}"
        for key in (view.ref, task.id, f"GEN-0{task.number}"):
            assert services.task_views.get(boss, key).new_ref(key) is None

    def test_whoever_does_not_see_the_new_project_finds_nothing(self, services, member, boss, factories, ops):
        uwe = member("uwe", Role.USER)
        secret = factories.Project(key="SECRET")
        task = factories.Task(project_id=ops.id)
        former = f"OPS-{task.number}"
        services.tasks.change(boss, task.id, {"project": secret.key})

        with pytest.raises(NotFoundError):
            services.task_views.get(uwe, former)
        with pytest.raises(NotFoundError):
            services.tasks.change(uwe, former, {"title": "Seen"})
        assert ids(services, uwe, former) == []

    def test_lists_find_it_too(self, services, boss, moved, factories):
        task, former = moved
        other = factories.Task()

        assert ids(services, boss, former) == [task.id]
        assert ids(services, boss, former, f"GEN-{task.number}", f"GEN-{other.number}") == [task.id, other.id]

    def test_names_tasks_of_a_request_for_many(self, services, boss, moved, factories, session):
        task, former = moved
        other = factories.Task()
        keys = [former, f"GEN-0{other.number}", "OPS-999"]

        outcomes = change_many(services, boss, *(BulkItem(key, Verb.PATCH, {"title": "New"}) for key in keys))

        assert [outcome.ref for outcome in outcomes] == [f"GEN-{task.number}", f"GEN-{other.number}", ""]
        assert [type(outcome.error) for outcome in outcomes] == [type(None), type(None), NotFoundError]
        for each in (task, other):
            session.refresh(each)
        assert (task.title, other.title) == ("New", "New")

    def test_is_the_task_that_another_item_names_too(self, services, boss, moved):
        task, former = moved

        for key in (task.id, f"GEN-{task.number}"):
            with pytest.raises(InvalidError, match="only once"):
                change_many(services, boss, *(BulkItem(each, Verb.PATCH, {"title": "New"}) for each in (key, former)))

    def test_answers_with_the_present_ref_even_if_nothing_changes(self, services, boss, moved):
        task, former = moved

        (outcome,) = change_many(services, boss, BulkItem(former, Verb.PATCH, {"title": task.title}))

        assert (outcome.is_changed, outcome.ref) == (False, f"GEN-{task.number}")

    def test_places_tasks_of_a_request_for_many(self, services, boss, moved, factories):
        task, former = moved
        others = [factories.Task() for _ in range(2)]

        outcomes = change_many(
            services,
            boss,
            BulkItem(former, Verb.MOVE, {"status": TaskStatus.DONE}),
            *(BulkItem(other.id, Verb.MOVE, {"status": TaskStatus.DONE, "after": former}) for other in others),
        )

        assert [outcome.error for outcome in outcomes] == [None] * 3
        page, _was_cached = services.task_views.list_page(
            boss, TaskQuery(statuses=(TaskStatus.DONE,), sort=("position",))
        )
        assert [item["id"] for item in page.items] == [task.id, others[1].id, others[0].id]

    def test_of_a_project_that_one_does_not_see_names_nothing_among_many(self, services, member, boss, factories, ops):
        uwe = member("uwe", Role.USER)
        task = factories.Task(project_id=ops.id)
        former = f"OPS-{task.number}"
        services.tasks.change(boss, task.id, {"project": factories.Project(key="SECRET").key})

        (outcome,) = change_many(services, uwe, BulkItem(former, Verb.PATCH, {"title": "Seen"}))

        assert isinstance(outcome.error, NotFoundError)

    def test_sql_cannot_forget_it(self, services, boss, session, factories, ops):
        tasks = [factories.Task(project_id=ops.id) for _ in range(3)]
        numbers = [task.number for task in tasks]
        session.execute(
            text("UPDATE tasks SET project_id = 1, number = number + 1000 WHERE project_id = :id"), {"id": ops.id}
        )

        assert [services.task_views.get(boss, f"OPS-{number}").id for number in numbers] == [task.id for task in tasks]

    def test_is_filled_in_from_the_history_for_tasks_that_moved_before(self, services, boss, session, moved):
        task, _former = moved
        services.tasks.change(boss, task.id, {"project": "OPS"})
        rows = select(FormerRef.project_id, FormerRef.number, FormerRef.task_id).order_by(FormerRef.project_id)
        kept = session.execute(rows).all()
        session.execute(delete(FormerRef))

        fill = runpy.run_path(str(ROOT / "migrations/versions/2026_11_28_former_refs_fill.py"))["FILL"]
        for _ in range(2):
            session.execute(text(fill))

        assert len(kept) == 2
        assert session.execute(rows).all() == kept

    def test_goes_with_a_task_that_is_removed_for_good(self, services, boss, session, moved):
        task, former = moved
        session.execute(delete(Task).where(Task.id == task.id))

        assert session.scalars(select(FormerRef)).all() == []
        with pytest.raises(NotFoundError):
            services.task_views.get(boss, former)

    @given(moves=st.lists(st.sampled_from(["GEN", "OPS", "WEB"]), max_size=8))
    @settings(UNHURRIED, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_every_ref_that_a_task_had_means_it_and_no_other(self, services, boss, factories, projects, moves):
        """Two tasks take turns, and no number is given twice."""
        refs = {}
        tasks = [services.tasks.create(boss, {"title": "One"}) for _ in range(2)]
        for task in tasks:
            refs.setdefault(task.id, []).append(task.ref)
        for turn, project in enumerate(moves):
            task = services.tasks.change(boss, tasks[turn % 2].id, {"project": project})
            refs[task.id].append(task.ref)

        every = [ref for of_task in refs.values() for ref in dict.fromkeys(of_task)]
        assert len(every) == len(set(every))
        for task_id, of_task in refs.items():
            assert {services.task_views.get(boss, ref).id for ref in of_task} == {task_id}
            assert services.task_views.get(boss, of_task[0]).ref == of_task[-1]


def change_many(services, actor, *items):
    return services.task_bulk.change_all(actor, items, precondition_of=None, is_atomic=False)


def ids(services, actor, *refs):
    page, _was_cached = services.task_views.list_page(actor, TaskQuery(refs=refs, sort=("id",)))
    return [item["id"] for item in page.items]


@pytest.fixture
def projects(factories, ops):
    return ops, factories.Project(key="WEB")


@pytest.fixture
def moved(services, boss, factories, ops, session):
    """A task that was in OPS and is in GEN now, and its former ref."""
    task = factories.Task(project_id=ops.id)
    former = f"OPS-{task.number}"
    services.tasks.change(boss, task.id, {"project": "GEN"})
    session.refresh(task)
    return task, former
