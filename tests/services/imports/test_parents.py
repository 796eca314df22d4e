"""The parents that a file names: which task a name means, and what each option makes of it."""

import io
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import aliased

from app.models.imports.link import ImportLink
from app.models.imports.task_import import DuplicatePolicy, ImportBlock, ImportMode
from app.models.tasks.fields import MAX_LEVELS
from app.models.tasks.task import Task
from app.models.tasks.version import TaskVersion
from app.queries.tasks import TaskQuery
from app.services.imports.imports import ImportOptions
from tests.services.imports.uploading import COUNTS, counts_of, report, upload
from tests.stored import count, list_tasks

UPDATE, SKIP = DuplicatePolicy.UPDATE, DuplicatePolicy.SKIP
ROWS = ("Shed,OPS-1,", "Roof,OPS-2,OPS-1", "Tiles,OPS-3,OPS-2", "Fence,OPS-4,")


class TestNames:
    @pytest.mark.parametrize("rows", list(permutations(ROWS)))
    @pytest.mark.parametrize("mode", ImportMode)
    def test_a_parent_is_a_row_before_or_after(self, service, manager, session, monkeypatch, rows, mode):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 1)

        outcome = upload(service, manager, "title,ref,parent", *rows, mode=mode)

        assert counts_of(outcome) == dict(zip(COUNTS, (4, 4, 0, 0, 0, 0), strict=True))
        assert parents(session) == {"Shed": None, "Roof": "Shed", "Tiles": "Roof", "Fence": None}
        assert count(session, ImportLink) == count(session, ImportBlock) == 0

    @pytest.mark.parametrize("name", ["ops-1", "OPS-1", " Ops-1 "])
    def test_the_case_of_a_ref_does_not_matter(self, service, manager, session, name):
        upload(service, manager, "title,ref,parent", "Shed,oPs-1,", f"Roof,,{name}")

        assert parents(session)["Roof"] == "Shed"

    def test_a_reference_of_another_system_names_a_row(self, service, manager, session):
        upload(service, manager, "title,external_ref,parent", "Roof,B,=A", "Shed,=A,", "Wall,C,'=A")

        assert parents(session) == {"Roof": "Shed", "Shed": None, "Wall": "Shed"}

    def test_a_ref_or_a_reference_names_a_task_of_the_project(self, service, manager, session, factories):
        shed, barn = factories.Task(title="Shed", number=41), factories.Task(title="Barn", external_ref="A")

        outcome = upload(service, manager, "title,parent", f"Roof,gen-{shed.number}", "Wall,A", "Door,GEN-041")

        assert report(service, manager, outcome) == []
        assert parents(session)["Roof"] == parents(session)["Door"] == shed.title
        assert parents(session)["Wall"] == barn.title

    def test_a_row_comes_before_a_task_and_its_ref_before_a_reference(self, service, manager, session, factories):
        factories.Task(title="A task", number=901, external_ref="GEN-901")

        lines = ["title,ref,external_ref,parent", "By ref,GEN-901,,", "By reference,,GEN-901,", "Roof,,,GEN-901"]
        upload(service, manager, *lines)
        upload(service, manager, "title,ref,external_ref,parent", "Second,,X-1,", "Wall,,,X-1")

        assert parents(session)["Roof"] == "By ref"
        assert parents(session)["Wall"] == "Second"

    def test_without_the_column_refs_mean_nothing(self, service, manager, session):
        outcome = upload(service, manager, "title,ref", "Shed,OPS-1", "Roof,OPS-1")

        assert outcome.row.values["ignored_columns"] == []
        assert parents(session) == {"Shed": None, "Roof": None}

    def test_another_column_can_be_mapped_to_it(self, service, manager, session):
        lines = ["title,external_ref,Oberaufgabe", "Shed,A,", "Roof,B,A"]

        upload(service, manager, *lines, column_map={"oberaufgabe": "parent"})

        assert parents(session)["Roof"] == "Shed"

    def test_jira_names_parents_by_key_and_by_id(self, service, manager, session):
        header = "Summary,Issue key,Issue id,Parent,Parent key"
        lines = [header, "Epic,OPS-1,10001,,", "Story,OPS-2,10002,10001,OPS-1", "Sub-task,OPS-3,10003,10002,"]

        outcome = upload(service, manager, *lines)

        assert outcome.row.values["ignored_columns"] == []
        assert parents(session) == {"Epic": None, "Story": "Epic", "Sub-task": "Story"}

    def test_todoist_indents_subtasks(self, service, manager, session, monkeypatch):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 2)
        rows = ["Shed,1", "Roof,2", "Tiles,3", "Red ones,4", "Gutter,2", "Pipe,3", "Fence,1", "Post,3", "Nail,"]

        outcome = upload(service, manager, "TYPE,CONTENT,INDENT", *(f"task,{row}" for row in rows))

        assert outcome.row.values["ignored_columns"] == []
        assert report(service, manager, outcome) == []
        assert parents(session) == {
            "Shed": None,
            "Roof": "Shed",
            "Tiles": "Roof",
            "Red ones": "Roof",
            "Gutter": "Shed",
            "Pipe": "Gutter",
            "Fence": None,
            "Post": "Fence",
            "Nail": None,
        }


