"""The list in the past, a task's history, how days differ, and the reports, as clients ask for them."""

from datetime import UTC, datetime, timedelta

import pytest

from app.models.people.user import Role
from app.queries.pages import Position, encode_cursor

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TASKS = "/api/v1/tasks"
LOGS = "/api/v1/task-logs"
REPORTS = "/api/v1/reports"
UNKNOWN_ID = 999_999_999
MONDAY, TUESDAY = "2026-03-09", "2026-03-10"


class TestListInThePast:
    def test_as_of_selects_an_instant(self, as_mia, clock):
        before = as_mia.post(TASKS, {"title": "Old", "status": "in_progress", "labels": ["a"]}).json
        clock.advance(hours=1)
        as_mia.patch(f"{TASKS}/{before['id']}", {"title": "New", "status": "done", "labels": []})

        response = as_mia.get(f"{TASKS}?as_of=2026-03-09T12:59:59Z&status=in_progress&label=a&q=old&include_total=true")

        assert response.status_code == 200
        assert response.json == {"items": [before], "next_cursor": None, "total": 1, "total_is_capped": False}

    @pytest.mark.parametrize(
        "instant",
        ["2026-03-09T12:00:00", "2026-03-09T12:00:00.5Z", "2026-03-09T14:30:00%2B02:00", "2026-03-09T07:59:59-05:00"],
    )
    def test_accepts_times_as_people_write_them(self, as_mia, clock, instant):
        as_mia.post(TASKS, {"title": "Old"})
        clock.advance(hours=1)
        as_mia.patch(f"{TASKS}/{as_mia.get(TASKS).json['items'][0]['id']}", {"title": "New"})

        assert titles_in(as_mia.get(f"{TASKS}?as_of={instant}")) == ["Old"]

    def test_the_list_of_now_is_the_current_list(self, as_mia, clock):
        for title in ("One", "Two"):
            as_mia.post(TASKS, {"title": title})
            clock.advance(hours=1)

        assert as_mia.get(f"{TASKS}?as_of={clock():%Y-%m-%dT%H:%M:%SZ}").json == as_mia.get(TASKS).json

    def test_pages_join_without_gaps(self, as_mia, clock):
        for number in range(5):
            as_mia.post(TASKS, {"title": f"T{number}"})
        clock.advance(hours=1)
        as_mia.post(TASKS, {"title": "Later"})

        titles, response = [], as_mia.get(f"{TASKS}?as_of=2026-03-09T12:30:00Z&sort=title&limit=2")
        titles += titles_in(response)
        while response.json["next_cursor"] is not None:
            response = as_mia.get(response.headers["Link"].partition("<")[2].partition(">")[0])
            titles += titles_in(response)

        assert titles == [f"T{number}" for number in range(5)]

    def test_as_of_works_for_the_tasks_of_a_user(self, as_mia, mia, clock):
        task = as_mia.post(TASKS, {"title": "One", "assignee": "mia"}).json
        clock.advance(hours=1)
        as_mia.patch(f"{TASKS}/{task['id']}", {"assignee": None})

        assert titles_in(as_mia.get("/api/v1/users/me/tasks")) == []
        assert titles_in(as_mia.get("/api/v1/users/me/tasks?as_of=2026-03-09T12:00:00Z")) == ["One"]

    def test_is_shown_to_viewers_of_the_project(self, as_mia, as_viewer):
        as_mia.post(TASKS, {"title": "For all"})
        as_mia.post(TASKS, {"title": "Secret", "project": "OPS"})

        assert titles_in(as_viewer.get(f"{TASKS}?as_of=2026-03-09T12:00:00Z")) == ["For all"]
        assert titles_in(as_viewer.get(f"{TASKS}?as_of=2026-03-09T12:00:00Z&project=OPS")) == []

    def test_a_future_instant_is_refused(self, as_mia):
        response = as_mia.get(f"{TASKS}?as_of=2026-03-09T12:01:01Z")

        assert response.status_code == 422
        assert response.json["errors"] == [{"pointer": "/as_of", "detail": "is in the future"}]

    @pytest.mark.parametrize("instant", ["", "yesterday", "2026-02-30", "0001-01-01", "10000-01-01", "12:00"])
    def test_an_invalid_instant_is_refused(self, as_mia, instant):
        response = as_mia.get(f"{TASKS}?as_of={instant}")

        assert response.status_code == 422
        assert [error["pointer"] for error in response.json["errors"]] == ["/as_of"]

    def test_only_managers_see_deleted_tasks(self, as_mia, as_viewer):
        task = as_mia.post(TASKS, {"title": "One"}).json
        as_mia.delete(f"{TASKS}/{task['id']}")
        path = f"{TASKS}?as_of=2026-03-09T12:00:01Z&deleted=true"

        assert titles_in(as_mia.get(path)) == ["One"]
        assert as_viewer.get(path).status_code == 403

    def test_is_not_exported(self, as_mia):
        assert as_mia.get(f"{TASKS}/export?as_of=2026-03-09T12:00:00Z").status_code == 422

    def test_a_token_is_required(self, client):
        assert client.get(f"{TASKS}?as_of=2026-03-09T12:00:00Z").status_code == 401


