import base64
from datetime import timedelta

import orjson
import pytest

from app.models.people.user import Role
from tests.routes.tasks.task_requests import TASKS, ids_of


class TestList:
    def test_no_tasks_are_an_empty_page(self, as_user):
        response = as_user.get(TASKS)

        assert (response.status_code, response.json) == (200, {"items": [], "next_cursor": None})
        assert "Link" not in response.headers

    def test_each_item_equals_the_task_shown_alone(self, as_user, full_task):
        assert as_user.get(TASKS).json["items"] == [as_user.get(f"{TASKS}/{full_task.id}").json]

    @pytest.mark.parametrize(
        ("query", "titles"),
        [
            ("", ["Blocked", "Cancelled", "Done", "Plain", "Started"]),
            ("status=todo", ["Plain"]),
            ("status=OPEN", ["Plain"]),
            ("status=done,cancelled", ["Cancelled", "Done"]),
            ("priority=critical", ["Blocked"]),
            ("priority=low,urgent", ["Blocked", "Started"]),
            ("project=OPS", ["Started"]),
            ("project=ops,gen", ["Blocked", "Cancelled", "Done", "Plain", "Started"]),
            ("project=NONE", []),
            ("ref=ops-1", ["Started"]),
            ("ref=OPS-1,gen-1,GEN-9,NONE-1", ["Plain", "Started"]),
            ("ref=OPS-1,OPS-1", ["Started"]),
            ("ref=OPS-1&status=todo", []),
            ("ref=GEN-999999999999999999", []),
            ("external_ref=JIRA-42", ["Blocked"]),
            ("external_ref=JIRA-4", []),
            ("external_ref=jira-42", []),
            ("assignee=Ann", ["Started"]),
            ("assignee=ANN", ["Started"]),
            ("assignee={ann}", ["Started"]),
            ("assignee=me", ["Blocked"]),
            ("assignee=none", ["Cancelled", "Done", "Plain"]),
            ("assignee=nobody.at.all", []),
            ("assignee=99999999999999999999", []),
            ("creator=ann", ["Done"]),
            ("creator=me", ["Plain"]),
            ("creator={ann}", ["Done"]),
            ("label=red", ["Blocked", "Started"]),
            ("label=red,big", ["Blocked"]),
            ("label=Red", []),
            ("due_before={now}", ["Done", "Started"]),
            ("due_after={now}", ["Blocked"]),
            ("due_after={yesterday}&due_before={now}", ["Started"]),
            ("overdue=true", ["Started"]),
            ("overdue=false", ["Blocked", "Cancelled", "Done", "Plain"]),
            ("updated_since={yesterday}", ["Plain"]),
            ("due_before=2001-01-01T00:00:00%2B23:59", []),
            ("q=quick", ["Done", "Plain"]),
            ("q=quick+fox", ["Plain"]),
            ("q=QUICK+-fox", ["Done"]),
            ("q=cancelled+or+blocked", ["Blocked", "Cancelled"]),
            ("q=qui", ["Done", "Plain"]),
            ("q=fo+QUI", ["Plain"]),
            ("q=%22qui%22", []),
            ("q=%22quick+bro%22", []),
            ("q=%22quick+brown%22", ["Plain"]),
            ("q=quick+-fo", ["Done", "Plain"]),
            ("q=%22%27+%26+%7C+%21+%28%3A*", []),
            ("status=todo&q=quick&assignee=none", ["Plain"]),
            ("deleted=false&status=todo", ["Plain"]),
            ("deleted=true", ["Gone"]),
        ],
    )
    def test_every_filter_selects_its_tasks(self, board, query, titles):
        response = board.client.get(f"{TASKS}?sort=title&{board.filled_in(query)}")

        assert response.status_code == 200
        assert [task["title"] for task in response.json["items"]] == titles

    @pytest.mark.parametrize(
        ("sort", "titles"),
        [
            ("id", ["Plain", "Started", "Blocked", "Done", "Cancelled"]),
            ("-id", ["Cancelled", "Done", "Blocked", "Started", "Plain"]),
            ("title", ["Blocked", "Cancelled", "Done", "Plain", "Started"]),
            ("-title", ["Started", "Plain", "Done", "Cancelled", "Blocked"]),
            ("priority", ["Started", "Plain", "Done", "Cancelled", "Blocked"]),
            ("-priority", ["Blocked", "Cancelled", "Done", "Plain", "Started"]),
            ("status", ["Plain", "Started", "Blocked", "Done", "Cancelled"]),
            ("-status", ["Cancelled", "Done", "Blocked", "Started", "Plain"]),
            ("due_at", ["Done", "Started", "Blocked", "Plain", "Cancelled"]),
            ("-due_at", ["Cancelled", "Plain", "Blocked", "Started", "Done"]),
            ("position", ["Cancelled", "Done", "Blocked", "Started", "Plain"]),
            ("-position", ["Plain", "Started", "Blocked", "Done", "Cancelled"]),
            ("created_at", ["Started", "Blocked", "Done", "Cancelled", "Plain"]),
            ("-created_at", ["Plain", "Cancelled", "Done", "Blocked", "Started"]),
            ("updated_at", ["Started", "Blocked", "Done", "Cancelled", "Plain"]),
            ("-updated_at", ["Plain", "Cancelled", "Done", "Blocked", "Started"]),
        ],
    )
    def test_every_sort_works_in_one_page_and_in_many(self, board, sort, titles):
        in_one = board.client.get(f"{TASKS}?sort={sort}")
        in_many = list(follow(board.client, f"{TASKS}?sort={sort}&limit=2"))

        assert [task["title"] for task in in_one.json["items"]] == titles
        assert [task["title"] for page in in_many for task in page.json["items"]] == titles
        assert [len(page.json["items"]) for page in in_many] == [2, 2, 1]

    @pytest.mark.parametrize(
        ("sort", "titles"),
        [
            ("due_at,id", ["Done", "Started", "Blocked", "Plain", "Cancelled"]),
            ("due_at,-id", ["Done", "Started", "Blocked", "Cancelled", "Plain"]),
            ("due_at,-title", ["Done", "Started", "Blocked", "Plain", "Cancelled"]),
            ("-due_at,title", ["Cancelled", "Plain", "Blocked", "Started", "Done"]),
            ("priority,-due_at", ["Started", "Plain", "Done", "Cancelled", "Blocked"]),
            ("priority,due_at,title", ["Started", "Done", "Plain", "Cancelled", "Blocked"]),
        ],
    )
    def test_several_keys_decide_in_turn(self, board, sort, titles):
        in_one = board.client.get(f"{TASKS}?sort={sort}")
        in_many = list(follow(board.client, f"{TASKS}?sort={sort}&limit=1"))

        assert [task["title"] for task in in_one.json["items"]] == titles
        assert [task["title"] for page in in_many for task in page.json["items"]] == titles

    def test_the_newest_change_comes_first_by_default(self, board):
        assert board.client.get(TASKS).json == board.client.get(f"{TASKS}?sort=-updated_at").json

    def test_link_has_the_next_cursor_and_keeps_the_query(self, board):
        response = board.client.get(f"{TASKS}?sort=title&label=red&limit=1")

        target, _, relation = response.headers["Link"].partition("; ")
        assert relation == 'rel="next"'
        assert target == f"<{TASKS}?sort=title&label=red&limit=1&cursor={response.json['next_cursor']}>"

    def test_the_link_to_the_next_page_keeps_letters_that_were_sent_unescaped(self, as_manager, factories):
        for _ in range(2):
            factories.Task(title="Café")

        # As WSGI passes on the bytes of the request.
        query = "q=café&limit=1".encode().decode("latin-1")
        first = as_manager.get("/api/v1/tasks", environ_overrides={"QUERY_STRING": query})
        second = as_manager.get(first.headers["Link"].partition(">")[0].removeprefix("<"))

        assert [len(page.json["items"]) for page in (first, second)] == [1, 1]

    def test_the_total_is_counted_on_request_only(self, board):
        assert "total" not in board.client.get(f"{TASKS}?limit=1").json
        assert board.client.get(f"{TASKS}?limit=1&include_total=true").json["total"] == 5
        assert board.client.get(f"{TASKS}?status=todo&include_total=true").json["total"] == 1

    @pytest.mark.parametrize("limit", [1, 200])
    def test_a_page_has_at_most_as_many_tasks_as_the_limit(self, board, limit):
        assert len(board.client.get(f"{TASKS}?limit={limit}").json["items"]) == min(limit, 5)

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("limit=0", "/limit"),
            ("limit=201", "/limit"),
            ("limit=-1", "/limit"),
            ("limit=ten", "/limit"),
            ("limit=" + "9" * 5000, "/limit"),
            ("limit=", "/limit"),
            ("sort=colour", "/sort/0"),
            ("sort=title,colour", "/sort/1"),
            ("sort=", "/sort"),
            ("sort=title,", "/sort/1"),
            ("sort=--title", "/sort/0"),
            ("sort=title,status,due_at,id", "/sort"),
            ("sort=title,-title", "/sort"),
            ("sort=id,title", "/sort"),
            ("ref=OPS", "/ref/0"),
            ("ref=OPS-1,OPS-x", "/ref/1"),
            ("ref=OPS-" + "9" * 19, "/ref/0"),
            ("ref=%C3%9F-1", "/ref/0"),
            ("ref=" + ",".join(f"OPS-{n}" for n in range(21)), "/ref"),
            ("external_ref=", "/external_ref"),
            ("external_ref=" + "a" * 256, "/external_ref"),
            ("fields=id,colour", "/fields/1"),
            ("fields=", "/fields"),
            ("expand=project,title", "/expand/1"),
            ("fields=id,title&expand=assignee", "/expand"),
            ("status=asleep", "/status/0"),
            ("status=todo,asleep", "/status/1"),
            ("project=not-a-key", "/project/0"),
            ("label=" + ",".join("abcdefghijklmnopqrstu"), "/label"),
            ("overdue=perhaps", "/overdue"),
            ("due_before=tomorrow", "/due_before"),
            ("due_after=2031-02-30", "/due_after"),
            ("deleted=perhaps", "/deleted"),
            ("include_total=perhaps", "/include_total"),
            ("q=" + "q" * 201, "/q"),
            ("assignee=" + "a" * 255, "/assignee"),
            ("colour=red", "/colour"),
            ("Status=todo", "/Status"),
            ("page=2", "/page"),
        ],
    )
    def test_an_invalid_query_is_refused(self, as_user, query, pointer):
        response = as_user.get(f"{TASKS}?{query}")

        assert response.status_code == 422
        assert {problem["pointer"] for problem in response.json["errors"]} == {pointer}

    def test_a_problem_in_a_query_is_one_of_a_parameter(self, as_user):
        unknown = as_user.get(f"{TASKS}?lable=red")
        too_many = as_user.get(f"{TASKS}?" + "&".join(f"p{n}=1" for n in range(101)))
        missing = as_user.get("/api/v1/task-logs/diff?from=2026-01-01")

        assert unknown.json["detail"] == "lable: Unknown parameter."
        assert too_many.json["detail"] == "Has 101 parameters; 100 are the most."
        assert missing.json["detail"] == "to: Missing data for required parameter."

    def test_a_nul_in_a_query_is_refused(self, as_user):
        assert as_user.get(f"{TASKS}?q=a%00b").status_code == 400

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_deleted_tasks_are_only_for_roles_that_may_restore_them(self, client, factories, role):
        response = client.acting_as(factories.User(role=role)).get(f"{TASKS}?deleted=true")

        assert (response.status_code, response.json["code"]) == (403, "forbidden")

    def test_shows_nothing_of_another_project(self, as_user, factories):
        factories.Task(project_id=factories.Project(key="SECRET").id)

        for query in ("", "?project=SECRET", "?include_total=true"):
            response = as_user.get(f"{TASKS}{query}")
            assert (response.json["items"], response.json.get("total", 0)) == ([], 0)


