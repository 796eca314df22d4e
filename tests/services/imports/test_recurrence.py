"""A task has no recurrence rule without a deadline, whatever a file says."""

import pytest

from app.models.imports.task_import import DuplicatePolicy, ImportMode
from tests.services.imports.uploading import COUNTS, counts_of, upload
from tests.stored import list_tasks

UPDATE = DuplicatePolicy.UPDATE
WEEKLY = "FREQ=WEEKLY"
NEEDS_DEADLINE = "needs a deadline, from which it counts"
CLEARED = "is empty, and the task recurs from its deadline"


class TestNewTask:
    @pytest.mark.parametrize("policy", DuplicatePolicy)
    @pytest.mark.parametrize("header", ["title,due_at,recurrence", "title,recurrence"])
    def test_is_refused_with_a_rule_and_no_deadline(self, service, manager, session, policy, header):
        empty = "," * (header.count(",") - 1)
        rows = [f"Good,{empty}", f"Bad,{empty}{WEEKLY}"]

        dry = upload(service, manager, header, *rows, on_duplicate=policy, is_dry_run=True)
        outcome = upload(service, manager, header, *rows, on_duplicate=policy)

        assert problems(service, manager, outcome) == [(2, 3, "recurrence", WEEKLY, NEEDS_DEADLINE)]
        assert problems(service, manager, dry) == problems(service, manager, outcome)
        assert counts_of(dry) == counts_of(outcome) == dict(zip(COUNTS, (2, 1, 0, 0, 1, 1), strict=True))
        assert [task.title for task in list_tasks(session)] == ["Good"]

    @pytest.mark.parametrize("policy", DuplicatePolicy)
    def test_has_both(self, service, manager, session, policy):
        outcome = upload(
            service, manager, "title,Recurrence,due", f"One,{WEEKLY},2026-03-01", "Two,,2026-03-01", on_duplicate=policy
        )

        assert counts_of(outcome)["created_count"] == 2
        assert [task.recurrence for task in list_tasks(session)] == [WEEKLY, None]

    def test_is_named_once_if_its_rule_or_its_deadline_cannot_be_read(self, service, manager):
        rows = ["One,never,", f"Two,{WEEKLY},soon", f"{'x' * 256},{WEEKLY},"]
        outcome = upload(service, manager, "title,recurrence,due_at", *rows)

        assert [(row, column) for row, _, column, _, _ in problems(service, manager, outcome)] == [
            (1, "recurrence"),
            (2, "due_at"),
            (3, "title"),
            (3, "recurrence"),
        ]

    def test_refuses_a_file_of_all_or_nothing(self, service, manager, session):
        mode = ImportMode.ALL_OR_NOTHING
        outcome = upload(service, manager, "title,recurrence", "One,", f"Two,{WEEKLY}", mode=mode, on_duplicate=UPDATE)

        assert outcome.row.values["failure"] == "1 row was refused, so nothing was imported"
        assert list_tasks(session) == []


class TestUpdate:
    def test_may_not_clear_the_deadline_of_a_task_that_recurs(self, service, manager, session, existing):
        lines = ["title,due_at,external_ref", "One again,,A", "Two again,,B", "New,,D"]

        dry = upload(service, manager, *lines, on_duplicate=UPDATE, is_dry_run=True)
        outcome = upload(service, manager, *lines, on_duplicate=UPDATE)

        assert problems(service, manager, outcome) == [(1, 2, "due_at", "", CLEARED)]
        assert problems(service, manager, dry) == problems(service, manager, outcome)
        assert counts_of(dry) == counts_of(outcome) == dict(zip(COUNTS, (3, 1, 1, 0, 1, 1), strict=True))
        assert [task.title for task in list_tasks(session)] == ["One", "Two again", "Three", "New"]

    def test_may_clear_both(self, service, manager, session, existing):
        lines = ["title,due_at,recurrence,external_ref", "One,,,A", f"Two,,{WEEKLY},B"]

        outcome = upload(service, manager, *lines, on_duplicate=UPDATE)

        assert problems(service, manager, outcome) == [(2, 3, "recurrence", WEEKLY, NEEDS_DEADLINE)]
        assert next((task.due_at, task.recurrence) for task in list_tasks(session)) == (None, None)

    def test_may_give_a_rule_to_a_task_with_a_deadline(self, service, manager, session, existing, small_blocks):
        """Also if an earlier block of the file has created the task."""
        rows = [f"Two,{WEEKLY},B", f"Three,{WEEKLY},C", "Four,,D", f"Four,{WEEKLY},D"]

        lines = ["title,recurrence,external_ref", *rows]
        dry = upload(service, manager, *lines, on_duplicate=UPDATE, is_dry_run=True)
        outcome = upload(service, manager, *lines, on_duplicate=UPDATE)

        assert [row for row, *_ in problems(service, manager, outcome)] == [2, 4]
        assert problems(service, manager, dry) == problems(service, manager, outcome)
        assert counts_of(dry) == counts_of(outcome) == dict(zip(COUNTS, (4, 1, 1, 0, 2, 2), strict=True))
        assert [task.recurrence for task in list_tasks(session)] == [WEEKLY, WEEKLY, None, None]

    def test_leaves_out_a_row_that_would_have_come_first(self, service, manager, session):
        rows = [f"One,{WEEKLY},A", "One,,A"]
        outcome = upload(service, manager, "title,recurrence,external_ref", *rows, on_duplicate=UPDATE)

        assert counts_of(outcome) == dict(zip(COUNTS, (2, 1, 0, 0, 1, 1), strict=True))
        assert [task.recurrence for task in list_tasks(session)] == [None]

    def test_the_row_of_a_parent_may_be_refused(self, service, manager, session, existing):
        lines = ["title,due_at,external_ref,parent", "One,,A,", "New,,D,A"]

        outcome = upload(service, manager, *lines, on_duplicate=UPDATE)

        assert [(row, reason.partition(";")[0]) for row, *_, reason in problems(service, manager, outcome)] == [
            (1, CLEARED),
            (2, "the row of 'A' was refused"),
        ]


def problems(service, actor, outcome):
    page = service.list_errors(actor, outcome.import_id, cursor=None, limit=200)
    return [(item["row"], item["line"], item["column"], item["value"], item["reason"]) for item in page.items]


@pytest.fixture
def existing(factories, clock):
    """A recurs, B has a deadline, and C has neither."""
    factories.Task(title="One", external_ref="A", due_at=clock(), recurrence=WEEKLY)
    factories.Task(title="Two", external_ref="B", due_at=clock())
    factories.Task(title="Three", external_ref="C")