class TestHistory:
    def test_shows_who_changed_what_in_which_request(self, as_mia, clock):
        created = as_mia.post(TASKS, {"title": "One"}, headers={"X-Request-ID": "request-1"})
        clock.advance(hours=1)
        changed = as_mia.patch(f"{TASKS}/{created.json['id']}", {"title": "Two"}, headers={"X-Request-ID": "request-2"})

        response = as_mia.get(f"{TASKS}/{created.json['id']}/history")

        assert response.status_code == 200
        newest, oldest = response.json["items"]
        assert newest == {
            "revision": 2,
            "at": "2026-03-09T13:00:00.000000+00:00",
            "until": None,
            "event": "changed",
            "actor": "mia",
            "request_id": changed.headers["X-Request-ID"],
            "changes": [{"field": "title", "from": "One", "to": "Two"}],
        }
        assert (oldest["event"], oldest["until"], oldest["request_id"]) == ("created", newest["at"], "request-1")

    def test_shows_deletion_and_restoration(self, as_mia, clock, task_id):
        as_mia.delete(f"{TASKS}/{task_id}")
        clock.advance(hours=1)
        as_mia.post(f"{TASKS}/{task_id}/restore")

        items = as_mia.get(f"{TASKS}/{task_id}/history").json["items"]

        assert [item["event"] for item in items] == ["restored", "deleted", "created"]

    def test_shows_changes_made_through_the_classic_api(self, as_mia, clock, task_id):
        as_mia.put(f"/task/{task_id}", {"task_name": "By the table"}, headers={"X-Request-ID": "by-the-table"})

        newest = as_mia.get(f"{TASKS}/{task_id}/history").json["items"][0]

        assert (newest["actor"], newest["request_id"]) == ("mia", "by-the-table")
        assert newest["changes"] == [{"field": "title", "from": "One", "to": "By the table"}]

    def test_pages_join_without_gaps(self, as_mia, clock, task_id):
        for number in range(4):
            clock.advance(hours=1)
            as_mia.patch(f"{TASKS}/{task_id}", {"title": f"Title {number}"})

        revisions, response = [], as_mia.get(f"{TASKS}/{task_id}/history?limit=2")
        revisions += [item["revision"] for item in response.json["items"]]
        while response.json["next_cursor"] is not None:
            response = as_mia.get(response.headers["Link"].partition("<")[2].partition(">")[0])
            revisions += [item["revision"] for item in response.json["items"]]

        assert revisions == [5, 4, 3, 2, 1]

    def test_the_history_of_an_invisible_task_is_not_found(self, as_mia, as_viewer):
        task = as_mia.post(TASKS, {"title": "Secret", "project": "OPS"}).json

        assert as_viewer.get(f"{TASKS}/{task['id']}/history").status_code == 404
        assert as_mia.get(f"{TASKS}/{UNKNOWN_ID}/history").status_code == 404

    def test_only_managers_see_the_history_of_a_deleted_task(self, as_mia, as_viewer, task_id):
        as_mia.delete(f"{TASKS}/{task_id}")

        assert as_mia.get(f"{TASKS}/{task_id}/history").status_code == 200
        assert as_viewer.get(f"{TASKS}/{task_id}/history").status_code == 404

    @pytest.mark.parametrize(
        "query",
        [
            "limit=0",
            "limit=201",
            "limit=x",
            "cursor=x",
            "since=2026-01-01",
            f"cursor={encode_cursor('x', Position('1', 1))}",
        ],
    )
    def test_an_invalid_query_is_refused(self, as_mia, task_id, query):
        assert as_mia.get(f"{TASKS}/{task_id}/history?{query}").status_code == 422

    @pytest.mark.parametrize("revision", [1, 0, -(2**63) + 1, 2**63 - 1])
    def test_accepts_a_cursor_with_any_revision(self, as_mia, task_id, revision):
        cursor = encode_cursor("-revision", Position("1", revision))

        assert as_mia.get(f"{TASKS}/{task_id}/history?cursor={cursor}").status_code == 200

    def test_a_token_is_required(self, client, task_id):
        assert client.get(f"{TASKS}/{task_id}/history").status_code == 401


