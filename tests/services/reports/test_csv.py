import csv
import io

import pytest

from app.errors import InvalidError
from app.models.tasks.fields import ACTIVE_STATUSES, TaskStatus
from tests.services.reports.numbers import DAY, MONDAY, TUESDAY, aging, cycle_time, flow


class TestFlow:
    def test_a_day_is_a_row_with_the_numbers_of_the_json(self, service, services, mia, clock):
        task_id = services.tasks.create(mia, {"title": "One"}).id
        services.tasks.create(mia, {"title": "Two", "status": TaskStatus.BLOCKED})
        clock.advance(days=1)
        services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})

        header, *rows = read(service.write_flow(mia, since=MONDAY, until=TUESDAY, project=None))

        assert header == ["date", "todo", "in_progress", "blocked", "done", "cancelled"]
        assert rows == [["2026-03-09", "1", "0", "1", "0", "0"], ["2026-03-10", "0", "0", "1", "1", "0"]]
        assert rows == [
            [item["date"], *(str(number["task_count"]) for number in item["statuses"])]
            for item in flow(service, mia, MONDAY, TUESDAY)["items"]
        ]

    def test_counts_only_ones_own_projects(self, service, services, mia, viewer):
        services.tasks.create(mia, {"title": "Secret", "project": "OPS"})

        _header, row = read(service.write_flow(viewer, since=MONDAY, until=MONDAY, project=None))

        assert row == ["2026-03-09", "0", "0", "0", "0", "0"]

    def test_a_range_that_is_refused_as_json_is_refused(self, service, mia):
        with pytest.raises(InvalidError, match="is after"):
            service.write_flow(mia, since=TUESDAY, until=MONDAY, project=None)


class TestCycleTime:
    def test_a_week_is_a_row_with_the_numbers_of_the_json(self, service, services, mia, clock):
        for hours in (1, 2, 4):
            task_id = services.tasks.create(mia, {"title": "One", "status": TaskStatus.IN_PROGRESS}).id
            clock.advance(hours=hours)
            services.tasks.change(mia, task_id, {"status": TaskStatus.DONE})

        header, *rows = read(service.write_cycle_time(mia, since=MONDAY, until=None, project=None))

        assert header == ["week", "task_count", "p50_seconds", "p75_seconds", "p85_seconds", "p95_seconds"]
        (item,) = cycle_time(service, mia, MONDAY)["items"]
        assert [[row[0], int(row[1]), *map(float, row[2:])] for row in rows] == [
            [item["week"], item["task_count"], *item["seconds"].values()]
        ]
        assert rows[0][:3] == ["2026-03-09", "3", "7200"]

    def test_without_a_finished_task_it_is_a_header(self, service, mia):
        assert len(read(service.write_cycle_time(mia, since=None, until=None, project=None))) == 1


class TestAging:
    def test_an_age_is_a_row_with_the_numbers_of_the_json(self, service, services, mia, clock):
        for age, status in ((0, "todo"), (2, "blocked"), (200, "in_progress")):
            created_at = clock.now - age * DAY
            services.tasks.create(mia, {"title": "One", "status": TaskStatus(status), "created_at": created_at})

        header, *rows = read(service.write_aging(mia, project=None))

        assert header == ["from_days", "to_days", "task_count", *ACTIVE_STATUSES]
        assert rows == [
            [
                str(item["from_days"]),
                "" if item["to_days"] is None else str(item["to_days"]),
                str(item["task_count"]),
                *(str(item["by_status"][status]) for status in ACTIVE_STATUSES),
            ]
            for item in aging(service, mia)["items"]
        ]
        assert rows[0] == ["0", "1", "1", "1", "0", "0"]
        assert rows[-1] == ["90", "", "1", "0", "1", "0"]

    def test_a_project_may_be_selected(self, service, services, mia):
        services.tasks.create(mia, {"title": "One", "project": "OPS"})
        services.tasks.create(mia, {"title": "Two"})

        rows = read(service.write_aging(mia, project="OPS"))

        assert rows[1] == ["0", "1", "1", "1", "0", "0"]


def read(pieces):
    return list(csv.reader(io.StringIO(b"".join(lines.content for lines in pieces).decode(), newline="")))
