import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from marshmallow import RAISE
from sqlalchemy import delete, update

from app.composition.services import serving
from app.errors import InvalidError, NotFoundError
from app.http.responses import value_response
from app.models.imports.task_import import DuplicatePolicy
from app.models.people.user import Role
from app.models.tasks.fields import TaskPriority, TaskStatus
from app.models.tasks.task import Task
from app.queries.pages import Position, encode_cursor
from app.queries.tasks import TaskQuery
from app.routes.tasks.tasks import as_json
from app.schemas.tasks.answers import TaskVersionPage
from app.services.imports.imports import ImportOptions
from app.services.tasks.history import SORT

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
UNKNOWN_ID = 999_999_999
ONE_O_CLOCK = "2026-03-10T13:00:00.000000+00:00"

titles = st.sampled_from(["One", "Two", "Three"])
changes = st.fixed_dictionaries(
    {},
    optional={
        "title": titles,
        "status": st.sampled_from(TaskStatus),
        "priority": st.sampled_from(TaskPriority),
        "labels": st.lists(st.sampled_from(["red", "green"]), unique=True),
        "assignee": st.sampled_from(["ann", "mia", None]),
        "due_at": st.sampled_from([None, NOON, NOON + timedelta(days=1)]),
        "project": st.sampled_from(["GEN", "OPS"]),
    },
)


class TestCreated:
    def test_shows_who_when_in_which_request_and_every_field(self, resources, clock, ann, mia):
        values = {"title": "One", "assignee": "mia", "labels": ["red"], "due_at": NOON, "priority": TaskPriority.HIGH}
        with serving(resources, request_id="request-1") as services:
            task = services.tasks.create(ann, {**values, "project": "OPS"})
            (version,) = items_of(services.task_history, ann, task.id)

        assert version == {
            "revision": 1,
            "at": "2026-03-10T12:00:00.000000+00:00",
            "until": None,
            "event": "created",
            "actor": "ann",
            "request_id": "request-1",
            "changes": [
                {"field": "project", "from": None, "to": "OPS"},
                {"field": "number", "from": None, "to": 1},
                {"field": "title", "from": None, "to": "One"},
                {"field": "description", "from": None, "to": ""},
                {"field": "status", "from": None, "to": "todo"},
                {"field": "priority", "from": None, "to": "high"},
                {"field": "labels", "from": None, "to": ["red"]},
                {"field": "assignee", "from": None, "to": "mia"},
                {"field": "due_at", "from": None, "to": "2026-03-10T12:00:00.000000+00:00"},
                {"field": "created_at", "from": None, "to": "2026-03-10T12:00:00.000000+00:00"},
            ],
        }

    def test_a_task_created_without_the_api_has_no_author_and_no_request(self, service, admin, acting_as, factories):
        task = factories.Task(title="One")

        (version,) = items_of(service, acting_as(admin), task.id)

        assert (version["event"], version["actor"], version["request_id"]) == ("created", None, None)

    def test_the_author_of_an_imported_task_is_the_sender_of_the_file(self, resources, mia):
        with serving(resources, request_id="upload-1") as services:
            import_csv(services, mia, "task_name,external_ref", "One,A")
        with serving(resources, request_id="a-worker") as services:
            services.import_runs.run_waiting()
            (task,) = tasks_of(services, mia)
            (version,) = items_of(services.task_history, mia, task["id"])

        assert (version["event"], version["actor"], version["request_id"]) == ("created", "mia", "upload-1")


