"""The parents that cannot be set: the report names them, and nothing else is lost."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import update

from app.models.imports.task_import import DuplicatePolicy, ImportMode
from app.models.tasks.task import Task
from app.repositories.imports.links import ImportLinkRepository
from app.services.imports.links import ImportLinkService
from tests.services.imports.test_parents import parents
from tests.services.imports.uploading import COUNTS, counts_of, report, upload

HEADER = "title,ref,external_ref,parent"
LEFT_OUT = "; the task was imported without this parent"
BAD_FILES = [
    (["Roof,,,OPS-9"], {1: "'OPS-9' is no task of the file or the project"}),
    (["Roof,OPS-1,,OPS-1"], {1: "a task cannot be its own parent"}),
    (["Roof,,B,B"], {1: "a task cannot be its own parent"}),
    (["A,R-1,,R-2", "B,R-2,,R-1"], {1: "'R-2' is below this task", 2: "'R-1' is below this task"}),
    (["A,R-1,,", "B,R-2,,R-1", "C,R-3,,R-2", "D,R-4,,R-3"], {4: "below 'R-3' there would be more than 3 levels"}),
    (["B,R-2,,R-1", "C,R-3,,R-2", "D,R-4,,R-3", "A,R-1,,"], {3: "below 'R-3' there would be more than 3 levels"}),
    (["A,R-1,,", "C,,,R-1", "B,R-1,,"], {2: "'R-1' may mean several tasks"}),
    (["A,R-1,,", "B,R-1,,", "C,,,R-1"], {3: "'R-1' may mean several tasks"}),
    (["A,,E,", "B,,E,", "C,,,E"], {3: "'E' may mean several tasks"}),
]


class TestReport:
    @pytest.mark.parametrize(("rows", "reasons"), BAD_FILES)
    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_a_task_is_imported_without_a_bad_parent(
        self, service, manager, session, monkeypatch, rows, reasons, policy
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 1)
        if policy is not DuplicatePolicy.CREATE and ",E," in rows[0]:
            pytest.skip("both rows mean one task")

        dry = upload(service, manager, HEADER, *rows, on_duplicate=policy, is_dry_run=True)
        outcome = upload(service, manager, HEADER, *rows, on_duplicate=policy)

        expected = {row: ("parent", rows[row - 1].rsplit(",")[-1], f"{why}{LEFT_OUT}") for row, why in reasons.items()}
        assert problems(service, manager, dry) == problems(service, manager, outcome) == expected
        assert counts_of(dry) == counts_of(outcome)
        assert counts_of(outcome) == dict(zip(COUNTS, (len(rows), len(rows), 0, 0, 0, len(reasons)), strict=True))
        assert all(parents(session)[rows[row - 1][: rows[row - 1].index(",")]] is None for row in reasons)

    @pytest.mark.parametrize(("rows", "reasons"), BAD_FILES)
    def test_all_or_nothing_refuses_the_file(self, service, manager, session, small_blocks, rows, reasons):
        dry = upload(service, manager, HEADER, *rows, mode=ImportMode.ALL_OR_NOTHING, is_dry_run=True)
        outcome = upload(service, manager, HEADER, *rows, mode=ImportMode.ALL_OR_NOTHING)

        reported = {row: why for row, (_column, _value, why) in problems(service, manager, outcome).items()}
        assert reported == reasons
        assert problems(service, manager, dry) == problems(service, manager, outcome)
        count = "1 row was" if len(reasons) == 1 else f"{len(reasons)} rows were"
        assert outcome.row.values["failure"] == f"{count} refused, so nothing was imported"
        assert counts_of(outcome) == dict(zip(COUNTS, (len(rows), 0, 0, 0, *[len(reasons)] * 2), strict=True))
        assert parents(session) == {}

    def test_a_refused_row_is_no_parent_and_no_other_task_takes_its_place(self, service, manager, session, factories):
        factories.Task(title="Another", number=901)

        outcome = upload(service, manager, "title,status,ref,parent", "Shed,maybe,GEN-901,", "Roof,,,GEN-901")

        assert problems(service, manager, outcome)[2][2] == f"the row of 'GEN-901' was refused{LEFT_OUT}"
        assert counts_of(outcome) == dict(zip(COUNTS, (2, 1, 0, 0, 1, 2), strict=True))
        assert parents(session)["Roof"] is None

    def test_the_corrected_report_sets_the_parent(self, service, manager, session):
        lines = ["title,external_ref,status,parent", "Shed,A,maybe,", "Roof,B,,A", "Fence,C,,"]
        outcome = upload(service, manager, *lines)
        files, _codec = service.write_errors(manager, outcome.import_id)

        corrected = b"".join(file.content for file in files).decode().replace("maybe", "todo").splitlines()
        again = upload(service, manager, *corrected, on_duplicate=DuplicatePolicy.UPDATE)

        assert counts_of(again) == dict(zip(COUNTS, (2, 1, 1, 0, 0, 0), strict=True))
        assert parents(session) == {"Shed": None, "Roof": "Shed", "Fence": None}

    def test_the_line_and_the_cells_are_those_of_the_file(self, service, manager, small_blocks):
        rows = [f"{n},,," for n in range(4)]
        rows[1] = '"Two\nlines",,,'
        outcome = upload(service, manager, HEADER, *rows, 'Roof,,,"OPS-9"')

        assert report(service, manager, outcome) == [(5, 7, "parent", "OPS-9")]
        (group,) = outcome.row.values["problem_groups"]
        assert (group["count"], group["column"], group["value"]) == (1, "parent", "OPS-9")

    def test_a_name_that_is_too_long_refuses_its_row(self, service, manager):
        outcome = upload(service, manager, HEADER, f"Roof,,,{'x' * 256}")

        assert counts_of(outcome)["refused_count"] == 1

    def test_a_row_of_todoist_below_nothing(self, service, manager, session):
        outcome = upload(service, manager, "TYPE,CONTENT,INDENT", "task,Roof,2", "task,Shed,one", "task,Tiles,2")

        assert {row: why for row, (_, _, why) in problems(service, manager, outcome).items()} == {
            1: f"no row above is less indented{LEFT_OUT}",
            2: "'one' is not a level such as 1 or 2",
            3: f"no row above is less indented{LEFT_OUT}",
        }


class TestAccess:
    def test_a_task_of_another_project_is_unknown(self, service, manager, session, factories):
        project = factories.Project(key="OPS", includes_everyone=True)
        task = factories.Task(project_id=project.id, external_ref="A", number=1)

        outcome = upload(service, manager, HEADER, f"Roof,,,OPS-{task.number}", "Wall,,,A")

        assert {row: why.partition(";")[0] for row, (_, _, why) in problems(service, manager, outcome).items()} == {
            1: "'OPS-1' is no task of the file or the project",
            2: "'A' is no task of the file or the project",
        }

    def test_so_is_a_deleted_one(self, service, manager, factories, clock):
        task = factories.Task(external_ref="A", number=901, deleted_at=clock())

        outcome = upload(service, manager, HEADER, f"Roof,,,GEN-{task.number}", "Wall,,,A")

        assert [*problems(service, manager, outcome)] == [1, 2]


class TestExistingTasks:
    def test_a_bad_parent_leaves_a_task_where_it_is(self, service, manager, session, factories):
        shed = factories.Task(title="Shed", external_ref="A")
        factories.Task(title="Roof", external_ref="B", parent_id=shed.id)

        options = {"on_duplicate": DuplicatePolicy.UPDATE}
        outcome = upload(service, manager, HEADER, "Roof,,B,nothing", "Shed,,A,B", **options)

        assert [*problems(service, manager, outcome)] == [1, 2]
        assert counts_of(outcome)["skipped_count"] == 2
        assert parents(session) == {"Shed": None, "Roof": "Shed"}

    def test_the_tasks_below_count_too(self, service, manager, session, factories):
        shed = factories.Task(title="Shed", external_ref="A")
        roof = factories.Task(title="Roof", external_ref="B", parent_id=shed.id)
        factories.Task(title="Tiles", external_ref="C", parent_id=roof.id)
        lines = [HEADER, "Shed,,A,D", "Garden,,D,"]

        outcome = upload(service, manager, *lines, on_duplicate=DuplicatePolicy.UPDATE)
        left = upload(service, manager, *lines, "Tiles,,C,", on_duplicate=DuplicatePolicy.UPDATE)

        assert problems(service, manager, outcome)[1][2].startswith("below 'D' there would be more than 3 levels")
        assert problems(service, manager, left) == {}
        assert parents(session) == {"Shed": "Garden", "Roof": "Shed", "Tiles": None, "Garden": None}

    @pytest.mark.parametrize("change", ["deleted", "moved", "deeper"])
    @pytest.mark.parametrize("mode", ImportMode)
    def test_a_parent_that_became_impossible_is_named(
        self, service, manager, session, factories, clock, monkeypatch, change, mode
    ):
        """Somebody changes it between the judgement and the link."""
        top = factories.Task(title="Top")
        above = factories.Task(title="Above", parent_id=top.id)
        shed = factories.Task(title="Shed", external_ref="A")
        other = factories.Project(key="OPS", includes_everyone=True)
        values = {
            "deleted": {"deleted_at": clock()},
            "moved": {"project_id": other.id},
            "deeper": {"parent_id": above.id},
        }

        def before_linking(links, task_import, rows):
            session.execute(update(Task).where(Task.id == shed.id).values(values[change]))
            return link(links, task_import, rows)

        link = ImportLinkService._link
        monkeypatch.setattr(ImportLinkService, "_link", before_linking)

        rows = ["Roof,,,A", "Wall,,B,", "Door,,,B"]
        outcome = upload(service, manager, HEADER, *rows, mode=mode, on_duplicate=DuplicatePolicy.UPDATE)

        reason = "'A' can no longer be the parent, because tasks were changed meanwhile"
        if mode is ImportMode.SKIP_BAD:
            assert problems(service, manager, outcome) == {1: ("parent", "A", f"{reason}{LEFT_OUT}")}
            assert parents(session)["Roof"] is None
            assert parents(session)["Door"] == "Wall"
        else:
            assert outcome.row.values["failure"] == f"line 2: {reason}; nothing was imported"

    @pytest.mark.parametrize("change", ["moved", "deeper"])
    @pytest.mark.parametrize("mode", ImportMode)
    def test_so_is_one_that_became_impossible_before_the_tasks_were_created(
        self, service, manager, session, factories, monkeypatch, change, mode
    ):
        top = factories.Task(title="Top")
        above = factories.Task(title="Above", parent_id=top.id)
        shed = factories.Task(title="Shed", external_ref="A")
        other = factories.Project(key="OPS", includes_everyone=True)
        values = {"moved": {"project_id": other.id}, "deeper": {"parent_id": above.id}}

        def choose(links, task_import, rows):
            choose_parents(links, task_import, rows)
            session.execute(update(Task).where(Task.id == shed.id).values(values[change]))

        choose_parents = ImportLinkRepository.choose_parents
        monkeypatch.setattr(ImportLinkRepository, "choose_parents", choose)

        outcome = upload(service, manager, HEADER, "Roof,,,A", "Wall,,B,", "Door,,,B", mode=mode)

        reasons = {
            "moved": "'A' is no task of the file or the project",
            "deeper": "below 'A' there would be more than 3 levels",
        }
        if mode is ImportMode.SKIP_BAD:
            assert problems(service, manager, outcome) == {1: ("parent", "A", f"{reasons[change]}{LEFT_OUT}")}
            assert parents(session)["Roof"] is None
            assert parents(session)["Door"] == "Wall"
        else:
            assert outcome.row.values["failure"] == f"line 2: {reasons[change]}; nothing was imported"


names = st.sampled_from(["", "", "R-1", "R-2", "R-3", "E-1", "E-2", "GEN-901", "T-1", "none"])


class TestAnyFile:
    @pytest.mark.slow
    @given(
        rows=st.lists(st.tuples(names, names, names), min_size=1, max_size=8),
        block_rows=st.integers(1, 4),
        mode=st.sampled_from(ImportMode),
        policy=st.sampled_from(DuplicatePolicy),
    )
    @hypothesis_settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    def test_a_dry_run_tells_what_an_import_does(
        self, session, service, factories, boss, monkeypatch, rows, block_rows, mode, policy
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        project = factories.Project(includes_everyone=True)
        above = factories.Task(project_id=project.id, title="T-1", external_ref="T-1")
        factories.Task(project_id=project.id, title="E-1", external_ref="E-1", parent_id=above.id)
        lines = [f"{number % 5},{ref},{external},{parent}" for number, (ref, external, parent) in enumerate(rows)]
        options = {"project": project.key, "mode": mode, "on_duplicate": policy}

        dry = upload(service, boss, HEADER, *lines, **options, is_dry_run=True)
        real = upload(service, boss, HEADER, *lines, **options)

        assert problems(service, boss, dry) == problems(service, boss, real)
        assert counts_of(dry) == counts_of(real)


def problems(service, actor, outcome):
    page = service.list_errors(actor, outcome.import_id, cursor=None, limit=200)
    return {item["row"]: (item["column"], item["value"], item["reason"]) for item in page.items}