class TestDiff:
    def test_shows_the_tasks_that_entered_left_and_changed(self, as_mia, two_days):
        response = as_mia.get(f"{LOGS}/diff?from={MONDAY}&to={TUESDAY}")

        assert response.status_code == 200
        assert [item["change"] for item in response.json["items"]] == ["left", "changed", "entered"]
        assert response.json["counts"] == {"entered": 1, "left": 1, "changed": 1}

    def test_pages_join_without_gaps(self, as_mia, two_days):
        items, response = [], as_mia.get(f"{LOGS}/diff?from={MONDAY}&to={TUESDAY}&limit=1")
        items += response.json["items"]
        while response.json["next_cursor"] is not None:
            response = as_mia.get(response.headers["Link"].partition("<")[2].partition(">")[0])
            assert "counts" not in response.json
            items += response.json["items"]

        assert [item["change"] for item in items] == ["left", "changed", "entered"]

    def test_a_project_is_selected_by_its_key_in_any_case(self, as_mia, two_days):
        response = as_mia.get(f"{LOGS}/diff?from={MONDAY}&to={TUESDAY}&project=ops")

        assert response.json["counts"] == {"entered": 1, "left": 0, "changed": 0}

    def test_a_viewer_sees_only_their_own_projects(self, as_viewer, two_days):
        response = as_viewer.get(f"{LOGS}/diff?from={MONDAY}&to={TUESDAY}")

        assert response.json["counts"] == {"entered": 0, "left": 1, "changed": 1}
        assert "OPS" not in response.text

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("", "/from"),
            (f"from={MONDAY}", "/to"),
            (f"to={MONDAY}", "/from"),
            (f"from={MONDAY}&to=2026-02-30", "/to"),
            (f"from=monday&to={MONDAY}", "/from"),
            (f"from=0001-01-01&to={MONDAY}", "/from"),
            (f"from={MONDAY}&to=9999-12-31", "/to"),
            (f"from=2026-03-01&to={MONDAY}", "/from"),
            (f"from={MONDAY}&to=2026-03-11", "/to"),
            (f"from={TUESDAY}&to={MONDAY}", "/from"),
            (f"from={MONDAY}&to={TUESDAY}&project=no key", "/project"),
            (f"from={MONDAY}&to={TUESDAY}&cursor=x", "/cursor"),
            (f"from={MONDAY}&to={TUESDAY}&limit=0", "/limit"),
            (f"from={MONDAY}&to={TUESDAY}&status=todo", "/status"),
        ],
    )
    def test_an_invalid_query_is_refused_by_name(self, as_mia, two_days, query, pointer):
        response = as_mia.get(f"{LOGS}/diff?{query}")

        assert response.status_code == 422
        assert pointer in [error["pointer"] for error in response.json["errors"]]

    def test_a_token_is_required(self, client):
        assert client.get(f"{LOGS}/diff?from={MONDAY}&to={TUESDAY}").status_code == 401


