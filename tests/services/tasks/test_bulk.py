"""Many tasks changed by one request."""

import pytest
from sqlalchemy import event, select

from app.errors import BulkRefusedError, ForbiddenError, InvalidError, NotFoundError, PreconditionFailedError
from app.models.projects.project import Project
from app.models.tasks.fields import MAX_LABELS, TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.services.tasks.bulk_items import BulkItem, Verb

TODO, DONE = TaskStatus.TODO, TaskStatus.DONE
PATCH, MOVE, DELETE, RESTORE = Verb.PATCH, Verb.MOVE, Verb.DELETE, Verb.RESTORE


class TestVerbs:
    def test_each_does_what_a_single_request_does(self, change, boss, factories, ops, clock, session):
        deleted = [None, None, None, None, clock(), None]
        tasks = [factories.Task(project_id=ops.id, labels=["red", "blue"], deleted_at=at) for at in deleted]
        ada = factories.User(username="ada")
        factories.ProjectMember(project_id=ops.id, user_id=ada.id)

        outcomes = change(
            boss,
            (tasks[0].id, PATCH, {"title": "New", "status": DONE, "priority": TaskPriority.HIGH, "due_at": clock()}),
            (tasks[1].id, Verb.ADD_LABELS, ["green", "red"]),
            (tasks[2].id, Verb.REMOVE_LABELS, ["red", "green"]),
            (tasks[3].id, DELETE, True),
            (tasks[4].id, RESTORE, True),
            (f"OPS-{tasks[5].number}", Verb.ASSIGN, "ADA"),
        )

        for task in tasks:
            session.refresh(task)
        assert (tasks[0].title, tasks[0].status, tasks[0].completed_at, tasks[0].due_at) == (
            *("New", DONE, clock(), clock()),
        )
        assert (tasks[1].labels, tasks[2].labels) == (["red", "blue", "green"], ["blue"])
        assert (tasks[3].deleted_at, tasks[4].deleted_at, tasks[5].assignee_id) == (clock(), None, ada.id)
        assert [outcome.version for outcome in outcomes] == [task.version for task in tasks] == [2] * 6
        assert [outcome.ref for outcome in outcomes] == [f"OPS-{task.number}" for task in tasks]

    def test_tasks_move_to_another_project_with_new_numbers(self, change, boss, factories, session):
        web = factories.Project(key="WEB", last_task_number=7)
        tasks = [factories.Task() for _ in range(2)]

        outcomes = change(boss, *((task.id, PATCH, {"project": "web"}) for task in tasks))

        assert [outcome.ref for outcome in outcomes] == ["WEB-8", "WEB-9"]
        assert session.scalar(select(Project.last_task_number).where(Project.id == web.id)) == 9

    def test_moves_see_those_before_them(self, change, boss, factories, ops, titles):
        tasks = {title: factories.Task(title=title, project_id=ops.id) for title in "abcde"}
        refs = {title: f"OPS-{task.number}" for title, task in tasks.items()}

        change(
            boss,
            (tasks["a"].id, MOVE, {"status": DONE}),
            (refs["b"], MOVE, {"status": DONE, "after": refs["a"]}),
            (tasks["d"].id, MOVE, {"status": DONE, "before": tasks["b"].id}),
            (tasks["e"].id, MOVE, {"before": tasks["c"].id}),
        )

        assert (titles(TODO), titles(DONE)) == ("ec", "adb")

    def test_many_tasks_find_room_where_there_is_none(self, change, boss, factories, ops, titles, session):
        column = [factories.Task(title=title, project_id=ops.id, status=DONE, position=1.0) for title in "xyz"]
        letters = "abcdefghijklm"
        tasks = [factories.Task(title=title, project_id=ops.id) for title in letters]
        neighbours = [column[0].id, *(task.id for task in tasks)]

        change(
            boss,
            *(
                (task.id, MOVE, {"status": DONE, "after": neighbour})
                for task, neighbour in zip(tasks, neighbours, strict=False)
            ),
        )

        assert titles(DONE) == f"x{letters}yz"
        assert len(set(session.scalars(select(Task.position).where(Task.status == DONE)))) == len(letters) + 3

    def test_what_changes_nothing_keeps_its_version(self, change, boss, factories):
        task = factories.Task(title="Same")

        (outcome,) = change(boss, (task.id, PATCH, {"title": "Same"}))

        assert (outcome.error, outcome.is_changed, outcome.version) == (None, False, 1)

    def test_the_history_names_the_actor(self, change, services, boss, factories):
        tasks = [factories.Task() for _ in range(2)]

        change(boss, *((task.id, PATCH, {"title": "New"}) for task in tasks))

        for task in tasks:
            (last, _) = services.task_history.list_page(boss, task.id, cursor=None, limit=9).items
            assert (last.actor, [each.field for each in last.changes]) == (boss.username, ["title"])