class TestChanged:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ({"title": "Two"}, {"title": ("One", "Two")}),
            ({"description": "long"}, {"description": ("", "long")}),
            ({"priority": TaskPriority.LOW}, {"priority": ("medium", "low")}),
            ({"labels": ["green", "red"]}, {"labels": (["red", "green"], ["green", "red"])}),
            ({"labels": []}, {"labels": (["red", "green"], [])}),
            ({"assignee": "ann"}, {"assignee": ("mia", "ann")}),
            ({"assignee": None}, {"assignee": ("mia", None)}),
            ({"due_at": None}, {"due_at": ("2026-03-10T12:00:00.000000+00:00", None)}),
            ({"external_ref": "B"}, {"external_ref": ("A", "B")}),
            ({"project": "OPS"}, {"project": ("GEN", "OPS"), "number": (1, 1)}),
            (
                {"status": TaskStatus.IN_PROGRESS},
                {"status": ("todo", "in_progress"), "started_at": (None, ONE_O_CLOCK)},
            ),
            ({"status": TaskStatus.DONE}, {"status": ("todo", "done"), "completed_at": (None, ONE_O_CLOCK)}),
            (
                {"created_at": NOON - timedelta(days=1)},
                {"created_at": ("2026-03-10T12:00:00.000000+00:00", "2026-03-09T12:00:00.000000+00:00")},
            ),
            (
                {"title": "Two", "priority": TaskPriority.HIGH, "description": ""},
                {"title": ("One", "Two"), "priority": ("medium", "high")},
            ),
        ],
    )
    def test_shows_the_old_and_the_new_value(self, services, service, mia, clock, task_id, values, expected):
        clock.advance(hours=1)
        services.tasks.change(mia, task_id, values)

        newest = items_of(service, mia, task_id)[0]

        shown = {change["field"]: (change["from"], change["to"]) for change in newest["changes"]}
        assert newest["event"] == "changed"
        # The number in the other project may be the same.
        assert shown == {field: values for field, values in expected.items() if values[0] != values[1]}

    def test_each_version_lasts_until_the_next_one_begins(self, services, service, mia, clock, task_id):
        for title in ("Two", "Three"):
            clock.advance(hours=1)
            services.tasks.change(mia, task_id, {"title": title})

        versions = items_of(service, mia, task_id)

        assert [version["revision"] for version in versions] == [3, 2, 1]
        assert [version["until"] for version in versions] == [None, versions[0]["at"], versions[1]["at"]]
        assert versions[1]["at"] == ONE_O_CLOCK

    def test_shows_who_and_in_which_request(self, resources, mia, ann, clock, task_id):
        for actor, request_id in ((ann, "by-ann"), (mia, "by-mia")):
            clock.advance(hours=1)
            with serving(resources, request_id=request_id) as services:
                services.tasks.change(actor, task_id, {"title": request_id})

            versions = items_of(services.task_history, mia, task_id)

        signatures = [(version["actor"], version["request_id"]) for version in versions]
        assert signatures == [("mia", "by-mia"), ("ann", "by-ann"), ("mia", None)]

    def test_a_change_that_changes_nothing_is_not_shown(self, services, service, mia, clock, task_id):
        clock.advance(hours=1)
        services.tasks.change(mia, task_id, {"title": "One"})

        assert len(items_of(service, mia, task_id)) == 1

    def test_a_move_on_the_board_is_not_shown(self, services, service, mia, clock, task_id):
        clock.advance(hours=1)
        services.tasks.change(mia, task_id, {"position": 99.5})

        assert len(items_of(service, mia, task_id)) == 1

    def test_a_change_and_its_reversal_are_two_versions(self, services, service, mia, clock, task_id):
        for title in ("Two", "One"):
            clock.advance(hours=1)
            services.tasks.change(mia, task_id, {"title": title})

        changes_shown = [version["changes"] for version in items_of(service, mia, task_id)[:2]]

        assert changes_shown == [
            [{"field": "title", "from": "Two", "to": "One"}],
            [{"field": "title", "from": "One", "to": "Two"}],
        ]

    def test_two_changes_at_one_instant_follow_each_other(self, services, service, mia, task_id):
        for title in ("Two", "Three"):
            services.tasks.change(mia, task_id, {"title": title})

        versions = items_of(service, mia, task_id)

        assert [titles_in(version) for version in versions] == [("Two", "Three"), ("One", "Two"), (None, "One")]
        assert versions[0]["at"] > versions[1]["at"] > versions[2]["at"]

    def test_the_author_of_a_change_by_import_is_the_sender_of_the_file(self, resources, mia, clock, task_id):
        clock.advance(hours=1)
        with serving(resources, request_id="upload-1") as services:
            import_csv(services, mia, "task_name,external_ref", "Two,A", on_duplicate=DuplicatePolicy.UPDATE)
        with serving(resources, request_id="a-worker") as services:
            services.import_runs.run_waiting()
            newest = items_of(services.task_history, mia, task_id)[0]

        assert titles_in(newest) == ("One", "Two")
        assert (newest["event"], newest["actor"], newest["request_id"]) == ("changed", "mia", "upload-1")

    def test_a_change_by_hand_in_the_database_is_shown(self, service, session, mia, factories, clock):
        task = factories.Task(title="One")
        clock.advance(hours=1)
        session.execute(update(Task).where(Task.id == task.id).values(title="Two"))

        newest = items_of(service, mia, task.id)[0]

        assert titles_in(newest) == ("One", "Two")
        assert (newest["actor"], newest["request_id"]) == (None, None)


