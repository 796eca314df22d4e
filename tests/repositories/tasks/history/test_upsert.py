"""The triggers write the versions that INSERT … ON CONFLICT and MERGE make."""

import pytest

from tests.repositories.tasks.history.march import EVENING, FOREVER, NOON

pytestmark = pytest.mark.usefixtures("clock")


class TestUpsert:
    def test_on_conflict_the_existing_row_gets_a_version_and_the_new_one_its_first(
        self, run, versions, values_of, clock
    ):
        run(f"INSERT INTO tasks {values_of(1)}")
        clock.now = EVENING

        run(f"""
            INSERT INTO tasks {values_of(1, 2)}
                ON CONFLICT (project_id, number) DO UPDATE SET title = 'Conflicted'
        """)

        assert [(version.number, version.revision, version.title, version.valid_from) for version in versions()] == [
            (1, 1, "One", NOON),
            (1, 2, "Conflicted", EVENING),
            (2, 1, "One", EVENING),
        ]

    def test_on_conflict_without_a_change_makes_no_version(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(1)}")
        clock.now = EVENING

        run(f"""
            INSERT INTO tasks {values_of(1)}
                ON CONFLICT (project_id, number) DO UPDATE SET title = excluded.title
        """)

        assert len(versions()) == 1

    def test_a_merge_may_insert_update_and_delete_at_once(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(1, 2, 3)}")
        clock.now = EVENING

        run("""
            MERGE INTO tasks AS t
            USING (VALUES (1, 'Merged'), (2, 'Gone'), (4, 'New')) AS said (number, title) ON said.number = t.number
             WHEN MATCHED AND said.title = 'Gone' THEN DELETE
             WHEN MATCHED THEN UPDATE SET title = said.title
             WHEN NOT MATCHED THEN INSERT (project_id, number, title, status, priority, creator_id, position)
                  VALUES ((SELECT max(project_id) FROM tasks), said.number, said.title, 'todo', 'low',
                          (SELECT max(creator_id) FROM tasks), 4)
        """)

        versions_found = [
            (version.number, version.title, version.valid_from, version.valid_to) for version in versions()
        ]
        assert versions_found == [
            (1, "One", NOON, EVENING),
            (1, "Merged", EVENING, FOREVER),
            (2, "One", NOON, EVENING),
            (3, "One", NOON, FOREVER),
            (4, "New", EVENING, FOREVER),
        ]

    def test_a_statement_may_contain_several_changes(self, run, versions, values_of, clock):
        run(f"INSERT INTO tasks {values_of(1, 2)}")
        clock.now = EVENING

        run(f"""
            WITH removed AS (DELETE FROM tasks WHERE number = 1 RETURNING id),
                 made AS (INSERT INTO tasks {values_of(3)} RETURNING id)
            UPDATE tasks SET title = 'Changed' WHERE number = 2
        """)

        assert [(version.number, version.title, version.valid_to) for version in versions()] == [
            (1, "One", EVENING),
            (2, "One", EVENING),
            (2, "Changed", FOREVER),
            (3, "One", FOREVER),
        ]