class TestCursors:
    @pytest.mark.parametrize(
        "cursor", ["garbage", "%20", "%C3%A4", "bnVsbA", "W10", "W1tdLFtdLFtdXQ", "a" * 1999, "=", "...."]
    )
    def test_a_cursor_that_we_did_not_make_is_refused(self, as_user, cursor):
        response = as_user.get(f"{TASKS}?cursor={cursor}")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/cursor")

    def test_a_cursor_of_another_sort_is_refused(self, board):
        cursor = board.client.get(f"{TASKS}?sort=title&limit=1").json["next_cursor"]

        response = board.client.get(f"{TASKS}?sort=-title&limit=1&cursor={cursor}")

        assert response.status_code == 422
        assert "another sort" in response.json["detail"]

    @pytest.mark.parametrize(
        ("sort", "key"),
        [
            ("id", "ten"),
            ("id", "9223372036854775808"),
            ("id", "\N{ARABIC-INDIC DIGIT ONE}"),
            ("updated_at", "yesterday"),
            ("updated_at", "2031-01-01T00:00:00"),
            ("updated_at", "2031-W01-1T00:00:00+00:00"),
            ("updated_at", "2031-01-01T00:00:00+23:59"),
            ("updated_at", "2031-01-01\x1f00:00:00+00:00"),
            ("due_at", "-infinity and beyond"),
            ("priority", "urgent"),
            ("priority", ""),
            ("status", "TODO"),
            ("title", "a\x00b"),
            ("title", 7),
            ("title", None),
            ("position", "first"),
            ("position", "nan"),
            ("position", "infinity"),
            ("position", "1_0"),
            ("position", "1e-999"),
            ("position", "\N{ARABIC-INDIC DIGIT ONE}"),
        ],
    )
    def test_a_changed_cursor_is_refused(self, as_user, sort, key):
        response = as_user.get(f"{TASKS}?sort={sort}&cursor={forged([sort, key, 1])}")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/cursor")

    @pytest.mark.parametrize(
        "key",
        [
            "low",
            "[",
            "7",
            "{}",
            "[]",
            '["low"]',
            '["low", 7]',
            '["urgent", "One"]',
            '["low", "One", "Two"]',
            '["low", "a\\u0000b"]',
            '["low", "\\ud800"]',
            "[" * 5000,
            None,
            ["low", "One"],
        ],
    )
    def test_a_changed_cursor_of_several_keys_is_refused(self, as_user, key):
        response = as_user.get(f"{TASKS}?sort=priority,title&cursor={forged(['priority,title', key, 1])}")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/cursor")

    @pytest.mark.parametrize("row_id", ["1", None, 1.5, True, 2**63, [1]])
    def test_a_cursor_with_an_impossible_id_is_refused(self, as_user, row_id):
        response = as_user.get(f"{TASKS}?sort=title&cursor={forged(['title', 'One', row_id])}")

        assert (response.status_code, response.json["errors"][0]["pointer"]) == (422, "/cursor")

    def test_the_list_continues_after_a_row_that_is_gone(self, as_manager, factories):
        tasks = [factories.Task() for _ in range(3)]
        first = as_manager.get(f"{TASKS}?sort=id&limit=2")
        as_manager.delete(f"{TASKS}/{tasks[1].id}")

        second = as_manager.get(f"{TASKS}?sort=id&limit=2&cursor={first.json['next_cursor']}")

        assert ids_of(second) == [tasks[2].id]