class TestDeleted:
    def test_deletion_and_restoration_are_shown_as_such(self, services, service, mia, clock, task_id):
        for do in (services.tasks.delete, services.tasks.restore):
            clock.advance(hours=1)
            do(mia, task_id)

        versions = items_of(service, mia, task_id)

        assert [version["event"] for version in versions] == ["restored", "deleted", "created"]
        assert versions[0]["changes"] == [{"field": "deleted_at", "from": ONE_O_CLOCK, "to": None}]
        assert versions[1]["changes"] == [{"field": "deleted_at", "from": None, "to": ONE_O_CLOCK}]

    def test_a_deleted_task_is_shown_to_users_who_may_restore_it(
        self, services, service, mia, admin, acting_as, task_id
    ):
        services.tasks.delete(mia, task_id)

        for actor in (mia, acting_as(admin)):
            assert items_of(service, actor, task_id)[0]["event"] == "deleted"

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_do_not_find_a_deleted_task(self, services, service, mia, factories, acting_as, task_id, role):
        services.tasks.delete(mia, task_id)

        with pytest.raises(NotFoundError):
            items_of(service, acting_as(factories.User(role=role)), task_id)

    def test_everybody_finds_a_restored_task_again(self, services, service, mia, ann, task_id):
        services.tasks.delete(mia, task_id)
        services.tasks.restore(mia, task_id)

        assert [version["event"] for version in items_of(service, ann, task_id)] == ["restored", "deleted", "created"]

    def test_a_purged_task_is_still_shown_to_admins(self, service, session, admin, acting_as, clock, task_id):
        remove(session, clock, task_id)

        (version,) = items_of(service, acting_as(admin), task_id)

        assert (version["event"], version["until"]) == ("created", ONE_O_CLOCK)

    def test_a_task_deleted_and_then_purged_is_still_shown_to_admins(
        self, services, service, session, mia, admin, acting_as, clock, task_id
    ):
        services.tasks.delete(mia, task_id)
        remove(session, clock, task_id)

        versions = items_of(service, acting_as(admin), task_id)

        assert [(version["event"], version["until"]) for version in versions[:1]] == [("deleted", ONE_O_CLOCK)]

    def test_a_purged_task_is_shown_to_managers_of_the_project(self, service, session, mia, clock, task_id):
        remove(session, clock, task_id)

        assert len(items_of(service, mia, task_id)) == 1

    @pytest.mark.parametrize("role", [Role.USER, Role.VIEWER])
    def test_others_do_not_find_a_purged_task(self, service, session, factories, acting_as, clock, task_id, role):
        remove(session, clock, task_id)

        with pytest.raises(NotFoundError):
            items_of(service, acting_as(factories.User(role=role)), task_id)