class TestHistory:
    def test_a_task_is_created_with_its_parent(self, service, manager, session, factories, monkeypatch):
        """The parent comes before it, in its own block, or is a task of the project."""
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 2)
        factories.Task(title="House", external_ref="A")
        rows = ["Roof,OPS-2,OPS-1", "Shed,OPS-1,A", "Tiles,OPS-3,OPS-1", "Door,,A"]

        upload(service, manager, "title,ref,parent", *rows)

        assert parents(session) == {"House": None, "Roof": "Shed", "Shed": "House", "Tiles": "Shed", "Door": "House"}
        assert {len(versions(session, title)) for title in ("Roof", "Shed", "Tiles", "Door")} == {1}
        assert {task.version for task in list_tasks(session)} == {1}

    def test_the_uploader_signs_a_later_link(self, service, manager, session, monkeypatch):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 1)

        upload(service, manager, "title,ref,parent", "Roof,OPS-2,OPS-1", "Shed,OPS-1,", "Door,OPS-3,OPS-1")

        assert [version.parent_id is None for version in versions(session, "Roof")] == [True, False]
        assert [version.parent_id is None for version in versions(session, "Door")] == [False]
        assert {version.actor_id for version in versions(session, "Roof")} == {manager.user_id}

    def test_a_parent_is_taken_back_if_a_later_row_has_its_name(
        self, service, manager, session, factories, monkeypatch
    ):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 1)
        factories.Task(title="A task", external_ref="B")
        rows = ["Shed,A,", "Roof,,A", "Wall,,B", "Barn,A,", "House,B,"]

        outcome = upload(service, manager, "title,external_ref,parent", *rows)

        assert [row for row, *_ in report(service, manager, outcome)] == [2]
        assert (parents(session)["Roof"], parents(session)["Wall"]) == (None, "House")
        assert [version.parent_id is None for version in versions(session, "Roof")] == [False, True]
        assert [version.parent_id is None for version in versions(session, "Wall")] == [False, True, False]


