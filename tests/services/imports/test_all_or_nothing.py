import pytest
from sqlalchemy import delete, select

from app.models.imports.task_import import DuplicatePolicy, ImportBlock, ImportDraft, ImportMode
from app.models.projects.project import Project, ProjectMember
from tests.services.imports.uploading import COUNTS, counts_of, last_number, report, titles, upload, users_called
from tests.stored import count, list_tasks


class TestAllOrNothing:
    @pytest.mark.parametrize("bad_row", ["Bad,maybe,", "Bad,,Grace", "Bad"])
    @pytest.mark.parametrize("position", [0, 4, 9])
    def test_one_bad_row_prevents_every_write(self, service, manager, session, small_blocks, bad_row, position):
        rows = [f"{n},todo," for n in range(9)]
        rows.insert(position, bad_row)
        before = last_number(session)

        outcome = upload(
            service,
            manager,
            "task_name,status,assignee",
            *rows,
            mode=ImportMode.ALL_OR_NOTHING,
            creates_users=False,
        )

        body = outcome.row.values
        assert (body["state"], body["failure"]) == ("failed", "1 row was refused, so nothing was imported")
        assert counts_of(outcome) == dict(zip(COUNTS, (10, 0, 0, 0, 1, 1), strict=True))
        assert [row for row, *_ in report(service, manager, outcome)] == [position + 1]
        assert titles(session) == []
        assert last_number(session) == before

    def test_rows_that_are_no_tasks_are_skipped(self, service, manager, session):
        lines = ["TYPE,CONTENT,INDENT", "section,Garden,", "task,Water,1", "note,Every day,", "task,Weed,1"]

        outcome = upload(service, manager, *lines, mode=ImportMode.ALL_OR_NOTHING)

        assert counts_of(outcome) == dict(zip(COUNTS, (4, 2, 0, 2, 0, 0), strict=True))
        assert titles(session) == ["Water", "Weed"]

    def test_a_bad_row_prevents_new_users(self, service, manager, session, small_blocks):
        lines = ["task_name,status,assignee", *(f"{n},,Grace" for n in range(5)), "Bad,maybe,", "Worse,never,"]

        outcome = upload(service, manager, *lines, mode=ImportMode.ALL_OR_NOTHING)

        assert outcome.row.values["failure"] == "2 rows were refused, so nothing was imported"
        assert users_called(session, "grace") == 0

    def test_all_good_rows_are_written(self, service, manager, session, small_blocks):
        rows = [f"{n},Grace" for n in range(10)]

        outcome = upload(service, manager, "task_name,assignee", *rows, mode=ImportMode.ALL_OR_NOTHING)

        assert counts_of(outcome) == dict(zip(COUNTS, (10, 10, 0, 0, 0, 0), strict=True))
        assert titles(session) == [str(n) for n in range(10)]
        assert users_called(session, "grace") == 1

    def test_an_assignee_who_leaves_between_check_and_load_fails_the_import(
        self, service, services, ops_manager, session, factories, small_blocks, clock
    ):
        ada = factories.User(username="ada")
        project_id = session.scalar(select(Project.id).where(Project.key == "OPS"))
        factories.ProjectMember(project_id=project_id, user_id=ada.id)
        rows = [*(f"{n},Grace" for n in range(4)), "4,ada"]
        import_id = checked(services, ops_manager, "task_name,assignee", *rows, project="OPS", clock=clock)
        session.execute(delete(ProjectMember).where(ProjectMember.user_id == ada.id))

        services.import_runs.run_waiting()

        body = service.get(ops_manager, import_id).values
        assert (body["state"], body["created_count"]) == ("failed", 0)
        assert body["failure"] == "line 6: is not in the project; nothing was imported"
        assert titles(session) == []
        assert users_called(session, "grace") == 0
        assert count(session, ImportBlock) == count(session, ImportDraft) == 0

    def test_a_duplicate_that_appears_between_check_and_load_causes_no_number_clash(
        self, services, manager, session, small_blocks, clock, factories
    ):
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        checked(services, manager, "task_name", "One", "Two", "Three", clock=clock, **options)
        services.tasks.create(manager, {"title": "Two"})

        services.import_runs.run_waiting()
        services.tasks.create(manager, {"title": "After"})

        assert sorted(titles(session)) == ["After", "One", "Three", "Two"]
        assert len({task.number for task in list_tasks(session)}) == 4

    def test_a_duplicate_that_vanishes_between_check_and_load_gets_a_number_of_its_own(
        self, service, services, manager, session, small_blocks, clock, factories
    ):
        existing = factories.Task(title="Two")
        options = {"on_duplicate": DuplicatePolicy.SKIP}
        import_id = checked(services, manager, "task_name", "One", "Two", "Three", clock=clock, **options)
        services.tasks.delete(manager, existing.id)

        services.import_runs.run_waiting()
        services.tasks.create(manager, {"title": "After"})

        assert service.get(manager, import_id).values["created_count"] == 3
        assert [task.title for task in list_tasks(session) if task.deleted_at is None] == [
            "One",
            "Two",
            "Three",
            "After",
        ]
        assert len({task.number for task in list_tasks(session)}) == 5


def checked(services, actor, *lines, clock, **options):
    """Return the id of an all-or-nothing import that has been checked and not loaded."""
    outcome = upload(services.imports, actor, *lines, mode=ImportMode.ALL_OR_NOTHING, wait_seconds=0, **options)
    while services.imports.get(actor, outcome.import_id).values["state"] == "checking":
        # A run whose time has ended stops after one step.
        services.import_runs.work_on(services.import_runs.claim(outcome.import_id), until=clock())
    return outcome.import_id