class TestWhoSees:
    @pytest.mark.parametrize("role", [Role.VIEWER, Role.USER, Role.MANAGER])
    def test_a_stranger_does_not_find_a_task_of_another_project(
        self, services, service, mia, factories, acting_as, role
    ):
        task = services.tasks.create(mia, {"title": "Secret", "project": "OPS"})

        with pytest.raises(NotFoundError):
            items_of(service, acting_as(factories.User(role=role)), task.id)

    @pytest.mark.parametrize("role", list(Role))
    def test_every_member_of_the_project_sees_it(self, service, factories, acting_as, task_id, role):
        assert len(items_of(service, acting_as(factories.User(role=role)), task_id)) == 1

    def test_a_missing_task_is_not_found(self, service, admin, acting_as):
        with pytest.raises(NotFoundError):
            items_of(service, acting_as(admin), UNKNOWN_ID)

    def test_the_history_moves_with_the_task_to_another_project(
        self, services, service, mia, factories, acting_as, task_id
    ):
        stranger = acting_as(factories.User())
        assert len(items_of(service, stranger, task_id)) == 1
        services.tasks.change(mia, task_id, {"project": "OPS"})

        with pytest.raises(NotFoundError):
            items_of(service, stranger, task_id)

    def test_a_stranger_does_not_see_a_version_from_another_project(
        self, services, service, mia, factories, acting_as, clock
    ):
        task = services.tasks.create(mia, {"title": "Secret", "project": "OPS", "status": TaskStatus.IN_PROGRESS})
        clock.advance(hours=1)
        services.tasks.change(mia, task.id, {"title": "For all", "project": "GEN"})

        (only,) = items_of(service, acting_as(factories.User()), task.id)

        assert (only["revision"], only["event"], titles_in(only)) == (2, "changed", (None, "For all"))
        assert {change["from"] for change in only["changes"]} == {None}
        for word in ("Secret", "OPS"):
            assert word not in str(only)

    def test_a_stranger_does_not_see_a_version_in_between_from_another_project(
        self, services, service, mia, factories, acting_as, clock
    ):
        task = services.tasks.create(mia, {"title": "One"})
        for values in ({"title": "Secret", "project": "OPS"}, {"title": "Three", "project": "GEN"}):
            clock.advance(hours=1)
            services.tasks.change(mia, task.id, values)
        stranger = acting_as(factories.User())

        versions = items_of(service, stranger, task.id)

        assert [(version["revision"], version["event"]) for version in versions] == [(3, "changed"), (1, "created")]
        assert [titles_in(version) for version in versions] == [("One", "Three"), (None, "One")]
        assert [item for page in pages_of(service, stranger, task.id, limit=1) for item in page] == versions

    def test_a_member_of_both_projects_sees_every_version(self, services, service, mia, ann, clock):
        task = services.tasks.create(mia, {"title": "In OPS", "project": "OPS"})
        clock.advance(hours=1)
        services.tasks.change(mia, task.id, {"title": "In GEN", "project": "GEN"})

        newest, oldest = items_of(service, ann, task.id)

        assert (titles_in(newest), titles_in(oldest)) == (("In OPS", "In GEN"), (None, "In OPS"))


class TestPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 6, 7, 8])
    def test_join_without_gaps_or_duplicates(self, service, mia, seven_versions, limit):
        all_items = items_of(service, mia, seven_versions)

        pages = pages_of(service, mia, seven_versions, limit=limit)

        assert [item for page in pages for item in page] == all_items
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert len(pages) == -(-7 // limit)

    def test_join_even_if_the_task_changes_between_them(self, services, service, mia, clock, seven_versions):
        all_items = items_of(service, mia, seven_versions)
        first = page_of(service, mia, seven_versions, limit=3)
        clock.advance(hours=1)
        services.tasks.change(mia, seven_versions, {"title": "Once more"})

        second = page_of(service, mia, seven_versions, limit=200, cursor=first["next_cursor"])

        assert first["items"] + second["items"] == all_items

    def test_are_refused_after_access_is_lost(self, services, service, mia, ann, seven_versions):
        first = page_of(service, ann, seven_versions, limit=3)
        services.tasks.delete(mia, seven_versions)

        with pytest.raises(NotFoundError):
            page_of(service, ann, seven_versions, limit=3, cursor=first["next_cursor"])

    @pytest.mark.parametrize("revision", [1, 0, -1])
    def test_no_page_comes_after_the_first_version(self, service, mia, seven_versions, revision):
        cursor = encode_cursor(SORT, Position(str(abs(revision)), revision))

        assert page_of(service, mia, seven_versions, cursor=cursor) == {"items": [], "next_cursor": None}

    @pytest.mark.parametrize("cursor", ["", "nonsense", encode_cursor("-updated_at", Position("1", 1))])
    def test_a_cursor_of_another_list_is_refused(self, service, mia, seven_versions, cursor):
        with pytest.raises(InvalidError):
            page_of(service, mia, seven_versions, cursor=cursor)


class TestAllChanges:
    @hypothesis_settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(values=st.lists(changes, max_size=8))
    def test_add_up_to_the_current_task(self, services, service, mia, clock, values):
        task = services.tasks.create(mia, {"title": "One"})
        for each in values:
            clock.advance(minutes=1)
            services.tasks.change(mia, task.id, each)

        shown: dict[str, object] = {}
        for version in reversed(items_of(service, mia, task.id)):
            for change in version["changes"]:
                assert shown.get(change["field"]) == change["from"] != change["to"]
                shown[change["field"]] = change["to"]

        now = services.task_views.get(mia, task.id).values
        now["number"] = int(now["ref"].rpartition("-")[2])
        assert {name: now[name] for name in shown} == shown
        assert {"title", "status", "priority", "labels", "project", "number", "created_at"} <= set(shown)


def page_of(service, actor, task_id, *, cursor=None, limit=200):
    """Read the body as a client gets it and check it against its schema."""
    page = service.list_page(actor, task_id, cursor=cursor, limit=limit)
    body = value_response({"items": [*map(as_json, page.items)], "next_cursor": page.next_cursor}).json
    assert TaskVersionPage(unknown=RAISE).validate(body) == {}
    return body


def items_of(service, actor, task_id):
    return page_of(service, actor, task_id)["items"]


def pages_of(service, actor, task_id, *, limit):
    pages, cursor = [], None
    while True:
        body = page_of(service, actor, task_id, cursor=cursor, limit=limit)
        pages.append(body["items"])
        cursor = body["next_cursor"]
        if cursor is None:
            return pages


def titles_in(version):
    """Return the old and the new title of a version."""
    return next((each["from"], each["to"]) for each in version["changes"] if each["field"] == "title")


def remove(session, clock, task_id):
    """Remove the task for good, an hour later."""
    clock.advance(hours=1)
    session.execute(delete(Task).where(Task.id == task_id))


def import_csv(services, actor, *lines, **options):
    content = "".join(f"{line}\n" for line in lines).encode()
    services.imports.import_csv(
        actor, io.BytesIO(content), filename="tasks.csv", options=ImportOptions(**options), wait_seconds=None
    )


def tasks_of(services, actor):
    page, _was_cached = services.task_views.list_page(actor, TaskQuery())
    return page.items


@pytest.fixture
def clock(clock):
    clock.now = NOON
    return clock


@pytest.fixture
def service(services, clock):
    return services.task_history


@pytest.fixture
def mia(member, ann):
    return member("mia", Role.MANAGER)


@pytest.fixture
def task_id(services, mia, clock):
    values = {"title": "One", "labels": ["red", "green"], "assignee": "mia", "due_at": NOON, "external_ref": "A"}
    return services.tasks.create(mia, values).id


@pytest.fixture
def seven_versions(services, mia, clock, task_id):
    for number in range(2, 8):
        clock.advance(hours=1)
        services.tasks.change(mia, task_id, {"title": f"Title {number}"})
    return task_id