def follow(client, path):
    """Collect every page from this one on, following Link."""
    while path:
        response = client.get(path)
        assert response.status_code == 200
        yield response
        path = response.headers.get("Link", "").partition(">")[0].removeprefix("<")


def forged(fields):
    return base64.urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")


class Board:
    """Five tasks that every filter tells apart, and one that was deleted."""

    def __init__(self, client, factories, ops, now):
        me = factories.User(role=Role.MANAGER)
        self._ann = factories.User(username="Ann")
        self._now = now
        for user in (me, self._ann):
            factories.ProjectMember(project_id=ops.id, user_id=user.id)
        self._factories = factories
        self._add(title="Plain", description="the quick brown fox", creator_id=me.id, position=5, age_hours=1)
        self._add(
            title="Started",
            status="in_progress",
            priority="low",
            project_id=ops.id,
            assignee_id=self._ann.id,
            labels=["red"],
            due_at=now - timedelta(hours=1),
            position=4,
            age_hours=60,
        )
        self._add(
            title="Blocked",
            status="blocked",
            priority="critical",
            assignee_id=me.id,
            labels=["big", "red"],
            external_ref="JIRA-42",
            due_at=now + timedelta(hours=1),
            position=3,
            age_hours=50,
        )
        self._add(
            title="Done",
            description="quick",
            status="done",
            creator_id=self._ann.id,
            due_at=now - timedelta(days=3),
            position=2,
            age_hours=40,
        )
        self._add(title="Cancelled", status="cancelled", priority="high", position=1, age_hours=30)
        self._add(title="Gone", deleted_at=now, age_hours=20)
        self.client = client.acting_as(me)

    def filled_in(self, query):
        def as_parameter(moment):
            return moment.isoformat().replace("+", "%2B")

        return query.format(
            ann=self._ann.id, now=as_parameter(self._now), yesterday=as_parameter(self._now - timedelta(days=1))
        )

    def _add(self, *, age_hours, **values):
        changed_at = self._now - timedelta(hours=age_hours)
        self._factories.Task(created_at=changed_at, updated_at=changed_at, **values)


@pytest.fixture
def board(client, factories, ops, clock):
    return Board(client, factories, ops, clock())
