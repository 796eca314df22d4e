"""A project keeps the words of its last import for the next one."""

import pytest

from app.errors import UnreadableCsvError
from app.models.tasks.fields import EXPORTED, IMPORTED_COLUMNS, TaskPriority, TaskStatus
from app.queries.tasks import TaskQuery
from tests.services.imports.uploading import upload
from tests.stored import list_tasks

LINES = ("task_name,status,priority", "One,this week,p1")
STATUSES = {"this week": TaskStatus.IN_PROGRESS}
PRIORITIES = {"p1": TaskPriority.HIGH}


class TestKept:
    def test_an_import_that_names_no_map_uses_those_of_the_last_one(self, service, manager, session):
        first = upload(service, manager, *LINES, status_map=STATUSES, priority_map=PRIORITIES)
        second = upload(service, manager, *LINES)

        assert (first.created_count, second.created_count) == (1, 1)
        assert [(task.status, task.priority) for task in list_tasks(session)] == [
            (TaskStatus.IN_PROGRESS, TaskPriority.HIGH)
        ] * 2

    def test_a_map_that_is_named_replaces_only_its_own(self, service, services, manager):
        upload(service, manager, *LINES, status_map=STATUSES, priority_map=PRIORITIES)
        upload(service, manager, *LINES, status_map={"this week": TaskStatus.TODO})

        kept = services.import_mappings.get(manager, "GEN").values
        assert (kept["status_map"], kept["priority_map"]) == ({"this week": "todo"}, {"p1": "high"})

    def test_an_empty_map_means_no_words_for_this_import(self, service, services, manager):
        upload(service, manager, *LINES, status_map=STATUSES, priority_map=PRIORITIES)
        before = services.import_mappings.get(manager, "GEN")

        assert upload(service, manager, *LINES, status_map={}).refused_count == 1
        assert services.import_mappings.get(manager, "GEN") == before
        assert upload(service, manager, *LINES).created_count == 1

    def test_a_dry_run_uses_the_words_and_keeps_none(self, service, services, manager):
        outcome = upload(service, manager, *LINES, status_map=STATUSES, priority_map=PRIORITIES, is_dry_run=True)

        assert outcome.created_count == 1
        assert services.import_mappings.get(manager, "GEN").version == 0

    def test_a_refused_file_keeps_none(self, service, services, manager):
        with pytest.raises(Exception, match="quote"):
            upload(service, manager, "task_name", '"Open', status_map=STATUSES)

        assert services.import_mappings.get(manager, "GEN").version == 0

    def test_each_project_has_its_own(self, service, manager, ops_manager):
        upload(service, manager, *LINES, status_map=STATUSES, priority_map=PRIORITIES)

        assert upload(service, ops_manager, *LINES, project="OPS").refused_count == 1

    def test_the_words_of_an_import_are_those_of_its_upload(self, service, services, manager, session):
        waiting = upload(service, manager, *LINES, status_map=STATUSES, priority_map=PRIORITIES, wait_seconds=0)
        services.import_mappings.clear(manager, "GEN")

        services.import_runs.run_waiting()

        assert not waiting.is_finished
        assert [task.status for task in list_tasks(session)] == [TaskStatus.IN_PROGRESS]


class TestColumns:
    LINES = ("Titel;Zustand", "Eins;todo")
    COLUMNS = {"titel": "title", "zustand": "status"}  # noqa: RUF012

    def test_the_next_file_with_these_columns_is_read(self, service, manager, session):
        first = upload(service, manager, *self.LINES, column_map=self.COLUMNS)
        second = upload(service, manager, *self.LINES)

        assert (first.created_count, second.created_count) == (1, 1)
        assert [task.title for task in list_tasks(session)] == ["Eins", "Eins"]

    def test_a_file_without_a_title_is_refused_before_it_is_kept(self, service, services, manager):
        with pytest.raises(UnreadableCsvError, match="column_map"):
            upload(service, manager, *self.LINES, column_map={"zustand": "status"})

        assert services.import_mappings.get(manager, "GEN").version == 0

    def test_the_key_finds_its_import_whatever_the_columns_mean_now(self, service, services, manager):
        first = upload(service, manager, *self.LINES, key="k", column_map=self.COLUMNS)
        services.import_mappings.clear(manager, "GEN")

        assert upload(service, manager, *self.LINES, key="k", column_map=self.COLUMNS).import_id == first.import_id


class TestOurOwnFiles:
    """A file with all columns of our export is read without the words that the project has kept."""

    MAPS = {  # noqa: RUF012
        "column_map": {"status": None, "ref": "external_ref", "project": "labels", "creator": "assignee"},
        "people_map": {"ada": None},
    }

    def test_an_export_is_read_as_it_was_written(self, service, services, manager, factories, session):
        ada = factories.User(username="ada")
        task = factories.Task(status=TaskStatus.BLOCKED, priority=TaskPriority.LOW, assignee_id=ada.id, labels=["x"])
        services.import_mappings.replace(manager, "GEN", self.MAPS)
        written = b"".join(lines.content for lines in services.task_export.write(manager, TaskQuery()))

        upload(service, manager, *written.decode().splitlines())

        first, second = list_tasks(session)
        assert first.id == task.id
        for name in IMPORTED_COLUMNS.values():
            assert getattr(second, name) == getattr(first, name)

    def test_a_map_that_its_import_names_is_used(self, service, services, manager, session):
        services.import_mappings.replace(manager, "GEN", self.MAPS)
        row = ["Paint" if name == "title" else "ada" if name == "assignee" else "" for name in EXPORTED]

        upload(service, manager, ",".join(EXPORTED), ",".join(row), column_map={"assignee": None})

        assert [(task.title, task.assignee_id) for task in list_tasks(session)] == [("Paint", None)]


class TestSentAgain:
    def test_the_same_file_with_words_that_changed_since_is_another_import(self, service, services, manager):
        services.import_mappings.replace(manager, "GEN", {"status_map": STATUSES, "priority_map": PRIORITIES})
        first = upload(service, manager, *LINES, wait_seconds=0)
        same = upload(service, manager, *LINES, wait_seconds=0)
        services.import_mappings.replace(
            manager, "GEN", {"status_map": {"this week": TaskStatus.DONE}, "priority_map": PRIORITIES}
        )

        other = upload(service, manager, *LINES, wait_seconds=0)

        assert same.import_id == first.import_id
        assert other.import_id != first.import_id

    def test_with_its_key_a_file_is_the_first_import_whatever_the_words_are_now(self, service, services, manager):
        first = upload(service, manager, *LINES, key="k", status_map=STATUSES, priority_map=PRIORITIES)
        services.import_mappings.clear(manager, "GEN")

        again = upload(service, manager, *LINES, key="k", status_map=STATUSES, priority_map=PRIORITIES)

        assert again.import_id == first.import_id