class TestDays:
    def test_counts_each_day_and_lists_the_newest_first(self, as_mia, two_days):
        response = as_mia.get(f"{LOGS}/days")

        assert response.status_code == 200
        assert [(day["log_date"], day["task_count"]) for day in response.json["items"]] == [(TUESDAY, 2), (MONDAY, 2)]
        assert response.json["items"][0]["by_project"] == {"GEN": 1, "OPS": 1}
        assert response.json["items"][0]["by_assignee"] == {"mia": 1, "none": 1}

    def test_links_to_the_rows(self, as_mia, two_days):
        for day in as_mia.get(f"{LOGS}/days").json["items"]:
            assert as_mia.get(f"{day['tasks']}&include_total=true").json["total"] == day["task_count"]
            for assignee, count in day["by_assignee"].items():
                rows = as_mia.get(f"{day['tasks']}&include_total=true&assignee={assignee}").json
                assert rows["total"] == count

    def test_pages_join_without_gaps(self, as_mia, two_days):
        first = as_mia.get(f"{LOGS}/days?limit=1&from=2026-01-01&to=2026-12-31")
        second = as_mia.get(first.headers["Link"].partition("<")[2].partition(">")[0])

        assert [page.json["items"][0]["log_date"] for page in (first, second)] == [TUESDAY, MONDAY]
        assert second.json["next_cursor"] is None

    def test_counts_only_the_project_and_ones_own_tasks(self, as_mia, as_viewer, two_days):
        of_ops = as_mia.get(f"{LOGS}/days?project=OPS").json["items"]
        of_viewer = as_viewer.get(f"{LOGS}/days").json["items"]

        assert [(day["log_date"], day["by_project"]) for day in of_ops if day["task_count"]] == [(TUESDAY, {"OPS": 1})]
        assert [day["by_project"] for day in of_viewer] == [{"GEN": 1}, {"GEN": 2}]

    @pytest.mark.parametrize(
        "query",
        ["from=monday", "to=2026-02-30", "from=0001-01-01", "project=no key", "limit=0", "cursor=x", "status=todo"],
    )
    def test_an_invalid_query_is_refused_by_name(self, as_mia, query):
        assert as_mia.get(f"{LOGS}/days?{query}").status_code == 422

    @pytest.mark.parametrize("key", ["0001-01-01", "9999-12-31"])
    def test_accepts_a_cursor_with_any_day(self, as_mia, two_days, key):
        cursor = encode_cursor("-log_date", Position(key, 0))

        assert as_mia.get(f"{LOGS}/days?cursor={cursor}").status_code == 200

    def test_a_token_is_required(self, client):
        assert client.get(f"{LOGS}/days").status_code == 401