class TestDuplicates:
    @pytest.mark.parametrize("mode", ImportMode)
    def test_an_update_moves_tasks_and_detaches_them(self, service, manager, session, factories, small_blocks, mode):
        shed = factories.Task(title="Shed", external_ref="A")
        factories.Task(title="Roof", external_ref="B", parent_id=shed.id)
        factories.Task(title="Tiles", external_ref="C", parent_id=shed.id)
        factories.Task(title="Fence", external_ref="D")
        rows = ["Roof,B,D", "Shed,A,", "Tiles,C,", "Fence,D,E", "Garden,E,"]
        options = {"on_duplicate": UPDATE, "mode": mode}

        dry = upload(service, manager, "title,external_ref,parent", *rows, **options, is_dry_run=True)
        outcome = upload(service, manager, "title,external_ref,parent", *rows, **options)
        again = upload(service, manager, "title,external_ref,parent", *rows, **options, key="again")

        assert counts_of(dry) == counts_of(outcome) == dict(zip(COUNTS, (5, 1, 3, 1, 0, 0), strict=True))
        assert counts_of(again) == dict(zip(COUNTS, (5, 0, 0, 5, 0, 0), strict=True))
        assert parents(session) == {"Shed": None, "Roof": "Fence", "Tiles": None, "Fence": "Garden", "Garden": None}

    def test_a_tree_can_be_turned_upside_down(self, service, manager, session, factories, monkeypatch):
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", 1)
        shed = factories.Task(title="Shed", external_ref="A")
        roof = factories.Task(title="Roof", external_ref="B", parent_id=shed.id)
        factories.Task(title="Tiles", external_ref="C", parent_id=roof.id)

        lines = ["title,external_ref,parent", "Shed,A,B", "Roof,B,C", "Tiles,C,"]
        outcome = upload(service, manager, *lines, on_duplicate=UPDATE)

        assert (counts_of(outcome)["updated_count"], report(service, manager, outcome)) == (3, [])
        assert parents(session) == {"Shed": "Roof", "Roof": "Tiles", "Tiles": None}

    @pytest.mark.parametrize("policy", [UPDATE, SKIP])
    def test_the_same_file_twice_changes_nothing(self, service, manager, session, policy, small_blocks):
        upload(service, manager, "title,ref,parent", *ROWS)
        before = session.execute(select(Task.__table__).order_by(Task.id)).all()

        outcome = upload(service, manager, "title,ref,parent", *ROWS, on_duplicate=policy)

        assert counts_of(outcome) == dict(zip(COUNTS, (4, 0, 0, 4, 0, 0), strict=True))
        assert session.execute(select(Task.__table__).order_by(Task.id)).all() == before

    def test_skipped_tasks_keep_their_parents_and_can_become_parents(self, service, manager, session, factories):
        shed = factories.Task(title="Shed", external_ref="A")
        factories.Task(title="Roof", external_ref="B", parent_id=shed.id)

        lines = ["title,external_ref,parent", "Shed,A,nothing", "Roof,B,", "Tiles,C,B"]
        outcome = upload(service, manager, *lines, on_duplicate=SKIP)

        assert report(service, manager, outcome) == []
        assert parents(session) == {"Shed": None, "Roof": "Shed", "Tiles": "Roof"}

    def test_a_file_without_the_column_leaves_them(self, service, manager, session, factories):
        shed = factories.Task(title="Shed", external_ref="A")
        factories.Task(title="Roof", external_ref="B", parent_id=shed.id)

        upload(service, manager, "title,external_ref", "Shed,A", "Tin roof,B", on_duplicate=UPDATE)

        assert parents(session) == {"Shed": None, "Tin roof": "Shed"}

    def test_the_last_row_of_a_task_decides(self, service, manager, session, small_blocks):
        rows = ["Shed,A,", "Barn,B,", "Roof,C,A", "Fence,D,", "Roof,C,B", "Roof,C,B"]
        options = {"on_duplicate": UPDATE}

        dry = upload(service, manager, "title,external_ref,parent", *rows, **options, is_dry_run=True)
        outcome = upload(service, manager, "title,external_ref,parent", *rows, **options)

        assert counts_of(dry) == counts_of(outcome) == dict(zip(COUNTS, (6, 4, 1, 1, 0, 0), strict=True))
        assert parents(session)["Roof"] == "Barn"


class TestRoundTrip:
    @pytest.mark.slow
    @given(
        tree=st.lists(st.integers(0, 8), min_size=1, max_size=9),
        order=st.randoms(use_true_random=False),
        block_rows=st.integers(1, 5),
        mode=st.sampled_from(ImportMode),
        policy=st.sampled_from(DuplicatePolicy),
    )
    @hypothesis_settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    def test_an_export_imports_with_its_tree(
        self, session, services, factories, boss, monkeypatch, tree, order, block_rows, mode, policy
    ):
        """In any order of the rows, into another project and back into its own."""
        monkeypatch.setattr("app.csv_files.blocks.BLOCK_ROWS", block_rows)
        source, target = (factories.Project(includes_everyone=True) for _ in range(2))
        tasks, levels = [], []
        for number, above in enumerate(tree):
            parent = above if above < len(tasks) and levels[above] < MAX_LEVELS else None
            levels.append(1 if parent is None else levels[parent] + 1)
            parent_id = None if parent is None else tasks[parent].id
            tasks.append(factories.Task(project_id=source.id, title=str(number), parent_id=parent_id))
        query = TaskQuery(projects=(source.key,))
        header, *rows = b"".join(lines.content for lines in services.task_export.write(boss, query)).splitlines(True)
        order.shuffle(rows)
        content = b"".join([header, *rows])
        before = parents(session, source.id)

        def load(project, policy):
            options = ImportOptions(project=project.key, mode=mode, on_duplicate=policy)
            file = io.BytesIO(content)
            return counts_of(services.imports.import_csv(boss, file, filename="tasks.csv", options=options))

        assert load(target, policy) == dict(zip(COUNTS, (len(tree), len(tree), 0, 0, 0, 0), strict=True))
        assert parents(session, target.id) == before
        assert load(source, UPDATE) == dict(zip(COUNTS, (len(tree), 0, 0, len(tree), 0, 0), strict=True))
        assert parents(session, source.id) == before


def versions(session, title):
    statement = select(TaskVersion).where(TaskVersion.title == title).order_by(TaskVersion.revision)
    return session.scalars(statement).all()


def parents(session, project_id=None):
    """The title of each task's parent, by its own title."""
    parent = aliased(Task)
    statement = select(Task.title, parent.title).join(parent, parent.id == Task.parent_id, isouter=True)
    if project_id is not None:
        statement = statement.where(Task.project_id == project_id)
    return dict(session.execute(statement).all())
