"""PostgreSQL's plans for the parents that the rows of a file name, beside the rows of another import."""

import pytest
from sqlalchemy import text

from app.models.imports.task_import import ImportState, TaskImport
from app.repositories.imports.links import ImportLinkRepository
from app.repositories.imports.queue import RowRange
from tests.repositories.plans.large_database import NOW

FILE_ROWS = 20_000
BLOCK = RowRange(5_001, 5_500)
BLOCK_ROWS = 500
# Each row is looked up under several names, and its parents up to the top.
ROWS_READ = 8 * BLOCK_ROWS


class TestLinks:
    def test_finding_parents_reads_the_rows_of_the_block(self, session, plans, task_import):
        with plans() as seen:
            ImportLinkRepository(session).find_parents(task_import, BLOCK)

        assert len(seen) == 1
        assert seen.problems(ROWS_READ) == []

    def test_judging_parents_reads_the_rows_of_the_block(self, session, plans, task_import):
        links = ImportLinkRepository(session)
        links.find_parents(task_import, BLOCK)

        with plans() as seen:
            links.judge(task_import, BLOCK)
            bad = links.list_bad(task_import, BLOCK)

        assert {link.problem for link in bad} == {"unknown", "too_deep"}
        assert len(seen) == 3
        assert seen.problems(ROWS_READ) == []

    def test_setting_parents_reads_the_rows_of_the_block(self, session, plans, task_import):
        links = ImportLinkRepository(session)
        links.find_parents(task_import, BLOCK)
        links.judge(task_import, BLOCK)

        with plans() as seen:
            links.link(task_import, BLOCK, now=NOW)

        assert len(seen) == 3
        assert seen.problems(ROWS_READ) == []


@pytest.fixture
def task_import(session):
    """An import that has noted its rows, as another one has. The rows are tasks of the project with the id 7."""
    imports = [TaskImport(creator_id=1, project_id=7, filename="a.csv", state=ImportState.LOADING) for _ in range(2)]
    session.add_all(imports)
    session.flush()
    for each in imports:
        session.execute(text(NOTED), {"import_id": each.id, "count": FILE_ROWS})
    ImportLinkRepository(session).prepare()
    return imports[0]


# A row in four names no parent, one a task that does not exist, and two the row before, by each of its names.
NOTED = """
    INSERT INTO import_links (import_id, row_number, node, ref, external_ref, parent, may_decide, is_counted)
    SELECT :import_id, n, id, ref, external_ref,
           CASE n % 4 WHEN 0 THEN lag(ref) OVER (ORDER BY n)
                      WHEN 1 THEN lag(external_ref) OVER (ORDER BY n)
                      WHEN 2 THEN 'P7-999999999' END, true, true
      FROM (SELECT row_number() OVER (ORDER BY id) AS n, id, 'P7-' || number AS ref, 'EXT-' || id AS external_ref
              FROM tasks WHERE project_id = 7 AND deleted_at IS NULL ORDER BY id LIMIT :count) AS rows
"""