class TestReports:
    @pytest.mark.parametrize("project", ["", "&project=ops"])
    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
    def test_each_number_of_the_flow_equals_the_list_that_it_links_to(self, as_mia, as_viewer, two_days, project):
        for asking in (as_mia, as_viewer):
            response = asking.get(f"{REPORTS}/flow?from=2026-03-08&to=2026-03-20{project}")

            assert response.status_code == 200
            assert [item["date"] for item in response.json["items"]] == ["2026-03-08", MONDAY, TUESDAY, "2026-03-11"]
            for item in response.json["items"]:
                for number in item["statuses"]:
                    assert number["task_count"] == total_of(asking, number["tasks"])

    def test_the_flow_counts_each_status_of_a_day(self, as_mia, two_days):
        (item,) = as_mia.get(f"{REPORTS}/flow?from={TUESDAY}&to={TUESDAY}").json["items"]

        counts = {number["status"]: number["task_count"] for number in item["statuses"]}
        assert counts == {"todo": 1, "in_progress": 1, "blocked": 0, "done": 1, "cancelled": 0}

    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
    def test_each_number_of_cycle_times_equals_the_list_that_it_links_to(self, as_mia, clock, two_days):
        as_mia.post(TASKS, {"title": "Done at once", "status": "done"})
        task = as_mia.post(TASKS, {"title": "Started", "status": "in_progress"}).json
        clock.advance(hours=2)
        as_mia.patch(f"{TASKS}/{task['id']}", {"status": "done"})

        response = as_mia.get(f"{REPORTS}/cycle-time")

        assert response.status_code == 200
        (week,) = response.json["items"]
        assert (week["week"], week["task_count"]) == (MONDAY, 1)
        assert week["seconds"] == {"p50": 7200.0, "p75": 7200.0, "p85": 7200.0, "p95": 7200.0}
        assert total_of(as_mia, week["tasks"]) == 1

    def test_each_number_of_ages_equals_the_list_that_it_links_to(self, as_mia, as_viewer, clock, two_days):
        clock.advance(minutes=1)

        for asking, expected in ((as_mia, [0, 2]), (as_viewer, [0, 1])):
            response = asking.get(f"{REPORTS}/aging")
            assert response.status_code == 200
            assert [item["task_count"] for item in response.json["items"]][:2] == expected
            for item in response.json["items"]:
                assert item["task_count"] == total_of(asking, item["tasks"])

    @pytest.mark.parametrize("report", ["flow", "cycle-time"])
    def test_the_default_period_is_the_last_thirty_days(self, as_mia, report):
        response = as_mia.get(f"{REPORTS}/{report}")

        assert response.status_code == 200
        assert len(response.json["items"]) == (30 if report == "flow" else 0)

    @pytest.mark.parametrize("report", ["flow", "cycle-time"])
    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("from=2026-03-10", "/from"),
            ("from=2026-03-09&to=2026-03-08", "/from"),
            ("from=2025-03-08&to=2026-03-09", "/from"),
            ("from=0001-01-01&to=0001-01-05", "/from"),
            ("to=0001-01-05", "/to"),
            ("from=yesterday", "/from"),
            ("to=2026-02-30", "/to"),
            ("project=no key", "/project"),
            ("limit=10", "/limit"),
        ],
    )
    def test_an_invalid_query_is_refused_by_name(self, as_mia, report, query, pointer):
        response = as_mia.get(f"{REPORTS}/{report}?{query}")

        assert response.status_code == 422
        assert pointer in [error["pointer"] for error in response.json["errors"]]

    @pytest.mark.parametrize("report", ["flow", "cycle-time"])
    @pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"])
    @pytest.mark.parametrize("query", ["from=0002-01-01&to=0002-01-05", "to=0002-01-01", "to=9998-12-31"])
    def test_accept_any_day_that_can_be_stored(self, as_mia, report, query):
        assert as_mia.get(f"{REPORTS}/{report}?{query}").status_code == 200

    @pytest.mark.parametrize("query", ["from=2026-03-01", "project=no key", "status=todo"])
    def test_an_invalid_query_for_ages_is_refused(self, as_mia, query):
        assert as_mia.get(f"{REPORTS}/aging?{query}").status_code == 422

    @pytest.mark.parametrize("report", ["flow", "cycle-time", "aging"])
    def test_a_report_on_another_project_counts_nothing(self, as_viewer, two_days, report):
        response = as_viewer.get(f"{REPORTS}/{report}?project=OPS")

        items = response.json["items"]
        numbers = [number["task_count"] for item in items for number in item.get("statuses", [item])]
        assert response.status_code == 200
        assert set(numbers) <= {0}

    @pytest.mark.parametrize("report", ["flow", "cycle-time", "aging"])
    def test_a_token_is_required(self, client, report):
        assert client.get(f"{REPORTS}/{report}").status_code == 401


def titles_in(response):
    assert response.status_code == 200
    return [item["title"] for item in response.json["items"]]


def total_of(client, link):
    response = client.get(f"{link}&include_total=true&limit=1")
    assert response.status_code == 200
    return response.json["total"]


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def mia(factories):
    """A manager of OPS, and a member of the project that everybody is in."""
    user = factories.User(username="mia", role=Role.MANAGER)
    factories.ProjectMember(project_id=factories.Project(key="OPS").id, user_id=user.id)
    return user


@pytest.fixture
def as_mia(client, mia, clock):
    return client.acting_as(mia)


@pytest.fixture
def as_viewer(client, factories, clock):
    """A viewer who is not a member of OPS."""
    return client.acting_as(factories.User(role=Role.VIEWER))


@pytest.fixture
def task_id(as_mia):
    return as_mia.post(TASKS, {"title": "One"}).json["id"]


@pytest.fixture
def two_days(as_mia, services, clock):
    """Two logged days; one task leaves, one changes and one, in OPS, enters. It is Wednesday afterwards."""
    leaves, changes = (as_mia.post(TASKS, {"title": title, "assignee": "mia"}).json for title in ("Leaves", "Changes"))
    clock.advance(days=1)
    as_mia.patch(f"{TASKS}/{leaves['id']}", {"status": "done"})
    as_mia.patch(f"{TASKS}/{changes['id']}", {"status": "in_progress"})
    as_mia.post(TASKS, {"title": "Enters", "project": "OPS"})
    clock.advance(days=1)
    services.daily_log.log_due_days()