class TestRefusals:
    def test_one_bad_item_stops_all(self, change, boss, factories, session):
        tasks = [factories.Task(title="Old") for _ in range(2)]

        with pytest.raises(BulkRefusedError, match="2 of 4 items") as refused:
            change(
                boss,
                (tasks[0].id, PATCH, {"title": "New"}),
                (999_999, PATCH, {"title": "New"}),
                (tasks[1].id, PATCH, {"title": "New"}),
                ("GEN-999999", DELETE, True),
            )

        assert [type(item.error) for item in refused.value.items] == [
            *(type(None), NotFoundError, type(None), NotFoundError),
        ]
        assert list(session.scalars(select(Task.title).where(Task.id.in_([task.id for task in tasks])))) == ["Old"] * 2

    def test_each_for_itself(self, change, factories, acting_as, clock, session):
        user = acting_as(factories.User())
        good, full = factories.Task(), factories.Task(labels=[str(n) for n in range(MAX_LABELS)])
        deleted, hidden = factories.Task(deleted_at=clock()), factories.Task(project_id=factories.Project().id)

        outcomes = change(
            user,
            (good.id, PATCH, {"title": "New"}),
            (full.id, Verb.ADD_LABELS, ["one too many"]),
            (deleted.id, PATCH, {"title": "New"}),
            (hidden.id, PATCH, {"title": "New"}),
            (factories.Task().id, DELETE, True),
            (factories.Task().id, RESTORE, True),
            (factories.Task().id, Verb.ASSIGN, "nobody"),
            (factories.Task().id, PATCH, {"title": "New", "project": "NONE"}),
            (factories.Task().id, MOVE, {"after": good.number}),
            is_atomic=False,
        )

        errors = [type(outcome.error) for outcome in outcomes]
        assert errors == [
            *(type(None), InvalidError, NotFoundError, NotFoundError, ForbiddenError, ForbiddenError),
            *(InvalidError, InvalidError, InvalidError),
        ]
        pointers = [
            outcome.error.problems[0].pointer for outcome in outcomes if isinstance(outcome.error, InvalidError)
        ]
        assert pointers == ["/add_labels", "/assign", "/patch/project", "/move/after"]
        session.refresh(good)
        assert good.title == "New"
        assert sorted(session.scalars(select(Task.version))) == [1] * 8 + [2]

    def test_a_stale_version_is_refused(self, service, boss, factories):
        item = BulkItem(factories.Task().id, PATCH, {"title": "New"}, if_match='"1.7"')

        (outcome,) = service.change_all(
            boss, [item], precondition_of=lambda _text: lambda _id, version: version == 7, is_atomic=False
        )

        assert isinstance(outcome.error, PreconditionFailedError)

    def test_a_task_is_named_once_even_by_its_id_and_its_ref(self, change, boss, factories):
        task = factories.Task()

        for second in (task.id, f"GEN-{task.number}"):
            with pytest.raises(InvalidError) as refused:
                change(boss, (task.id, DELETE, True), (second, DELETE, True))
            assert [problem.pointer for problem in refused.value.problems] == ["/items/1/task"]

    def test_a_move_that_cannot_be_made_leaves_the_others(self, change, boss, factories, ops, titles):
        tasks = {title: factories.Task(title=title, project_id=ops.id) for title in "abc"}

        outcomes = change(
            boss,
            (tasks["a"].id, MOVE, {"status": DONE, "expected_status": TaskStatus.BLOCKED}),
            (tasks["b"].id, MOVE, {"status": DONE, "after": tasks["a"].id}),
            (tasks["c"].id, MOVE, {"status": DONE}),
            is_atomic=False,
        )

        assert [outcome.error is None for outcome in outcomes] == [False, False, True]
        assert (titles(TODO), titles(DONE)) == ("ab", "c")


class TestRoundTrips:
    def test_do_not_grow_with_the_items(self, change, boss, factories, statements):
        tasks = [factories.Task() for _ in range(60)]
        factories.Project(key="WEB")
        counts = []

        for some in (tasks[:3], tasks[3:]):
            with statements() as seen:
                change(
                    boss,
                    *((task.id, PATCH, {"project": "WEB", "assignee": boss.username}) for task in some[::3]),
                    *((task.id, MOVE, {"status": DONE}) for task in some[1::3]),
                    *((task.id, DELETE, True) for task in some[2::3]),
                )
            counts.append(len(seen))

        assert counts[0] == counts[1] <= 10


@pytest.fixture
def statements(connection):
    """The statements of a block, without those that only mark transactions."""

    class Seen(list):
        def __enter__(self):
            event.listen(connection, "before_cursor_execute", self.note)
            return self

        def __exit__(self, *_error):
            event.remove(connection, "before_cursor_execute", self.note)

        def note(self, _connection, _cursor, statement, _parameters, _context, _executemany):
            if not statement.startswith(("PREPARE", "SAVEPOINT", "RELEASE")):
                self.append(statement)

    return Seen


@pytest.fixture
def service(services):
    return services.task_bulk


@pytest.fixture
def change(service):
    def change_all(actor, *items, is_atomic=True):
        listed = [BulkItem(*item) for item in items]
        return service.change_all(actor, listed, precondition_of=lambda _text: None, is_atomic=is_atomic)

    return change_all


@pytest.fixture
def titles(session, ops):
    """The titles of the tasks in a column of OPS, in order."""

    def read(status):
        statement = select(Task.title).where(Task.project_id == ops.id, Task.status == status)
        return "".join(session.scalars(statement.order_by(Task.position, Task.id)))

    return read
