import pytest

from app.models.people.user import Role
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.queries.daily_log import TaskLogQuery
from app.repositories.daily_log.days import LOG_FIELDS
from tests.services.daily_log.days.march import MORNING, NOON, TODAY, YESTERDAY, task_since
from tests.services.daily_log.export.rows import csv_of, exported, listed


class TestRows:
    def test_a_row_has_the_fields_of_the_json(self, service, services, boss, factories, log_days):
        ada = factories.User(username="Ada")
        task = task_since(
            MORNING, title="Paint, or not", status="blocked", priority="high", assignee_id=ada.id, due_at=NOON
        )
        log_days(1)

        (row,) = exported(service, boss)

        assert list(row) == list(LOG_FIELDS)
        assert row == {
            "id": row["id"],
            "log_date": "2026-03-09",
            "task_id": str(task.id),
            "ref": f"GEN-{task.number}",
            "project": "GEN",
            "title": "Paint, or not",
            "status": "blocked",
            "priority": "high",
            "assignee": "Ada",
            "due_at": "2026-03-10T12:00:00.000000+00:00",
        }
        assert listed(services, boss) == [row]

    def test_without_rows_it_is_a_header(self, service, boss):
        assert b"".join(lines.content for lines in service.write_csv(boss, TaskLogQuery())) == (
            ",".join(LOG_FIELDS).encode() + b"\r\n"
        )

    @pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@x", "'=1"])
    def test_formulas_are_defused(self, service, boss, factories, log_days, words):
        task_since(MORNING, title=words, assignee_id=factories.User(username=words).id)
        log_days(1)

        (row,) = exported(service, boss)

        assert (row["title"], row["assignee"]) == (f"'{words}", f"'{words}")

    @pytest.mark.parametrize("task_count", [1, 2, 3, 4, 5])
    def test_slices_and_days_join_without_gaps_or_duplicates(
        self, service, services, boss, log_days, small_slices, task_count
    ):
        for _ in range(task_count):
            task_since(MORNING)
        log_days(3)

        rows = exported(service, boss)

        assert rows == listed(services, boss)
        assert len({(row["log_date"], row["task_id"]) for row in rows}) == len(rows) == 3 * task_count

    def test_each_piece_says_how_many_rows_it_has(self, service, boss, log_days, small_slices):
        for _ in range(3):
            task_since(MORNING)
        log_days(1)

        assert [lines.row_count for lines in service.write_csv(boss, TaskLogQuery())] == [0, 2, 1]

    def test_another_use_case_fits_between_two_pieces(self, service, services, boss, log_days, small_slices):
        for number in range(5):
            task_since(MORNING, title=f"T{number}")
        log_days(1)
        pieces = service.write_csv(boss, TaskLogQuery())
        start = [next(pieces), next(pieces)]

        services.tasks.create(boss, {"title": "Meanwhile"})

        assert [row["title"] for row in csv_of([*start, *pieces])] == [f"T{number}" for number in range(5)]


class TestFilters:
    @pytest.mark.parametrize(
        "filters",
        [
            {"on": TODAY},
            {"on": YESTERDAY, "since": TODAY},
            {"on": YESTERDAY, "until": TODAY},
            {"since": TODAY},
            {"until": YESTERDAY},
            {"since": YESTERDAY, "until": TODAY},
            {"status": TaskStatus.BLOCKED},
            {"assignee": "ADA"},
            {"assignee": "none", "on": TODAY},
            {"project": "OPS"},
            {"project": "NONE"},
            {"status": TaskStatus.DONE},
        ],
    )
    def test_select_the_rows_that_they_select_in_the_list(
        self, service, services, boss, ops, factories, log_days, small_slices, filters
    ):
        ada = factories.User(username="ada")
        for _ in range(3):
            task_since(MORNING, status="blocked")
            task_since(MORNING, assignee_id=ada.id, priority=TaskPriority.LOW)
            task_since(MORNING, project_id=ops.id)
        log_days(3)

        assert exported(service, boss, **filters) == listed(services, boss, **filters)

    def test_one_task_may_be_selected(self, service, boss, log_days):
        task, _other = task_since(MORNING), task_since(MORNING)
        log_days(2)

        rows = exported(service, boss, task_id=task.id)

        assert [(row["log_date"], row["task_id"]) for row in rows] == [
            ("2026-03-10", str(task.id)),
            ("2026-03-09", str(task.id)),
        ]


class TestAccess:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER, Role.MANAGER])
    def test_a_file_has_only_ones_own_projects(self, service, services, factories, acting_as, ops, log_days, role):
        task_since(MORNING, title="Secret", project_id=ops.id)
        task_since(MORNING, title="Shared")
        log_days(2)
        member = factories.User(role=role)
        factories.ProjectMember(project_id=ops.id, user_id=member.id)
        stranger = acting_as(factories.User(role=role))

        assert {row["title"] for row in exported(service, acting_as(member))} == {"Secret", "Shared"}
        assert {row["title"] for row in exported(service, stranger)} == {"Shared"}
        assert exported(service, stranger, project="OPS") == []
